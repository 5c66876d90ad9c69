"""What a deployment starts and ends with: the request in ``candidate.toml``, stores in reach, the witness."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_world import check_refused, run
from modelspine.identity.bundle import read_bundle
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
SHA = "ab" * 32
GOOD = {"run_id": "0123abcd", "sha": SHA, "semver": "v1.2.0", "reason": "mends “went”"}


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def write(root: Path, **values: object) -> None:
    lines = [f"{name} = {value if isinstance(value, int) else quoted(str(value))}\n" for name, value in values.items()]
    (root / "candidate.toml").write_text("".join(lines), encoding="utf-8")


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isalnum() or c in " .-_“”" else f"\\U{ord(c):08x}" for c in text) + '"'


def test_a_request_is_read_as_outputs_of_a_step(here: Path, capsys: Capture) -> None:
    write(here, **GOOD)
    done = run(capsys, "gate", "--candidate", "candidate.toml")
    assert (done.code, done.out) == (0, "".join(f"{name}={value}\n" for name, value in GOOD.items()))
    assert run(capsys, "gate", "--candidate", "candidate.toml", "--json").json == GOOD


@pytest.mark.parametrize(
    "spoiled",
    [
        {"run_id": "--help"}, {"run_id": "a b"}, {"run_id": "$(id)"}, {"run_id": ""}, {"run_id": "x" * 65},
        {"sha": "ab"}, {"sha": SHA.upper()}, {"sha": f"{SHA}\n"}, {"semver": "1.2"}, {"semver": "v1.2.0\nsha=x"},
        {"reason": " "}, {"reason": "a\nsha=0"}, {"reason": "\x1b[31m"}, {"reason": "x" * 301}, {"reason": "a\u202eb"},
        {"reason": 7}, {"more": "x"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_request_that_is_not_plain_is_refused(here: Path, capsys: Capture, spoiled: dict[str, object]) -> None:
    write(here, **{**GOOD, **spoiled})
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml"), 2)


def test_a_request_that_lacks_something_or_is_not_there_is_refused(here: Path, capsys: Capture) -> None:
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml"), 2)
    for name in GOOD:
        write(here, **{key: value for key, value in GOOD.items() if key != name})
        check_refused(run(capsys, "gate", "--candidate", "candidate.toml"), 2)
    (here / "candidate.toml").write_text("[")
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml"), 2)


@pytest.mark.long
@pytest.mark.slow
def test_the_runs_bundle_is_fetched_and_another_model_is_refused(here: Path, make_bundle, capsys: Capture) -> None:  # type: ignore[no-untyped-def]
    write(here, **GOOD)
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "new"), 3)
    with open_spine(here) as spine:
        store: Artifacts = spine.artifacts
    folder = make_bundle(1)
    run_id = store.put(folder, experiment="x", name="x", tags={})
    sha = read_bundle(folder).sha
    write(here, **{**GOOD, "run_id": run_id, "sha": sha})
    assert run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "new/bundle").code == 0
    assert read_bundle(here / "new" / "bundle").sha == sha
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "new/bundle"), 2)
    write(here, **{**GOOD, "run_id": run_id})
    done = run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "other")
    check_refused(done, 5)
    assert sha[:12] in done.err
    assert SHA[:12] in done.err
    assert not (here / "other").exists()
    write(here, **{**GOOD, "run_id": "0" * 32})
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "other"), 2)
    child = make_bundle(2, parent=sha)
    for above, code in ((None, 0), (store.put(child, experiment="x", name="x", tags={}), 5), (run_id, 0)):
        tags = {"mlflow.parentRunId": above} if above else {}
        below = store.put(child, experiment="x", name="x", tags=tags)
        write(here, **{**GOOD, "run_id": below, "sha": read_bundle(child).sha})
        assert run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", f"new/{below}").code == code
        assert (here / ".spine" / "cache" / sha).is_dir() == (above == run_id), "it comes from the run above, verified"


def test_what_does_not_answer_is_named(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(capsys, "info", "--reach")
    check_refused(done, 3)
    assert "MLflow" in done.err
    with monkeypatch.context() as patch:
        patch.setattr(Artifacts, "reach", lambda _self: None)
        done = run(capsys, "info", "--reach")
        check_refused(done, 3)
        assert "DVC" in done.err
        (here / ".dvc").mkdir()
        (here / ".dvc" / "config").write_text("")
        patch.setenv("SPINE_DVC_REMOTE", str(here / "gone"))
        check_refused(run(capsys, "info", "--reach"), 3)
        (here / "gone").mkdir()
        assert run(capsys, "info", "--reach", "--json").json == {"reached": ["ledger", "mlflow", "dvc"]}
        patch.setenv("SPINE_LEDGER", f"sqlite:///{here}/nowhere.db")
        check_refused(run(capsys, "info", "--reach"), 3)


def test_a_server_that_is_gone_is_told_without_its_password(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_MLFLOW", "http://ci:hunter2@127.0.0.1:9")
    done = run(capsys, "info", "--reach")
    check_refused(done, 3)
    assert "MLflow did not answer" in done.err
    assert "hunter2" not in done.err


def test_the_witness_keeps_each_head_and_finds_a_ledger_that_forgot_one(here: Path, capsys: Capture) -> None:
    witness = here / "ledger.txt"
    check_refused(run(capsys, "verify", "--keep"), 2)
    check_refused(run(capsys, "verify", "--witness", "ledger.txt"), 2)
    witness.touch()
    for more in ((), ("--keep",)):
        empty = run(capsys, "verify", "--witness", "ledger.txt", *more)
        assert empty.code == 5, "a witness of nothing is never sound"
        assert "the witness file is empty" in empty.out
    witness.unlink()
    assert "checkpoints" not in run(capsys, "verify").out
    for _ in range(2):
        assert run(capsys, "verify", "--witness", "ledger.txt", "--keep").code == 0
    first = run(capsys, "verify", "--json").json["checkpoint"]
    assert witness.read_text() == f"{first}\n"
    before = (here / ".spine" / "ledger.db").read_bytes()
    run(capsys, "note", "more")
    assert run(capsys, "verify", "--witness", "ledger.txt", "--keep").code == 0
    assert len(witness.read_text().splitlines()) == 2
    (here / ".spine" / "ledger.db").write_bytes(before)
    for file in (here / ".spine").glob("ledger.db-*"):
        file.unlink()
    kept = witness.read_text()
    done = run(capsys, "verify", "--witness", "ledger.txt", "--keep")
    assert done.code == 5
    assert "the ledger was truncated" in done.out
    assert witness.read_text() == kept, "what is not sound is not witnessed"
    witness.write_text("7\n")
    check_refused(run(capsys, "verify", "--witness", "ledger.txt"), 2)
