"""Runs the demo's commands in the working directory, after printing them as a person would type them.

It does not know which commands there are.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

_READY_SECONDS = 30


class StepFailed(Exception):
    """A command failed; its own output says why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit {code}")
        self.code = code


def step(*words: str, check: bool = True, quiet: bool = False, mute: bool = False) -> int:
    """Run one command in the foreground and return its exit code.

    Args:
        words: the command and its arguments.
        check: raise for an exit code other than 0.
        quiet: do not print the command line.
        mute: discard the command's output.

    Raises:
        StepFailed: ``check`` is set and the exit code is not 0.
    """
    if not quiet:
        show(words)
    code = subprocess.run(
        [*_program(words[0]), *words[1:]], check=False, stdout=subprocess.DEVNULL if mute else None
    ).returncode
    if check and code:
        raise StepFailed(code)
    return code


def json_of(*words: str) -> Any:
    """Run a command with ``--json`` and return its decoded output.

    Raises:
        StepFailed: the exit code is not 0.
    """
    environment = {**os.environ, "SPINE_QUIET": "1"}
    command = [*_program(words[0]), *words[1:], "--json"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, env=environment)
    if done.returncode:
        raise StepFailed(done.returncode)
    return json.loads(done.stdout)


def show(words: Sequence[str]) -> None:
    """Print a command line."""
    prefix = "python -m " if words[0] == "minitutor" else ""
    print(f"$ {prefix}{shlex.join(words)}", flush=True)


def say(text: str) -> None:
    """Print an explanation between two commands."""
    print(f"\n# {text}", flush=True)


@contextmanager
def server() -> Iterator[Callable[[], str]]:
    """Run a server that accepts replayed traffic while the block runs.

    Yields a function that waits until the server is ready and returns its URL, so that other work can be done while
    it starts.
    """
    words = ("spine", "serve", "--port", "0", "--allow-replay")
    print(f"$ {shlex.join(words)} &", flush=True)
    log = Path(".spine/serve.log")
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            # A session of its own, so that Ctrl-C does not reach it directly and requests in flight are finished.
            [*_program(words[0]), *words[1:]],
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield lambda: _url(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text(encoding="utf-8", errors="replace")
        start = text.find("http://")
        if start >= 0 and "\n" in text[start:]:
            return text[start:].split()[0]
        time.sleep(0.05)
    print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
    print(f"the server did not start; its log above is in {log}", file=sys.stderr)
    raise StepFailed(3)


class Background:
    """Commands that run one after the other beside the story; each makes a folder that is waited for.

    The folder is complete or not there. Used as a context: leaving it ends what still runs.
    """

    def __init__(self) -> None:
        self._wanted: dict[Path, tuple[str, ...]] = {}
        self._running: tuple[Path, subprocess.Popen[bytes]] | None = None
        self._after: Path | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._running is not None:
            self._running[1].terminate()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def start(self, commands: Sequence[tuple[tuple[str, ...], Path]], *, after: Path) -> None:
        """Begin with what is not there yet, once the folder ``after`` is being made: it makes what all share."""
        self._wanted = {folder: words for words, folder in commands if not folder.is_dir()}
        self._after = after
        if self._wanted:
            self._thread.start()

    def wait(self, folder: Path) -> None:
        """Wait until a folder is there, or its command has ended without making it."""
        if folder in self._wanted and not folder.is_dir():
            print(f"# waiting for {folder.name}, which is trained beside this", flush=True)
        while folder in self._wanted and not folder.is_dir() and self._thread.is_alive():
            time.sleep(0.2)

    def _work(self) -> None:
        log = Path(".spine/background.log")
        while not self._stopping.wait(0.5):
            if _has_run(Path(".spine/mlflow.db")) or (self._after is not None and self._after.is_dir()):
                break
        for folder, words in list(self._wanted.items()):
            if self._stopping.is_set():
                return
            with log.open("ab") as stream:
                process = subprocess.Popen([*_program(words[0]), *words[1:]], stdout=stream, stderr=stream)
                self._running = (folder, process)
                process.wait()
            self._running = None
            self._wanted.pop(folder, None)


def _has_run(database: Path) -> bool:
    """Whether MLflow's store is made and has a run: two processes that make it at once are in each other's way."""
    if not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            return bool(opened.execute("SELECT 1 FROM runs LIMIT 1").fetchall())
    except sqlite3.Error:
        return False


def _program(name: str) -> list[str]:
    """The command line that starts ``spine``, one of this package's commands, or ``git``."""
    if name == "minitutor":
        return [sys.executable, "-P", "-m", "minitutor"]
    if name == "git":
        return ["git"]
    return [str(Path(sys.executable).with_name(name))]
