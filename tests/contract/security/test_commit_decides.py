"""The commit decides in prod: no setting, file or variable that git listens to changes what counts as committed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine import git_files
from modelspine.attestation.keys import SigningKey, new_key
from modelspine.attestation.trust import BASELINE, TRUST, in_force, load_trust, must_load
from modelspine.cli import main
from modelspine.errors import Refused, SpineError, Unavailable
from modelspine.git import run_git
from modelspine.git_files import file_at
from modelspine.settings import Settings, load
from prod import KEPT, Prod, make_prod

Patch = pytest.MonkeyPatch
Attack = Callable[[Prod, Patch], None]
TRUST_FILE, BASELINE_FILE = "spine.trust.json", "eval_baseline.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prod:
    return make_prod(tmp_path_factory.mktemp("commit-decides") / "p")


@pytest.fixture
def prod(made: Prod, tmp_path: Path) -> Prod:
    return made.copy(tmp_path / "p")


def settings(prod: Prod, **environ: str) -> Settings:
    return load(environ={"SPINE_ROOT": str(prod.root), **environ})


def config(prod: Prod, name: str, value: str) -> None:
    prod.git("config", name, value)


# what is committed --------------------------------------------------------------------------------------------------


def with_own_key(prod: Prod) -> SigningKey:
    """Put a key of one's own into the trust file on disk, and commit the same file as if it were a fixture."""
    before = (prod.root / TRUST_FILE).read_bytes()
    key = new_key()
    prod.trust(prod.key, key)
    edited = (prod.root / TRUST_FILE).read_bytes()
    fixture = prod.root / "p"
    fixture.mkdir()
    (prod.root / TRUST_FILE).write_bytes(before)
    for name in (TRUST_FILE, BASELINE_FILE):
        shutil.copy(prod.root / name, fixture / name)
    (fixture / TRUST_FILE).write_bytes(edited)
    prod.commit()
    (prod.root / TRUST_FILE).write_bytes(edited)
    return key


def blob(prod: Prod, name: str) -> str:
    return subprocess.check_output(["git", "rev-parse", f"HEAD:{name}"], cwd=prod.root, text=True).strip()


def other_work_tree(prod: Prod, patch: Patch) -> None:
    config(prod, "core.worktree", str(prod.root.parent))


def replaced_object(prod: Prod, patch: Patch) -> None:
    prod.git("replace", blob(prod, TRUST_FILE), blob(prod, f"p/{TRUST_FILE}"))


def changed_object(prod: Prod, patch: Patch) -> None:
    """The file of the object itself, under its old name."""
    objects = prod.root / ".git" / "objects"
    old, new = (blob(prod, name) for name in (TRUST_FILE, f"p/{TRUST_FILE}"))
    target = objects / old[:2] / old[2:]
    target.chmod(0o644)
    target.write_bytes((objects / new[:2] / new[2:]).read_bytes())


def directory_variable(prod: Prod, patch: Patch) -> None:
    other = prod.root.parent / "other"
    subprocess.run(["git", "clone", "-q", str(prod.root), str(other)], check=True)
    shutil.copy(prod.root / TRUST_FILE, other / TRUST_FILE)
    subprocess.run(["git", "commit", "-qam", "x"], cwd=other, check=True)
    patch.setenv("GIT_DIR", str(other / ".git"))


def work_tree_variable(prod: Prod, patch: Patch) -> None:
    patch.setenv("GIT_WORK_TREE", str(prod.root.parent))
    patch.setenv("GIT_DIR", str(prod.root / ".git"))


def git_show(root: Path, file: Path, commit: str = "HEAD") -> bytes | None:
    """What an earlier version did: ask git with the settings and variables that it finds."""
    name = os.path.relpath(file, root)
    done = subprocess.run(["git", "-C", str(root), "show", f"{commit}:./{name}"], capture_output=True, check=False)
    return done.stdout or None


COUNTS: dict[str, Attack] = {
    each.__name__: each
    for each in (other_work_tree, replaced_object, changed_object, directory_variable, work_tree_variable)
}


