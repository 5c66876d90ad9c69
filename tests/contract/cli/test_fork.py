"""What a job of a fork is told, which has no variables, and a clone that has no history."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from modelspine.cli import main
from prod import Prod, make_prod

CANDIDATE = f'source = "{"0" * 32}"\nsha = "{"1" * 64}"\nsemver = "v1.0.0"\nreason = "x"\n'
COMMANDS = {
    "SPINE_MLFLOW": ["gate", "--candidate", "candidate.toml", "--fetch", "bundle"],
    "SPINE_DVC_REMOTE": ["corpus", "get", "0" * 32],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prod:
    return make_prod(tmp_path_factory.mktemp("fork") / "p")


@pytest.mark.parametrize("value", ["", None, "elsewhere"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_variable_is_named_where_its_store_cannot_be_read(
    name: str, value: str | None, made: Prod, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.root / "candidate.toml").write_text(CANDIDATE)
    monkeypatch.chdir(made.root)
    for each in COMMANDS:
        monkeypatch.delenv(each, raising=False)
    if value is not None:
        given = value and f"sqlite:///{made.root / value}.db"
        monkeypatch.setenv(name, given)
    assert main(COMMANDS[name]) in (2, 3)
    said = capsys.readouterr().err
    assert (f"{name} is set and empty here, as in a pull request from a fork" in said) is (value == "")
    assert ("a maintainer has to run this" in said) is (value == "")


def test_a_fork_that_cannot_fetch_the_eval_set_is_told_so(
    made: Prod, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("SPINE_DVC_REMOTE", "")
    assert main(["evaluate", "--fetch"]) != 0
    assert "SPINE_DVC_REMOTE is set and empty here" in capsys.readouterr().err


def test_a_clone_of_depth_one_says_that_it_lacks_the_history(
    made: Prod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict's commit is not in it, and neither are the lines that its witness once had."""
    prod = made.copy(tmp_path / "p")
    head = prod.open().ledger.head()
    for line in (f"{head.seq}:{head.hash}\n", f"{head.seq}:{head.hash}\n\n"):
        (prod.root / "ledger.txt").write_text(line)
        prod.commit()
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{prod.root}", str(clone)], check=True)
    (prod.root / ".spine").rename(clone / ".spine")
    monkeypatch.chdir(clone)
    main(["verify", "--witness", "ledger.txt"])
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"that are not here \([0-9a-f]{12}\); this is a shallow clone", said)
    assert "whether older commits removed lines from the witness" in said
