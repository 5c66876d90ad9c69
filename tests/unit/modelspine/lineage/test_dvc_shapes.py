"""The shapes in which DVC tracks data: each is found, read and compared with its hash, or said not to be looked at."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from modelspine.errors import Damaged, Unavailable, UnknownRef
from modelspine.lineage.corpora import Corpora
from modelspine.lineage.dvc_cache import refuse_programs
from modelspine.lineage.dvc_fetch import _opened, _stage, reach
from modelspine.lineage.dvc_file import Out
from modelspine.lineage.dvc_hash import Digest
from modelspine.lineage.dvc_repository import Tracked

ROWS = b'{"text": "he went"}\n'
OTHER = b'{"text": "she goed"}\n'


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, message: str = "x") -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


def tracking(path: str, dvc_hash: str, more: str = "hash: md5") -> str:
    return f"outs:\n- md5: {dvc_hash}\n  {more}\n  path: {json.dumps(path)}\n"


def keep(root: Path, raw: bytes, dvc_hash: str = "", layout: str = "files/md5") -> str:
    """Lay bytes into DVC's cache; returns their hash."""
    dvc_hash = dvc_hash or md5(raw)
    file = root / ".dvc" / "cache" / layout / dvc_hash[:2] / dvc_hash[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    return dvc_hash


def keep_directory(root: Path, files: dict[str, bytes]) -> str:
    """Lay a directory's files and its listing into DVC's cache; returns its hash."""
    rows = [{"md5": keep(root, raw), "relpath": name} for name, raw in sorted(files.items())]
    listing = json.dumps(rows, sort_keys=True).encode()
    return keep(root, listing, f"{md5(listing)}.dir")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(
        f"[core]\n    remote = near\n['remote \"near\"']\n    url = {tmp_path / 'remote'}\n"
    )
    (root / ".dvc" / ".gitignore").write_text("/cache\n/tmp\n")
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    commit(root)
    return root


# pipelines --------------------------------------------------------------------------------------------------------


def test_outputs_of_stages_are_found_in_the_folders_where_the_stages_run(root: Path) -> None:
    (root / "pipe").mkdir()
    stages = {"one": "a", "many@x": "b", "loop@y": "c"}
    lock = "".join(
        f"  {name}:\n    cmd: x\n    outs:\n    - path: rows.jsonl\n      hash: md5\n      md5: {md5(text.encode())}\n"
        for name, text in stages.items()
    )
    (root / "pipe" / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{lock}")
    (root / "pipe" / "dvc.yaml").write_text(
        "stages:\n  one: {cmd: x, wdir: ../work, outs: [rows.jsonl]}\n"
        "  many: {matrix: {n: [x]}, cmd: x, outs: [rows.jsonl]}\n"
        "  loop: {foreach: [y], do: {cmd: x, wdir: '${item}', outs: [rows.jsonl]}}\n"
    )
    assert dict(Corpora(root).tracked()) == {
        "work/rows.jsonl": md5(b"a"), "pipe/rows.jsonl": md5(b"b"), "pipe/y/rows.jsonl": md5(b"c"),
    }  # fmt: skip


def test_an_older_output_of_a_stage_is_fetched_by_its_hash(root: Path, tmp_path: Path) -> None:
    (root / "dvc.yaml").write_text("stages:\n  make: {cmd: '${unset}', outs: [rows.jsonl]}\n")
    lock = "schema: '2.0'\nstages:\n  make:\n    cmd: x\n    outs:\n    - {path: rows.jsonl, hash: md5, md5: HASH}\n"
    (root / "dvc.lock").write_text(lock.replace("HASH", md5(ROWS)))
    first = commit(root)
    (root / "dvc.lock").write_text(lock.replace("HASH", md5(OTHER)))
    (root / "rows.jsonl").write_bytes(OTHER)
    commit(root)
    far = tmp_path / "remote" / "files" / "md5" / md5(ROWS)[:2] / md5(ROWS)[2:]
    far.parent.mkdir(parents=True)
    far.write_bytes(ROWS)
    place = Corpora(root).resolve(md5(ROWS))
    assert (place.path, place.dvc_file, place.revision, place.at_head) == ("rows.jsonl", "dvc.lock", first, False)
    with pytest.raises(Unavailable, match="not on this machine") as caught:
        Corpora(root).verify(md5(ROWS))
    assert f"spine corpus get {md5(ROWS)}" in caught.value.hint
    assert Corpora(root).verify(md5(ROWS), pull=True).rows == 1
    assert (root / "rows.jsonl").read_bytes() == OTHER


# directories ------------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(root: Path) -> str:
    files = {"a.jsonl": ROWS, "sub/b.txt": b"they goed\n", "picture.png": b"\x89PNG\0\xff" * 99}
    dvc_hash = keep_directory(root, files)
    (root / "data.dvc").write_text(tracking("data", dvc_hash))
    commit(root)
    return dvc_hash


def test_a_directory_is_its_listing_and_every_file_in_it(root: Path, directory: str) -> None:
    found = Corpora(root).search(directory, "goed|went")
    assert [(row.file, row.number, row.text) for row in found.shown] == [
        ("a.jsonl", 1, ROWS.decode().strip()), ("sub/b.txt", 1, "they goed"),
    ]  # fmt: skip
    assert (found.rows, found.matched, found.skipped) == (2, 2, ("picture.png",))
    lines = "".join(
        f"{hashlib.sha256(raw).hexdigest()}  {name}\n"
        for name, raw in (("a.jsonl", ROWS), ("picture.png", b"\x89PNG\0\xff" * 99), ("sub/b.txt", b"they goed\n"))
    )
    assert Corpora(root).verify(directory).sha256 == found.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    with pytest.raises(Damaged, match="its manifest says 0000"):
        Corpora(root).verify(directory, sha256="0" * 64)


def test_a_path_names_a_directory_or_a_file_in_it(root: Path, directory: str) -> None:
    found = Corpora(root)
    assert found.named("data") == [("data", directory)]
    assert found.named("data/sub/b.txt") == [("data/sub/b.txt", md5(b"they goed\n"))]
    assert found.named("data/sub") == found.named("elsewhere") == []


@pytest.mark.parametrize("name", ["a.jsonl", "picture.png"])
def test_a_changed_file_of_a_directory_is_damage_also_where_it_is_not_searched(
    root: Path, directory: str, name: str
) -> None:
    sound = {"a.jsonl": ROWS, "picture.png": b"\x89PNG\0\xff" * 99}[name]
    keep(root, sound + b"x", md5(sound))
    for look in (lambda: Corpora(root).verify(directory), lambda: Corpora(root).search(directory, "x")):
        with pytest.raises(Damaged, match=f"{name} has MD5"):
            look()


def test_a_changed_listing_is_damage(root: Path, directory: str) -> None:
    keep(root, b"[]", directory)
    with pytest.raises(Damaged, match="the listing of data is not the one that DVC recorded"):
        Corpora(root).verify(directory)


def test_a_file_in_a_directory_is_found_under_the_path_that_a_manifest_names(root: Path) -> None:
    dvc_hash = keep_directory(root, {"a.jsonl": ROWS, "b.jsonl": ROWS})
    (root / "data.dvc").write_text(tracking("data", dvc_hash))
    revision = commit(root)
    (root / "data.dvc").write_text(tracking("data", keep_directory(root, {"c.jsonl": OTHER})))
    commit(root)
    assert Corpora(root).resolve(md5(ROWS), "data/b.jsonl").path == "data/b.jsonl"
    found = Corpora(root).resolve(md5(ROWS))
    assert (found.path, found.revision, found.at_head) == ("data/a.jsonl", revision, False)
    assert Corpora(root).resolve(md5(OTHER)).at_head
    assert Corpora(root).verify(md5(ROWS)).rows == 1


def test_a_directory_without_its_listing_is_read_from_the_work_tree_or_not_at_all(root: Path, directory: str) -> None:
    listing = root / ".dvc" / "cache" / "files" / "md5" / directory[:2] / directory[2:]
    listing.unlink()
    with pytest.raises(Unavailable, match="the listing of data"):
        Corpora(root).verify(directory)
    with pytest.raises(Unavailable, match="unknown whether a directory holds"):
        Corpora(root).resolve(md5(b"they goed\n"))
    (root / "data" / "sub").mkdir(parents=True)
    for name, raw in {"a.jsonl": ROWS, "sub/b.txt": b"they goed\n", "picture.png": b"\x89PNG\0\xff" * 99}.items():
        (root / "data" / name).write_bytes(raw)
    assert Corpora(root).verify(directory).rows == 2
    (root / "data" / "extra").write_bytes(b"")
    with pytest.raises(Unavailable, match="the listing of data"):
        Corpora(root).verify(directory)


@pytest.mark.parametrize("path", ["../../secret", "/etc/hostname", "..", "a\0b"])
def test_a_listing_that_leads_out_of_its_directory_is_refused(root: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(ROWS)
    listing = json.dumps([{"md5": md5(ROWS), "relpath": path}], sort_keys=True).encode()
    dvc_hash = keep(root, listing, f"{md5(listing)}.dir")
    (root / "data.dvc").write_text(tracking("data", dvc_hash))
    with pytest.raises(Damaged):
        Corpora(root).verify(dvc_hash)


def test_a_link_that_leads_out_of_the_repository_is_not_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "rows.jsonl").write_bytes(ROWS)
    (root / "data").symlink_to(tmp_path / "secret")
    (root / "rows.jsonl.dvc").write_text(tracking("data/rows.jsonl", md5(ROWS)))
    with pytest.raises(Unavailable, match="not on this machine"):
        Corpora(root).verify(md5(ROWS))
    (root / "data").unlink()
    keep(root, ROWS)
    (root / "data").mkdir()
    (root / "data" / "rows.jsonl").symlink_to(root / ".dvc" / "cache" / "files" / "md5" / md5(ROWS)[:2] / md5(ROWS)[2:])
    assert Corpora(root).verify(md5(ROWS)).rows == 1


def test_files_that_a_remote_keeps_versions_of_are_a_directory_too(root: Path) -> None:
    files = [{"relpath": "a.jsonl", "md5": md5(ROWS), "size": 20, "cloud": {"near": {"version_id": "1"}}}]
    inline = YAML(typ="safe", pure=True)
    with (root / "data.dvc").open("w") as stream:
        inline.dump({"outs": [{"path": "data", "hash": "md5", "files": files}]}, stream)
    (root / "data").mkdir()
    (root / "data" / "a.jsonl").write_bytes(ROWS)
    ((path, dvc_hash),) = Corpora(root).tracked()
    listing = json.dumps([{"md5": md5(ROWS), "relpath": "a.jsonl"}]).encode()
    assert (path, dvc_hash) == ("data", f"{md5(listing)}.dir")
    assert Corpora(root).verify(dvc_hash).rows == 1
    assert Corpora(root).resolve(md5(ROWS)).path == "data/a.jsonl"
    commit(root)
    (root / "data.dvc").write_text(tracking("data", md5(OTHER)))
    commit(root)
    keep(root, ROWS)
    assert [Corpora(root).verify(each).rows for each in (dvc_hash, md5(ROWS))] == [1, 1]


# the rule of DVC 2 ------------------------------------------------------------------------------------------------


def test_a_hash_of_dvc_2_is_that_of_the_text_with_lf_line_ends(root: Path) -> None:
    raw, dvc_hash = b"he went\r\nshe goed\r\n", md5(b"he went\nshe goed\n")
    keep(root, raw, dvc_hash, layout="")
    (root / "rows.txt.dvc").write_text(tracking("rows.txt", dvc_hash, "size: 19"))
    assert Corpora(root).verify(dvc_hash).sha256 == hashlib.sha256(raw).hexdigest()
    assert Corpora(root).search(dvc_hash, "goed$").matched == 1
    keep(root, raw + b"more", dvc_hash, layout="")
    with pytest.raises(Damaged):
        Corpora(root).verify(dvc_hash)
    keep(root, raw, dvc_hash, layout="")
    (root / "rows.txt.dvc").write_text(tracking("rows.txt", dvc_hash))  # DVC 3 hashes the bytes as they are
    with pytest.raises(Damaged):
        Corpora(root).verify(dvc_hash)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"a\r\nb\r\n", b"\0\r\n", b"\xff" * 600 + b"\r\n", b"a" * (2**20 - 1) + b"\r\n" + b"b\r\n",
        b"a\r\n" * 700_000, b"a\r\n" * 350_000 + b"\0\r\n" * 350_000,
    ],
    ids=range(7),
)  # fmt: skip
def test_the_digest_of_dvc_2_is_dvcs_own(raw: bytes, tmp_path: Path) -> None:
    from dvc_data.hashfile.hash import fobj_md5

    file = tmp_path / "raw"
    file.write_bytes(raw)
    with file.open("rb") as stream:
        expected = fobj_md5(stream, name="md5-dos2unix")
    digest = Digest(legacy=True)
    for begin in range(0, len(raw), 300_007):
        digest.update(raw[begin : begin + 300_007])
    assert digest.md5() == expected


