"""The real command in a real terminal: opened, used, left, and killed; and what hostile data writes to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelspine.spine import Spine
from terminal import SPINE, Terminal

REFUSED = re.compile("[\u200b-\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\u0080-\u009f\U000e0000-\U000e007f]")


@pytest.fixture
def terminal(project: Path) -> Iterator[Any]:
    """Starts the console in a terminal."""
    opened: list[Terminal] = []

    def start(*words: str, **environ: str) -> Terminal:
        opened.append(Terminal(*words, root=project, **environ))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_open_press_keys_and_quit(terminal: Any) -> None:
    console = terminal()
    console.until("production")
    console.press("7")
    console.until("tombstoned")
    console.press("?")
    console.until("open the Ledger screen")
    console.press("\x1b")
    console.read(0.3)
    console.press("q")
    assert console.ended() == 0
    assert console.given_back()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_gives_the_terminal_back_and_is_told(terminal: Any, number: signal.Signals, code: int) -> None:
    console = terminal("--screen", "ledger")
    console.until("tombstoned")
    console.process.send_signal(number)
    assert console.ended() == code
    assert console.given_back()


def test_without_a_terminal_it_says_so(project: Path) -> None:
    done = subprocess.run(
        [SPINE, "console"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SPINE_ROOT": str(project)},
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_color_writes_no_colour(terminal: Any) -> None:
    console = terminal(NO_COLOR="1")
    console.until("production")
    console.press("q")
    assert console.ended() == 0
    codes = {code for found in re.findall(rb"\x1b\[([0-9;]*)m", console.output) for code in found.split(b";")}
    assert not codes & {b"38", b"48"}
    assert not codes & {str(n).encode() for n in (*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108))}


def test_keys_that_come_at_once_are_taken_in_their_order(terminal: Any) -> None:
    console = terminal("--screen", "registry")
    console.until("tombstoned")
    console.press("/lora\r:history 3\r/kind:promoted\r")
    console.until("/kind:promoted")
    console.press("\x03")
    assert console.ended() == 0


def test_a_quit_right_after_a_promotion_was_confirmed(terminal: Any, project: Path, seed: Any) -> None:
    with Spine(seed.settings_of(project), readonly=True) as spine:
        sha = next(e.sha for e in spine.registry.list() if e.status == "pending")
    console = terminal("--write", "--screen", "registry")
    console.until("promote")
    console.until("tombstoned")
    console.press("gjj")
    console.until(sha[:32])
    console.press("P")
    console.until("Fill in the fields")
    console.press(f"quick\r{sha[:12]}\r\x03")
    assert console.ended() == 0
    assert console.given_back()
    parting = console.output.decode("utf-8", "replace").rpartition("\x1b[?1049l")[2]
    command = re.search(r"spine (promote [0-9a-f]{12} .*--key \S+)", parting)
    if command is not None:  # it was under way: the command that was told says what became of it
        env = {**os.environ, "SPINE_ROOT": str(project)}
        done = subprocess.run([SPINE, *command.group(1).split()], capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stderr
    with Spine(seed.settings_of(project), readonly=True) as spine:
        assert sum(e.kind == "promoted" and e.body["sha"] == sha for e in spine.registry.events()) == 1


def test_hostile_data_writes_nothing_of_its_own(terminal: Any, project: Path, seed: Any, strings: list[str]) -> None:
    with Spine(seed.settings_of(project), readonly=False) as spine:
        for text in strings:
            if text.strip() and not any("\ud800" <= c <= "\udfff" for c in text):
                spine.registry.note(text[:120])
    console = terminal("--screen", "ledger")
    console.until("noted")
    for key in ("d", "j", "\t", *"jjjjjjjjjj", "G", *("\x15" * 8)):
        console.press(key)
        console.read(0.06)
    console.press("/")
    console.press("\x1b[200~\x07evil\x1b[201~")
    console.read(0.2)
    console.press("\x1b")
    console.read(0.2)
    console.press("q")
    console.press("q")
    console.ended()
    told = console.output
    for sign in (
        b"\x1b]52",
        b"\x1b]0;",
        b"\x1b]8;",
        b"\x1b[5;31m",
        b"\x1bc",
        b"\x1bP",
        b"\x1b_",
        b"\x1b(0",
        b"\x1b[9999",
    ):
        assert sign not in told, sign
    assert not REFUSED.search(told.decode("utf-8", "replace"))
    assert "PWNED" in told.decode("utf-8", "replace"), "the text itself is shown"