@pytest.mark.parametrize("twin", [False, True], ids=["as it is", "asking git as it finds it"])
@pytest.mark.parametrize("name", COUNTS)
def test_an_edited_trust_file_does_not_count_as_committed(
    name: str, twin: bool, prod: Prod, monkeypatch: Patch
) -> None:
    key = with_own_key(prod)
    COUNTS[name](prod, monkeypatch)
    if twin:
        monkeypatch.setattr("modelspine.attestation.trust.file_at", git_show)
        assert load_trust(settings(prod), "prod").find(key.id) is not None, "the attack is one"
        return
    why = "than its hash says" if name == "changed_object" else "differs from the committed version"
    with pytest.raises((Refused, Unavailable), match=why):
        load_trust(settings(prod), "prod")


@pytest.mark.parametrize("word", ["--assume-unchanged", "--skip-worktree"])
def test_what_the_index_is_told_to_overlook_is_compared_all_the_same(word: str, prod: Prod) -> None:
    with_own_key(prod)
    prod.git("update-index", word, TRUST_FILE)
    with pytest.raises(Refused, match="differs from the committed version"):
        load_trust(settings(prod), "prod")


def test_a_repository_inside_of_another_that_holds_the_same_files_is_not_clear(prod: Prod, monkeypatch: Patch) -> None:
    with_own_key(prod)
    root = prod.root / "p"
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    with pytest.raises(Unavailable, match="is a repository of its own"):
        file_at(root, root / TRUST_FILE)
    monkeypatch.setattr(git_files, "_check_one_repository", lambda top: None)
    assert file_at(root, root / TRUST_FILE) is not None, "the twin reads the inner one"


