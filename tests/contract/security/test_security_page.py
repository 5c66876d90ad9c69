"""Every command of docs/SECURITY.md is one, and does there what the page says on a small prod project."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cli_world import leave_trace, run
from modelspine.cli.verbs import parse
from modelspine.errors import SpineError
from prod import Prod, make_prod

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "SECURITY.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]
PROMISES = re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)

CODES = {
    'promote production --semver v9.9.9 --reason "no verdict"': (1, "only verdicts signed by CI"),
    'promote production --semver v9.9.9 --reason "dev only" --override-gate': (1, "only in a dev ledger"),
    'promote production --semver v9.9.9 --reason "decided on an old state" --expect 1': (4, "the ledger moved"),
    "gate production --sign": (2, "there is no key to sign with"),
    "gate production --sign --tolerance-pp 9": (2, "a signed verdict uses the committed ones"),
    "lineage production --verify": (3, "could not be checked"),
    "corpus grep production went": (2, "names no corpus"),
}
"""What ends in another way than well, on a small project without corpora and keys."""


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Prod:
    made = make_prod(tmp_path_factory.mktemp("security") / "prod")
    sound = made.root / ".spine" / "made" / "corrupt" / "model.safetensors"
    (made.root / ".spine" / "cache" / made.entries["corrupt"] / sound.name).write_bytes(sound.read_bytes())
    leave_trace(made.root, "req-secure-1", "he goed", "HE GOED")
    return made


def test_the_page_has_commands_under_every_promise() -> None:
    assert len(COMMANDS) > 20
    assert len(PROMISES) == 7
    for name, text in PROMISES:
        assert "```sh\nspine " in text, name
        assert text.count("\n- **") >= 2, name


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_a_command_of_the_page_runs_as_the_page_says(
    command: str, prod: Prod, echo: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    twin = prod.copy(tmp_path / "twin")
    monkeypatch.chdir(twin.root)
    if not command.startswith("spine "):
        assert subprocess.run(shlex.split(command), check=True, capture_output=True).stdout
        return
    with twin.open() as spine:
        head = spine.ledger.head()
    given = {"production": twin.entries["first"], "checkpoint": f"{head.seq}:{head.hash}", "request": "req-secure-1"}
    words = shlex.split(command.format(**given))[1:]
    assert parse(words).run
    if "--web" in words:
        _served(words, twin.root)
        return
    code, said = CODES.get(command.removeprefix("spine "), (0, ""))
    done = run(capsys, *words)
    assert (done.code, said in done.err) == (code, True), done


def _served(words: list[str], root: Path) -> None:
    """A command that serves until it is ended: its address works once, and not from a page of another site."""
    spine = Path(sys.executable).with_name("spine")
    with subprocess.Popen([spine, *words], cwd=root, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        codes = [_status(address, {"Origin": "http://other.example"}), _status(address, {"Host": "other.example"})]
        codes += [_status(address, {}), _status(address, {})]
        server.terminate()
    assert codes == [403, 403, 200, 403]
    assert server.returncode == 0


def _status(address: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_command_that_is_none_would_be_seen() -> None:
    """The harness can fail: a flag that does not exist is no command line."""
    for command in ("promote production --semver v1.0.0 --reason x --force", "verify --fast", "unlock"):
        with pytest.raises(SpineError):
            parse(command.split())


def test_variables_and_files_that_are_named_exist() -> None:
    root = Path(__file__).resolve().parents[3]
    source = "".join(file.read_text(encoding="utf-8") for file in (root / "core").rglob("*.py"))
    for name in set(re.findall(r"`(SPINE_[A-Z_]+)`", PAGE)):
        assert name in source or name.removeprefix("SPINE_").lower() in source, name
    for name in set(re.findall(r"`(tests/[a-z_/.]+|docs/[A-Za-z_/.]+)`", PAGE)):
        assert (root / name).is_file(), name