# where DVC and the project lie -------------------------------------------------------------------------------------


def test_dvc_may_lie_above_the_project_and_below_it(root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "rows.jsonl").write_bytes(ROWS)
    (root / "data" / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", md5(ROWS)))
    service = root / "service"
    (service / "sub" / ".dvc").mkdir(parents=True)
    (service / "sub" / "own.jsonl.dvc").write_text(tracking("own.jsonl", md5(OTHER)))
    keep(service / "sub", OTHER)
    found = Corpora(service)
    assert found.tracked() == [("../data/rows.jsonl", md5(ROWS)), ("sub/own.jsonl", md5(OTHER))]
    assert [found.verify(each).rows for each in (md5(ROWS), md5(OTHER))] == [1, 1]


def test_new_files_are_looked_for_in_the_projects_part_and_tracked_ones_everywhere(root: Path, tmp_path: Path) -> None:
    for folder in ("service", "elsewhere"):
        (root / folder / ".dvc").mkdir(parents=True)
        (root / folder / "old.jsonl.dvc").write_text(tracking("old.jsonl", md5(ROWS)))
    commit(root)
    for folder in ("service", "elsewhere"):
        (root / folder / "new.jsonl.dvc").write_text(tracking("new.jsonl", md5(OTHER)))
    (tmp_path / "link").symlink_to(root / "service")
    expected = ["../elsewhere/old.jsonl", "new.jsonl", "old.jsonl"]
    assert [path for path, _ in Corpora(tmp_path / "link").tracked()] == expected


def test_dvc_without_git_is_read_by_walking(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / ".dvc").mkdir(parents=True)
    (plain / "service").mkdir()
    (plain / "env").mkdir()
    (plain / "env" / "pyvenv.cfg").touch()
    for folder in ("service", "env"):
        (plain / folder / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", md5(ROWS)))
    (plain / "service" / "rows.jsonl").write_bytes(ROWS)
    assert Corpora(plain / "service").tracked() == [("rows.jsonl", md5(ROWS))]
    assert Corpora(plain).verify(md5(ROWS)).rows == 1
    with pytest.raises(UnknownRef, match="in plain names"):
        Corpora(plain).resolve(md5(OTHER))


def test_another_work_tree_shares_its_cache(root: Path, tmp_path: Path) -> None:
    (root / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", md5(ROWS)))
    commit(root)
    keep(root, ROWS)
    git(root, "worktree", "add", "-q", str(tmp_path / "second"))
    assert Corpora(tmp_path / "second").verify(md5(ROWS)).rows == 1


def test_a_hash_that_came_about_in_a_merge_is_found(root: Path) -> None:
    file = root / "rows.jsonl.dvc"
    file.write_text(tracking("rows.jsonl", md5(b"0")))
    commit(root)
    git(root, "checkout", "-q", "-b", "other")
    file.write_text(tracking("rows.jsonl", md5(b"1")))
    commit(root)
    git(root, "checkout", "-q", "main")
    file.write_text(tracking("rows.jsonl", md5(b"2")))
    commit(root)
    subprocess.run(["git", "merge", "-q", "other"], cwd=root, check=False, capture_output=True)
    file.write_text(tracking("rows.jsonl", md5(ROWS)))
    merged = commit(root, "merge")
    file.write_text(tracking("rows.jsonl", md5(OTHER)))
    commit(root)
    assert Corpora(root).resolve(md5(ROWS)).revision == merged


def test_a_clone_of_one_branch_says_that_it_has_only_some(root: Path, tmp_path: Path) -> None:
    git(root, "checkout", "-q", "-b", "other")
    (root / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", md5(ROWS)))
    commit(root)
    git(root, "checkout", "-q", "main")
    git(tmp_path, "clone", "-q", "--single-branch", str(root), "single")
    with pytest.raises(Unavailable, match="only some of the branches") as caught:
        Corpora(tmp_path / "single").resolve(md5(ROWS))
    subprocess.run(caught.value.hint.rpartition(": ")[2], shell=True, check=True, cwd=tmp_path / "single")
    assert Corpora(tmp_path / "single").resolve(md5(ROWS)).path == "rows.jsonl"


# what could not be looked at ---------------------------------------------------------------------------------------


def test_what_git_says_is_passed_on(root: Path, failing_git: Callable[[str], None]) -> None:
    (root / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", md5(ROWS)))
    failing_git("fatal: detected dubious ownership in repository")
    with pytest.raises(Unavailable, match="dubious ownership") as caught:
        Corpora(root).resolve(md5(ROWS))
    assert "safe.directory" in caught.value.hint


def test_without_dvc_what_is_here_is_verified_and_the_rest_names_what_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dvc", "dvc.config", "dvc.exceptions", "dvc.repo"):
        monkeypatch.setitem(sys.modules, name, None)
    (root / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", md5(ROWS)))
    with pytest.raises(Unavailable, match="needs DVC"):
        Corpora(root).verify(md5(ROWS), pull=True)
    keep(root, ROWS)
    assert Corpora(root).verify(md5(ROWS)).rows == 1
    (root / ".dvc" / "config").write_text("[cache]\n    dir = /elsewhere\n")
    with pytest.raises(Unavailable, match="needs DVC"):
        Corpora(root).verify(md5(ROWS))


PROGRAMS = {
    "a command that prints a token": (
        "config",
        "url = webdavs://example.org/x",
        "bearer_token_command = touch was-run",
    ),
    "a command in the local settings": (
        "config.local",
        "url = webdavs://example.org/x",
        "bearer_token_command = false",
    ),
    "credentials in the repository": ("config", "url = s3://bucket/x", "credentialpath = ../credentials"),
    "an AWS configuration in the repository": ("config", "url = s3://bucket/x", "configpath = ../aws.ini"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_settings_of_a_repository_run_no_program(name: str, root: Path, tmp_path: Path) -> None:
    file, *lines = PROGRAMS[name]
    text = "\n".join(["[core]", "    remote = other", "['remote \"other\"']", *(f"    {line}" for line in lines)])
    (root / ".dvc" / file).write_text(f"{text}\n")
    with pytest.raises(Unavailable, match="which can run a program, so nothing is fetched"):
        reach(root, "")
    with pytest.raises(Unavailable, match="which can run a program"):
        refuse_programs(root)
    assert not (root / "was-run").exists()
    reach(root, str(tmp_path))  # a remote of Spine's own setting
    with _opened(root, str(tmp_path)) as (repo, _):
        assert "other" not in repo.config["remote"], "no output leads to it"
    (root / ".dvc" / file).write_text(text.replace(lines[1], "timeout = 3" if "webdav" in lines[0] else ""))
    refuse_programs(root)


def test_only_what_finds_the_bytes_is_handed_to_dvc() -> None:
    """An import names another repository, with settings of its own; neither is opened."""
    fields = {"md5": "0" * 32, "size": 3, "hash": "md5", "path": "a", "fs_config": {"bearer_token_command": "x"}}
    text = "deps:\n- path: a\n  repo:\n    url: ./other\n    config: other\nouts:\n- path: a\n"
    out = Out(path="below/a", dvc_hash="0" * 32, fields=fields)
    stage = json.loads(_stage(Tracked(out=out, file="below/a.dvc", text=text)))
    assert stage == {"outs": [{"md5": "0" * 32, "size": 3, "hash": "md5", "path": "a"}]}


def test_a_file_that_may_not_be_read_is_not_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "rows.jsonl.dvc").write_text(tracking("rows.jsonl", keep(root, ROWS)))
    corpora = Corpora(root)
    real = Path.open

    def denied(path: Path, *words: Any, **more: Any) -> Any:
        if ".dvc/cache" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *words, **more)

    monkeypatch.setattr(Path, "open", denied)
    for read in (corpora.verify, lambda found: corpora.search(found, "went"), lambda found: list(corpora.rows(found))):
        with pytest.raises(Unavailable, match="Permission denied") as caught:
            read(md5(ROWS))
        assert "who may read it" in caught.value.hint


def test_a_file_in_the_middle_of_a_merge_may_name_anything(root: Path) -> None:
    (root / "a.jsonl.dvc").write_text(tracking("a.jsonl", md5(OTHER)))
    with pytest.raises(UnknownRef):
        Corpora(root).resolve(md5(ROWS))
    (root / "rows.jsonl.dvc").write_text("outs:\n<<<<<<< HEAD\n- md5: a\n=======\n- md5: b\n>>>>>>> side\n  path: a\n")
    with pytest.raises(Unavailable, match=r"rows\.jsonl\.dvc cannot be read as YAML"):
        Corpora(root).resolve(md5(ROWS))
    assert Corpora(root).resolve(md5(OTHER)).path == "a.jsonl", "what is named elsewhere is found"


def test_submodules_are_not_searched_and_that_is_said(root: Path) -> None:
    (root / ".gitmodules").write_text('[submodule "data"]\n\tpath = data\n\turl = ./data\n')
    with pytest.raises(Unavailable, match="its submodules were not searched"):
        Corpora(root).resolve(md5(ROWS))


def test_what_dvc_remarks_is_passed_on_and_not_printed(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / "rows.dvc").write_text(tracking("rows", f"{md5(ROWS)}.dir"))
    with pytest.raises(Unavailable, match="no remote of DVC has the rows of rows"):
        Corpora(root).verify(f"{md5(ROWS)}.dir", pull=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("project", "command"),
    [
        (".", "dvc --cd 'a b' pull {}"),
        ("a b/deep", "dvc pull ../{}"),
        ("beside", "dvc --cd '../a b' pull {}"),
    ],
)
@pytest.mark.parametrize(("file", "target"), [("out.dvc", "out.dvc"), ("dvc.lock", "out")])
def test_the_command_that_brings_rows_is_one_that_dvc_takes(
    root: Path, project: str, command: str, file: str, target: str
) -> None:
    folder = root / "a b"
    (folder / "deep").mkdir(parents=True)
    (root / "beside").mkdir()
    (root / ".dvc").rename(folder / ".dvc")
    out = tracking("out", md5(ROWS))
    lock = f"schema: '2.0'\nstages:\n  make:\n    cmd: x\n    outs:\n    - md5: {md5(ROWS)}\n      path: out\n"
    (folder / file).write_text(lock if file == "dvc.lock" else out)
    commit(root)
    with pytest.raises(Unavailable) as caught:
        Corpora(root / project).verify(md5(ROWS))
    assert caught.value.hint == f"fetch them with `{command.format(target)}`"
