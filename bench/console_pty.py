"""A process on a pseudo terminal of 120×40, as the console's bench sees it: what it writes, when, and its memory."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

COLUMNS, ROWS = 120, 40
_QUIET = 0.05
"""Seconds without output after which a screen counts as at rest before a key is pressed."""
_PAUSE = 0.004
"""Seconds without output that end a repaint."""
_PATIENCE = 2.0
_SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """A process on a pseudo terminal."""

    def __init__(self, words: list[str], root: Path, **environ: str) -> None:
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        for name in ("COLUMNS", "LINES"):  # they would override this terminal's size
            kept.pop(name, None)
        # A home of its own, so that neither the settings nor the last screen of this user count.
        home = {"HOME": str(root), "XDG_STATE_HOME": str(root / "state"), "XDG_CONFIG_HOME": str(root / "config")}
        env = {**kept, **home, "SPINE_ROOT": str(root), "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ}
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

    def key(self, key: bytes) -> float | None:
        """Return the seconds from a key press until its repaint was written; None if nothing was within two seconds.

        The repaint is the first output with a text, up to the next pause: a clock that only moves the cursor is none.
        """
        self.rest(_QUIET)
        self.output = b""
        start = done = time.perf_counter()
        os.write(self.leader, key)
        while not _SEQUENCE.sub(b"", self.output).strip():
            if time.perf_counter() - start > _PATIENCE:
                return None
            self._read(0.2)
            done = time.perf_counter()
        while self._read(_PAUSE):
            done = time.perf_counter()
        return done - start

    def change(self, key: bytes, seconds: float) -> int:
        """Return the bytes that were written in the seconds after a key press."""
        self.rest(_QUIET)
        self.output = b""
        end = time.perf_counter() + seconds
        os.write(self.leader, key)
        while (left := end - time.perf_counter()) > 0:
            self._read(left)
        return len(self.output)

    def rest(self, seconds: float, limit: float = 60.0) -> None:
        """Read until nothing was written for some seconds."""
        end = time.perf_counter() + limit
        while self._read(seconds) and time.perf_counter() < end:
            pass

    def memory(self) -> float:
        """Return the resident memory of the process in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

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
            self.output += os.read(self.leader, 65536)
        return bool(ready)
