"""The console as a process on a pseudo terminal: reads its output and sends it keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

SPINE = Path(sys.executable).with_name("spine")


class Terminal:
    """One process on a pseudo terminal."""

    def __init__(
        self, *words: str, root: Path, columns: int = 120, rows: int = 36, shell: bool = False, **environ: str
    ) -> None:
        """A console with these words; with ``shell``, an interactive shell that has job control and no job yet."""
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.follower = follower
        self.before = termios.tcgetattr(follower)
        env = {**os.environ, "SPINE_ROOT": str(root), "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ}
        for name in ("COLUMNS", "LINES"):  # inherited from the test runner, these would override this terminal's size
            env.pop(name, None)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "-i"] if shell else [SPINE, "console", *words],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=env,
            start_new_session=not shell,
            cwd=root,
        )
        self.output = b""

    def read(self, seconds: float) -> None:
        """Read the output of some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.leader], [], [], left)
            if not ready:
                return
            self.output += os.read(self.leader, 65536)

    def until(self, text: str, seconds: float = 60.0) -> None:
        """Wait until a text is written."""
        end = time.monotonic() + seconds
        while text.encode() not in self.output:
            assert time.monotonic() < end, f"{text!r} never came: {self.output[-600:]!r}"
            self.read(0.05)

    def press(self, keys: str) -> None:
        """Write keys as a keyboard would."""
        os.write(self.leader, keys.encode())

    def jobs(self) -> list[int]:
        """The processes that the shell has started."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def ended(self, seconds: float = 10.0) -> int:
        """Wait for the process and return its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.read(0.1)
        return self.process.wait(timeout=1)

    def given_back(self) -> bool:
        """Whether the terminal was restored: screen, cursor, mouse and line discipline."""
        tail = self.output[-4000:]
        return (
            termios.tcgetattr(self.follower)[:4] == self.before[:4]
            and b"\x1b[?1049l" in tail
            and b"\x1b[?25h" in tail
            and b"\x1b[?1000l" in tail
        )

    def close(self) -> None:
        """Kill the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.leader)
        os.close(self.follower)
