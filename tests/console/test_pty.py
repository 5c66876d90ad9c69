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
    console.until("holds")  # a line of Home, which is the first screen of an operator who opened none before
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


@pytest.mark.parametrize("number", [None, signal.SIGTSTP, signal.SIGSTOP], ids=["ctrl+z", "TSTP", "STOP"])
def test_after_a_stop_everything_is_drawn_again(terminal: Any, number: signal.Signals | None) -> None:
    """In a shell with job control, as the kernel stops no process that nobody could continue."""
    shell = terminal(shell=True, PS1="ready> ")
    shell.until("ready> ")
    shell.press(f"{SPINE} console --screen registry\n")
    shell.until("tombstoned")
    (job,) = shell.jobs()
    for _ in range(2):
        shell.output = b""
        if number is None:
            shell.press("\x1a")
        else:
            os.kill(job, number)
        shell.until("Stopped")
        shell.until("ready> ")
        if number is not signal.SIGSTOP:  # which gives a program no time to restore anything
            assert b"\x1b[?1049l" in shell.output
            assert b"\x1b[?25h" in shell.output
        shell.output = b""
        shell.press("fg\n")
        shell.until("\x1b[?1049h")
        for text in ("READ-ONLY", "tombstoned", "v0.1.0", "summary", "Registry"):
            shell.until(text)
    shell.output = b""
    shell.press("7")
    shell.until("registered")
    shell.press("q")
    shell.until("ready> ")
    assert shell.jobs() == []
    shell.press("exit\n")
    assert shell.ended() == 0


def test_where_nobody_could_continue_it_ctrl_z_stops_nothing(terminal: Any) -> None:
    console = terminal("--screen", "registry")
    console.until("tombstoned")
    console.output = b""
    console.press("/prom\x1a")  # it works while something is typed, too
    console.until("\x1b[?1049h")
    console.until("/prom")
    console.press("\r")
    console.read(0.3)
    console.press("q")
    assert console.ended() == 0
    assert console.given_back()


def test_what_was_set_and_what_was_left_is_there_at_the_next_start(terminal: Any, project: Path) -> None:
    home = Path(os.environ["HOME"])
    (home / ".config/spine").mkdir(parents=True)
    file = home / ".config/spine/console.toml"
    file.write_text('[keys]\nscreen_ledger = "f7"\n')
    console = terminal(TERM="xterm-256color", COLORTERM="")
    console.until("holds")
    console.press("\x1b[18~")
    console.until("registered")
    console.press("T")
    console.until("48;5;231")
    console.press("q")
    assert console.ended() == 0
    assert b";2;" not in b"".join(re.findall(rb"\x1b\[([0-9;]*)m", console.output)), "colours have numbers"
    assert b"48;5;231" in console.output, "the ground of the theme that was chosen last"
    again = terminal(TERM="xterm-256color", COLORTERM="")
    again.until("registered")
    again.press("q")
    assert again.ended() == 0
    assert b"48;5;231" in again.output
    file.write_text("[keys]\nscreen_ledgr = 'x'\n")
    refused = terminal()
    assert refused.ended() == 2
    assert b"did you mean screen_ledger or" in refused.output
    assert str(file).encode() in refused.output.replace(b"\r\n", b"")


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
    console.until("evil")
    console.press("\x1b")
    console.read(0.5)  # a busy machine would otherwise read it and the next key as one
    console.press("\x03")
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
