"""Words that are no command, a file where a folder belongs, a full disk: each says what to give instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_world import check_refused, run

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("traces", "lst"), "there is no command `spine traces lst`", "there are list, show, export, claim: "),
        (("route", "go"), "there is no command `spine route go`", "there are show, epochs, report, tester, "),
        (("corpus",), "`spine corpus` needs one of its commands", "there are get, grep: "),
        (("keys", "\x1b[2J"), "there is no command `spine keys ", "there are new: "),
        (("drift", "show", "2026-11-29"), "unknown arguments: 2026-11-29",
         "a day is given as `--day 2026-11-29`; `spine drift show --help` shows the usage"),
        (("evaluate", "import", "a", "b"), "unknown arguments: b", "`spine evaluate import --help` shows the usage"),
        (("gate", "v0.1.0", "2026-11-29"), "unknown arguments: 2026-11-29", "`spine gate --help` shows the usage"),
    ],
)  # fmt: skip
def test_words_that_are_no_command_line_say_which_there_are(
    capsys: Capture, tmp_path: Path, words: tuple[str, ...], message: str, hint: str
) -> None:
    done = run(capsys, *words, root=tmp_path)
    check_refused(done, 2)
    first, second = done.err.splitlines()
    assert first.startswith(f"spine: {message}")
    assert second.strip().startswith(hint)
    assert "\x1b" not in done.err


def test_sha_of_a_file_says_what_to_give(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    done = run(capsys, "sha", str(tmp_path / "weights.bin"))
    check_refused(done, 2)
    assert "weights.bin is not a folder, and a bundle is one" in done.err
    assert "give the folder in which config.json" in done.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("words", [["--help"], ["sha", "--help"], ["route", "--help"], ["list", "--help-all"]])
def test_help_that_cannot_be_written_is_not_a_success(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [str(Path(sys.executable).with_name("spine")), *words], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 3
    assert b"No space left on device" in done.stderr
