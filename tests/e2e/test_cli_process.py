"""The installed ``spine`` as a process: its exit code, closed and full outputs, signals, a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_world import HOSTILE, World, make_world
from modelspine.spine import open_spine

SPINE = str(Path(sys.executable).with_name("spine"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("cli") / "project")
    with open_spine(world.root) as spine:
        for number in range(400):
            spine.registry.note(f"{number} " + "x" * 200)
    return world


def shell(world: World, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=world.root,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SPINE": SPINE},
    )


def test_a_command_and_its_code(world: World) -> None:
    assert json.loads(shell(world, "$SPINE list --json").stdout)["entries"][0]["sha"] == world.silent
    wrong = shell(world, "$SPINE show nosuch")
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 2)


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("$SPINE history | head -1; echo ${PIPESTATUS[0]}", "0"),
        ("$SPINE history --json | head -c 10; echo; echo ${PIPESTATUS[0]}", "0"),
        ("$SPINE verify | true; echo ${PIPESTATUS[0]}", "0"),
        ("$SPINE show nosuch --json | true; echo ${PIPESTATUS[0]}", "2"),
        ("$SPINE list >&-; echo $?", "0"),
        ("$SPINE show nosuch >&- 2>&-; echo $?", "2"),
        ("$SPINE list >&- 2>&- <&-; echo $?", "0"),
    ],
)
def test_a_reader_that_goes_away_changes_nothing(world: World, line: str, codes: str) -> None:
    done = shell(world, line)
    assert done.stdout.splitlines()[-1] == codes
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_change_whose_receipt_nobody_reads_is_made_all_the_same(world: World) -> None:
    done = shell(world, "$SPINE note 'said into the void' | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout.split(), done.stderr) == (["0"], "")
    with open_spine(world.root, readonly=True) as spine:
        assert [event.body.get("text") for event in spine.registry.events()].count("said into the void") == 1
    assert shell(world, "$SPINE verify").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output(world: World) -> None:
    done = shell(world, "$SPINE history > /dev/full")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 2)
    assert "No space left" in done.stderr


def test_an_output_that_has_no_such_signs(world: World) -> None:
    done = shell(world, "PYTHONIOENCODING=ascii $SPINE list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? production" in done.stdout


def test_ctrl_c(world: World) -> None:
    code = """
import time
import modelspine.registry.registry
modelspine.registry.registry.Registry.list = lambda *_: print("up", flush=True) or time.sleep(30)
from modelspine.cli import main
raise SystemExit(main(["list"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=world.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert (process.returncode, len(told.splitlines())) == (130, 2)


def on_a_terminal(world: World, *words: str, **environment: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; its exit code and everything it wrote there."""
    master, slave = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(
        [SPINE, *words], cwd=world.root, env=environ, stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        written = b"".join(iter(lambda: _piece(master), b""))
    os.close(master)
    return process.returncode, written.decode()


def _piece(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux says so when the last writer is gone
        return b""


def test_colours_on_a_terminal_alone(world: World) -> None:
    code, seen = on_a_terminal(world, "list")
    assert code == 0
    assert "\x1b[32m● production\x1b[0m" in seen
    for plain in (
        on_a_terminal(world, "list", NO_COLOR="1"),
        on_a_terminal(world, "list", "--no-color"),
        on_a_terminal(world, "list", TERM="dumb"),
    ):
        assert plain[0] == 0
        assert "\x1b" not in plain[1]
        assert "● production" in plain[1]


def test_no_foreign_escape_on_a_terminal(world: World) -> None:
    with open_spine(world.root) as spine:
        spine.registry.note(HOSTILE)
    for words in (("history", "--limit", "3"), ("history", "--limit", "3", "--json")):
        _, seen = on_a_terminal(world, *words, NO_COLOR="1")
        assert "pgne" not in seen
        assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(seen)
