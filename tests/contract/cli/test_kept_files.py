"""The files that requests name, over the command line: their state, copies of them, checks, backups and attacks."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

import modelspine
from cli_world import check_refused, run
from miniobserve.objects import open_objects
from miniobserve.writer import TraceWriter
from modelspine.process_recorder import close_all
from modelspine.spine import open_spine
from own_project import own_project

Capture = pytest.CaptureFixture[str]
PNG = b"\x89PNG\r\n\x1a\n and so on"
SHA = hashlib.sha256(PNG).hexdigest()
TEXT = b"no kind that is known"
TEXT_SHA = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project with one request about an image, whose answer is a file too."""
    root = own_project(tmp_path_factory.mktemp("kept") / "project")
    toml = root / "spine.toml"
    toml.write_text('files = ".spine/files"\n' + toml.read_text())
    with modelspine.request(PNG, unit="ann", request_id="req-image-1", root=root) as r:
        r.output(TEXT)
    close_all()
    return root, r.id


@pytest.fixture
def project(made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "copy"
    shutil.copytree(made[0], root)
    monkeypatch.chdir(root)
    return root


def place(sha: str = SHA) -> Path:
    return Path(".spine/files") / sha[:2] / sha


def shown(capsys: Capture, *words: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = run(capsys, "traces", "show", "req-image-1", *words, "--json").json["files"]
    return found


def test_show_says_which_files_are_kept_and_where(project: Path, capsys: Capture) -> None:
    image, answer = shown(capsys)
    assert image == {
        "sha256": SHA, "bytes": len(PNG), "state": "kept", "where": str(project / place()), "why": "", "saved": "",
    }  # fmt: skip
    assert answer["sha256"] == TEXT_SHA
    text = run(capsys, "traces", "show", "req-image-1").out
    assert f"{SHA[:12]}  {len(PNG)} B  ✔ kept" in text


def test_save_copies_what_is_kept_under_its_digest_and_replaces_nothing(project: Path, capsys: Capture) -> None:
    files = shown(capsys, "--save", "copies")
    assert [each["saved"] for each in files] == [f"copies/{SHA}.png", f"copies/{TEXT_SHA}"]
    assert Path("copies", f"{SHA}.png").read_bytes() == PNG
    assert run(capsys, "traces", "show", "req-image-1", "--save", "copies").code == 0  # the same bytes are there
    Path("copies", f"{SHA}.png").write_bytes(b"mine")
    check_refused(run(capsys, "traces", "show", "req-image-1", "--save", "copies"), 2)
    assert Path("copies", f"{SHA}.png").read_bytes() == b"mine"
    Path("copies", f"{SHA}.png").unlink()
    Path("copies", f"{SHA}.png").symlink_to(project / "target")
    check_refused(run(capsys, "traces", "show", "req-image-1", "--save", "copies"), 2)
    assert not (project / "target").exists()
    Path("file").write_text("no folder")
    check_refused(run(capsys, "traces", "show", "req-image-1", "--save", "file"), 3)


def test_a_damaged_file_is_an_error_that_names_both_digests(project: Path, capsys: Capture) -> None:
    place().write_bytes(b"forged")
    other = hashlib.sha256(b"forged").hexdigest()
    assert [each["state"] for each in shown(capsys)] == ["damaged", "kept"]
    done = run(capsys, "traces", "show", "req-image-1", "--save", "copies")
    assert done.code == 5
    assert SHA in done.err
    assert other in done.err
    assert [each.name for each in Path("copies").iterdir()] == [TEXT_SHA]
    verified = run(capsys, "verify", "--json")
    (check,) = (each for each in verified.json["checks"] if each["name"] == "files")
    assert (verified.code, check["checked"]) == (5, 2)
    assert f"has the SHA-256 {other}, and not {SHA}" in check["problems"][0]


def test_a_file_that_was_deleted_reads_as_not_kept(project: Path, capsys: Capture) -> None:
    place().unlink()
    assert [each["state"] for each in shown(capsys)] == ["not_kept", "kept"]
    assert "· not kept" in run(capsys, "traces", "show", "req-image-1").out
    assert run(capsys, "verify").code == 0
    place(TEXT_SHA).unlink()
    check_refused(run(capsys, "traces", "show", "req-image-1", "--save", "copies"), 2)
    assert not Path("copies").exists()


def test_without_the_setting_nothing_is_kept(project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = project / "spine.toml"
    toml.write_text(toml.read_text().replace('files = ".spine/files"\n', ""))
    assert {each["why"] for each in shown(capsys)} == {"the setting `files` is not set"}
    assert "files" not in [each["name"] for each in run(capsys, "verify", "--json").json["checks"]]


@pytest.mark.parametrize(
    "forged",
    [
        '{"bytes":5,"sha256":"../../../etc/passwd"}',
        '{"bytes":5,"sha256":"../../x/' + "0" * 57 + '"}',
        '{"bytes":5,"sha256":"' + SHA.upper() + '"}',
        '{"bytes":-5,"sha256":"' + SHA + '"}',
        '{"bytes":true,"sha256":"' + SHA + '"}',
        '{"bytes":5,"sha256":"' + SHA + '\\n"}',
        '{"bytes":5,"sha256":7}',
        "[" * 5000 + '"sha256"',
        '{"sha256":' * 60 + "1" + "}" * 60,
    ],
    ids=["path", "64 digits", "capitals", "negative", "no number", "line", "no text", "broken", "deep"],
)
def test_a_digest_that_is_none_leads_nowhere(forged: str, project: Path, capsys: Capture) -> None:
    with open_spine(project, readonly=True) as spine:
        trace = spine.trace("req-image-1")
    with closing(TraceWriter(f"sqlite:///{project}/.spine/traces.db")) as writer:
        writer.submit(replace(trace, request_id="req-forged", input=forged, output=forged)).result()
    assert run(capsys, "traces", "show", "req-forged", "--json").json["files"] == []
    check_refused(run(capsys, "traces", "show", "req-forged", "--save", "copies"), 2)
    assert run(capsys, "incident", "req-forged").code == 0


def test_answer_1_says_where_the_files_are(project: Path, capsys: Capture) -> None:
    first = run(capsys, "incident", "req-image-1", "--json").json["answers"][0]
    assert first["status"] == "recorded"
    assert f"2 files of the request kept at {project}/.spine/files (`spine traces show" in first["answer"]
    assert [each["state"] for each in first["evidence"]["files"]] == ["kept", "kept"]
    place().write_bytes(b"forged")
    assert "(1 damaged, 1 kept" in run(capsys, "incident", "req-image-1", "--json").json["answers"][0]["answer"]


def test_a_pack_of_a_request_with_files_holds(project: Path, capsys: Capture, tmp_path: Path) -> None:
    assert run(capsys, "incident", "req-image-1", "--pack", "pack.zip").code == 0
    zipfile.ZipFile("pack.zip").extractall(tmp_path / "pack")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py"], cwd=tmp_path / "pack", capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_a_backup_holds_the_files_and_a_restore_brings_them_back(
    project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".spine" / "files" / "ab").mkdir(exist_ok=True)
    (project / ".spine" / "files" / "ab" / "stray").write_text("not ours")
    done = run(capsys, "backup", "../kept.tar", "--json")
    assert [each["files"] for each in done.json["parts"] if each["name"] == "files"] == [2]
    again = project.parent / "again"
    again.mkdir()
    shutil.copy(project / "spine.toml", again)
    monkeypatch.chdir(again)
    assert run(capsys, "restore", "../kept.tar").code == 0
    assert [each["state"] for each in shown(capsys)] == ["kept", "kept"]
    monkeypatch.setenv("SPINE_FILES", str(project.parent / "elsewhere"))
    done = run(capsys, "backup", "../more.tar", "--json")
    assert any("kept files in" in each and "outside the home" in each for each in done.json["warnings"])


def test_info_says_that_a_policy_keeps_nothing(project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(capsys, "info", "--json").json["stores"]["files"]["state"] == "ok"
    monkeypatch.setenv("SPINE_TEXT_POLICY", "hash")
    found = run(capsys, "info", "--json").json["stores"]["files"]
    assert found["state"] == "warn"
    assert "keeps nothing, as text_policy is hash" in found["holds"]


def test_files_in_a_bucket(project: Path, bucket: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://{bucket}/files"
    monkeypatch.setenv("SPINE_FILES", url)
    assert {each["state"] for each in shown(capsys)} == {"not_kept"}
    with modelspine.request(PNG, request_id="req-image-2", root=project) as r:
        r.output("spam")
    close_all()
    (image,) = run(capsys, "traces", "show", "req-image-2", "--save", "copies", "--json").json["files"]
    assert (image["state"], image["where"]) == ("kept", f"{url}/{SHA[:2]}/{SHA}")
    assert Path("copies", f"{SHA}.png").read_bytes() == PNG
    assert "files" in run(capsys, "info", "--json").json["stores"]
    assert run(capsys, "verify").code == 0
    store = open_objects(url)
    store.put(f"{SHA[:2]}/{SHA}", b"forged", replace=True)
    assert run(capsys, "traces", "show", "req-image-2", "--save", "more").code == 5
    assert run(capsys, "verify").code == 5
    monkeypatch.setenv("SPINE_FILES", f"s3://{bucket}-none/files")
    (image,) = run(capsys, "traces", "show", "req-image-2", "--json").json["files"]
    assert image["state"] == "not_checked"
    assert "the bucket does not exist" in image["why"]
    check_refused(run(capsys, "traces", "show", "req-image-2", "--save", "none"), 3)
    checked = run(capsys, "verify", "--json").json
    assert checked["sound"] is False
    assert run(capsys, "incident", "req-image-2").code == 0