def test_a_submodule_and_an_untracked_repository_are_their_own(prod: Prod) -> None:
    inner = prod.root / "inner"
    subprocess.run(["git", "init", "-q", str(inner)], check=True)
    (inner / "file").write_text("content")
    for words in (["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=inner, check=True, capture_output=True)
    assert file_at(inner, inner / "file") == b"content"
    prod.commit()  # as a link to a commit, which is how a submodule is kept
    assert file_at(inner, inner / "file") == b"content"


def test_a_bare_repository_in_the_tree_does_not_answer(prod: Prod) -> None:
    """Its folders can be committed like any other files, with settings of its own."""
    folder = prod.root / "p"
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    plain = ["git", "-C", str(folder), "rev-parse", "--git-dir"]
    assert subprocess.check_output(plain, text=True).strip() == ".", "plain git takes it"
    assert run_git(folder, "rev-parse", "--git-dir").returncode != 0
    assert file_at(folder, prod.root / TRUST_FILE) == (prod.root / TRUST_FILE).read_bytes()


def test_a_link_is_no_baseline(prod: Prod, tmp_path: Path) -> None:
    file = prod.root / BASELINE_FILE
    (tmp_path / "other.json").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(tmp_path / "other.json")
    assert in_force(settings(prod), BASELINE, committed=True), "the committed bytes count, wherever they are read from"
    prod.commit()
    with pytest.raises(Refused, match="is not committed as a plain file"):
        in_force(settings(prod), BASELINE, committed=True)


def test_a_branch_without_commits_does_not_make_the_file_on_disk_count(prod: Prod) -> None:
    key = with_own_key(prod)
    prod.git("symbolic-ref", "HEAD", "refs/heads/none")
    with pytest.raises(Refused, match="is not committed"):
        load_trust(settings(prod), "prod")
    assert load_trust(settings(prod), "dev").find(key.id) is not None


def test_a_repository_of_another_user_is_refused_in_gits_words(prod: Prod) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    for folder in (prod.root, prod.root / ".git"):
        os.chown(folder, 12345, 12345)
    with pytest.raises(Unavailable, match="dubious ownership"):
        load_trust(settings(prod), "prod")


# settings -----------------------------------------------------------------------------------------------------------


def strict(prod: Prod, file: str) -> None:
    """Commit settings that name another baseline and a workload; the default name stays committed too."""
    (prod.root / "strict.json").write_bytes((prod.root / BASELINE_FILE).read_bytes() + b"\n")
    table = "" if file == "spine.toml" else "[tool.spine]\n"
    (prod.root / file).write_text(f'{table}eval_baseline = "strict.json"\nworkload = "titles"\n')
    prod.commit()


def deleted(root: Path, file: str) -> None:
    (root / file).unlink()


def shadowed(root: Path, file: str) -> None:
    """Settings in a file that comes before, or in the same one."""
    (root / "spine.toml").write_text('actor = "me"\n')


def edited(root: Path, file: str) -> None:
    table = "" if file == "spine.toml" else "[tool.spine]\n"
    (root / file).write_text(f'{table}eval_baseline = "{BASELINE_FILE}"\n')


@pytest.mark.parametrize("file", ["spine.toml", "pyproject.toml"])
@pytest.mark.parametrize("change", [deleted, shadowed, edited])
def test_settings_on_disk_choose_no_other_committed_file(
    change: Callable[[Path, str], None], file: str, prod: Prod, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    strict(prod, file)
    assert in_force(settings(prod), BASELINE, committed=True).endswith(b"\n\n")
    change(prod.root, file)
    assert must_load(settings(prod)), "the committed settings name the workload"
    with pytest.raises(Refused, match=r"by the settings on disk, but strict\.json by the committed ones"):
        in_force(settings(prod), BASELINE, committed=True)
    monkeypatch.chdir(prod.root)
    head = prod.open().ledger.head()
    assert main(["gate", prod.entries["good"]]) == 1, "no run under another policy is recorded"
    assert prod.open().ledger.head() == head
    monkeypatch.setattr("modelspine.attestation.trust._check_setting", lambda settings, name: None)
    assert not in_force(settings(prod), BASELINE, committed=True).endswith(b"\n\n"), "the twin takes the other file"


@pytest.mark.parametrize("marker", [".spine", "spine.toml", ".git"])
def test_a_folder_of_fixtures_is_no_project_of_its_own(marker: str, prod: Prod, monkeypatch: Patch) -> None:
    """It may hold a committed trust file; whoever puts a marker there must not make it the one that counts."""
    key = with_own_key(prod)
    folder = prod.root / "p"
    if marker == "spine.toml":
        (folder / marker).write_text('home = "../.spine"\n')
    else:
        (folder / marker).symlink_to(Path("..", marker))
    monkeypatch.chdir(folder)
    found = load(environ={})
    assert found.root == folder
    for name in (TRUST, BASELINE):
        with pytest.raises((Refused, Unavailable)):
            in_force(found, name, committed=True)
    (prod.root / KEPT).write_bytes(prod.reseal(prod.data(), key))
    head = prod.open().ledger.head()
    words = ["--semver", "v2.0.0", "--reason", "x", "--verdict", str(prod.root / KEPT)]
    assert main(["promote", prod.entries["good"], *words]) != 0
    assert [event.kind for event in prod.open().ledger.events(head)] in ([], ["denied"])
    if marker == "spine.toml":
        prod.commit()
        assert in_force(load(environ={}), TRUST, committed=True), "once it is committed, it is a project"


@pytest.mark.parametrize("name", ["SPINE_EVAL_BASELINE", "SPINE_TRUST"])
def test_a_variable_names_no_committed_file(name: str, prod: Prod) -> None:
    which, file = (BASELINE, BASELINE_FILE) if "BASE" in name else (TRUST, TRUST_FILE)
    with pytest.raises(Refused, match=f"{name} names the"):
        in_force(settings(prod, **{name: file}), which, committed=True)


def test_an_edited_baseline_records_no_gate_run_in_prod(prod: Prod, monkeypatch: Patch) -> None:
    file = prod.root / BASELINE_FILE
    file.write_bytes(file.read_bytes().replace(b'"tolerance_pp": 2', b'"tolerance_pp": 50'))
    monkeypatch.chdir(prod.root)
    head = prod.open().ledger.head()
    assert main(["gate", prod.entries["bad"]]) == 1
    assert prod.open().ledger.head() == head


# nothing is run -----------------------------------------------------------------------------------------------------

READING = [
    ("rev-parse", "--verify", "HEAD"),
    ("cat-file", "blob", f"HEAD:{TRUST_FILE}"),
    ("cat-file", "-p", "0" * 39 + "1"),
    ("log", "-1", "--format=%H", "--", TRUST_FILE),
    ("ls-files", "-z", "--others", "--exclude-standard"),
    ("update-ref", "refs/heads/new", "HEAD"),
    ("check-ignore", "-q", ".spine/"),
]


def traps(prod: Prod, trap: str) -> None:
    """Name a program wherever a repository can."""
    git = prod.root / ".git"
    config(prod, "core.fsmonitor", trap)
    config(prod, "core.pager", trap)
    config(prod, "log.showSignature", "true")
    for name in ("gpg.program", "gpg.ssh.program", "gpg.x509.program", "diff.external", "core.sshCommand"):
        config(prod, name, trap)
    (git / "hooks").mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-index-change"):
        (git / "hooks" / name).write_text(f"#!/bin/sh\n{trap}\n")
        (git / "hooks" / name).chmod(0o755)
    (git / "info" / "attributes").write_text("* filter=trap diff=trap\n")
    for name in ("filter.trap.clean", "filter.trap.smudge", "diff.trap.textconv", "diff.trap.command"):
        config(prod, name, trap)
    # an object that is missing is fetched from a remote that promises it
    config(prod, "core.repositoryformatversion", "1")
    config(prod, "extensions.partialClone", "promisor")
    config(prod, "remote.promisor.url", str(prod.root))
    config(prod, "remote.promisor.promisor", "true")
    config(prod, "remote.promisor.uploadpack", trap)


@pytest.fixture
def trap(tmp_path: Path) -> tuple[str, Path]:
    """A program that leaves a mark, and the mark."""
    mark, program = tmp_path / "was-run", tmp_path / "trap"
    program.write_text(f"#!/bin/sh\necho x >> {mark}\nexit 1\n")
    program.chmod(0o755)
    return str(program), mark


def test_nothing_that_a_repository_names_is_run(prod: Prod, trap: tuple[str, Path], monkeypatch: Patch) -> None:
    program, mark = trap
    witness = prod.root / "ledger.txt"
    monkeypatch.chdir(prod.root)
    head = prod.open().ledger.head()
    witness.write_text(f"{head.seq}:{head.hash}\n")
    prod.commit()
    traps(prod, program)
    for words in READING:
        run_git(prod.root, *words)
        assert not mark.exists(), words
    for line in (["verify", "--witness", str(witness)], ["info"], ["gate", prod.entries["good"]], ["list"]):
        main(line)
        assert not mark.exists(), line
    sprung = set()
    for words in (*READING, ("diff", "HEAD")):
        subprocess.run(["git", *words], cwd=prod.root, capture_output=True, check=False)
        if mark.exists():
            sprung.add(words[0])
            mark.unlink()
    assert {"ls-files", "update-ref", "diff", "cat-file"} <= sprung, "the traps are live"


def test_a_git_in_the_tree_is_not_run(prod: Prod, trap: tuple[str, Path], monkeypatch: Patch) -> None:
    program, mark = trap
    shutil.copy(program, prod.root / "git")
    monkeypatch.chdir(prod.root)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.environ['PATH']}")
    assert run_git(prod.root, "rev-parse", "HEAD").returncode == 0
    assert not mark.exists()


def test_a_damaged_repository_ends_verify_as_not_checked(prod: Prod, monkeypatch: Patch) -> None:
    monkeypatch.chdir(prod.root)
    name = blob(prod, TRUST_FILE)
    target = prod.root / ".git" / "objects" / name[:2] / name[2:]
    target.chmod(0o644)
    target.write_bytes(b"")
    with pytest.raises(SpineError, match="git misses the object"):
        load_trust(settings(prod), "prod")
    assert main(["verify"]) in (3, 5)
