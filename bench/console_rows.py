"""Bench group console: time to the first frame and from key press to repaint, compared with a plain Textual DataTable.

Everything is measured from outside, on a pseudo terminal, from the start of the process or the key press to the bytes
that draw the result.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import stores
from rows import Row

PEER = """
import sys
from textual.app import App
from textual.widgets import DataTable
from modelspine.spine import open_spine

class Peer(App):
    def compose(self):
        yield DataTable(cursor_type="row")
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("status", "semver", "sha", "variant", "accuracy", "false accepts", "age")
        with open_spine(readonly=True) as spine:
            for e in reversed(spine.registry.list()):
                cells = (e.status, e.semver, e.sha[:12], e.variant, e.accuracy, e.false_accept, e.registered_at)
                table.add_row(*map(str, cells))
        table.focus()
Peer().run()
"""


class Screen:
    """A process on a pseudo terminal."""

    def __init__(self, words: list[str], root: Path, **environ: str) -> None:
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env = {**kept, "SPINE_ROOT": str(root), "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ}
        self.output = b""
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            words, stdin=self.follower, stdout=self.follower, stderr=self.follower, env=env, start_new_session=True
        )

    def until(self, *texts: bytes, limit: float = 120.0) -> float:
        """Return the seconds from the start until each of the texts first appeared."""
        while not all(text in self.output for text in texts):
            if time.perf_counter() - self.started > limit:
                raise TimeoutError(f"{texts!r} never appeared")
            self._read(0.5)
        return time.perf_counter() - self.started

    def key(self, key: bytes, sign: bytes) -> float | None:
        """Return the seconds from a key press until ``sign`` was written; None if it never was."""
        while self._read(0.05):
            pass
        self.output = b""
        start = time.perf_counter()
        os.write(self.leader, key)
        while sign not in self.output:
            if time.perf_counter() - start > 2.0:
                return None
            self._read(0.2)
        return time.perf_counter() - start

    def ended(self) -> float:
        """Return the seconds from the start to the end of the process."""
        while self.process.poll() is None:
            self._read(0.01)
        return time.perf_counter() - self.started

    def close(self) -> None:
        """Kill the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.leader)
        os.close(self.follower)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.leader], [], [], seconds)
        if ready:
            self.output += os.read(self.leader, 1 << 16)
        return bool(ready)


def measure(words: list[str], root: Path, sign: bytes, rows: bytes, keys: int) -> dict[str, float]:
    """Measure first frame, first rows, and key to repaint of one program, in seconds."""
    frames, listed = [], []
    for _ in range(3):
        screen = Screen(words, root)
        frames.append(screen.until(b"\x1b[?1049h", sign))
        listed.append(screen.until(rows))
        screen.close()
    screen = Screen(words, root)
    screen.until(rows)
    time.sleep(1.0)
    taken = [seconds for _ in range(keys) if (seconds := screen.key(b"\x1b[B", CURSOR[sign])) is not None]
    screen.close()
    ordered = sorted(taken)
    return {
        FRAME: statistics.median(frames),
        "rows on screen": statistics.median(listed),
        "key to repaint, p50": ordered[len(ordered) // 2],
        P95: ordered[int(len(ordered) * 0.95)],
    }


FRAME, P95 = "first frame", "key to repaint, p95"
CONSOLE_SIGN, PEER_SIGN = b"READ-ONLY", b"semver"
CURSOR = {CONSOLE_SIGN: "▌".encode(), PEER_SIGN: b"\x1b["}


def rows(entries: int = 10_000, keys: int = 120) -> Iterator[Row]:
    """Yield the rows of this group."""
    spine = str(Path(sys.executable).with_name("spine"))
    with tempfile.TemporaryDirectory() as folder:
        root = stores.ledger(Path(folder), entries)
        count = f"{entries:,} of {entries:,}".encode()
        ours = measure([spine, "console", "--screen", "registry"], root, CONSOLE_SIGN, count, keys)
        peer = measure([sys.executable, "-c", PEER], root, PEER_SIGN, b"fp32", keys)
    budgets = {FRAME: 1000.0, P95: 50.0}
    for name, seconds in ours.items():
        what = f"console, {entries:,} entries: {name}"
        yield Row(what, 1000 * seconds, "ms", budgets.get(name), "Textual DataTable", 1000 * peer[name])
