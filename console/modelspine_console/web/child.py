"""One console as a process, driven by messages in place of a terminal.

Textual's driver for browsers writes packets to its standard output and reads packets from its standard input: one byte
of kind, four bytes of length, and the content. This module speaks that format and ends the process with everything it
started; it does not know what is drawn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from modelspine_console.web import DRIVER

_NAMES = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "NO_COLOR", "SSL_CERT_FILE",
     "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSH_AUTH_SOCK")
)  # fmt: skip
_PREFIXES = ("LC_", "XDG_", "SPINE_", "PG", "MLFLOW_", "DVC_", "AWS_", "AZURE_", "GOOGLE_", "OPENBLAS_", "OMP_")
_NEVER = frozenset(("SPINE_SIGNING_KEY",))
"""A console signs nothing."""
_HELLO = b"__GANGLION__\n"
"""What the driver writes before its first packet."""
_MOST_BYTES = 64_000_000
_GRACE = 3.0
"""Seconds that a console has to end by itself."""
_WIDEST, _HIGHEST = 1000, 500

Send = Callable[[bytes], Awaitable[None]]


def environment(parent: Mapping[str, str], width: int, height: int) -> dict[str, str]:
    """The variables of a console: those that Spine and its stores read, and none of the others.

    So a password that happens to be in the server's environment is not in the process that a browser drives, and no
    variable of Python can make it import modules from elsewhere.
    """
    kept = {
        name: value
        for name, value in parent.items()
        if (name.upper() in _NAMES or name.startswith(_PREFIXES)) and name not in _NEVER
    }
    size = {"COLUMNS": str(width), "ROWS": str(height)}
    return kept | size | {"TEXTUAL_DRIVER": DRIVER, "TEXTUAL_COLOR_SYSTEM": "truecolor", "TERM": "xterm-256color"}


def command_line(words: Sequence[str]) -> list[str]:
    """The command that starts ``spine`` with these words. ``-P`` keeps the working directory out of its imports."""
    program = "import sys; from modelspine.cli import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", program, *words]


def packet(kind: bytes, content: bytes) -> bytes:
    """A packet for the driver."""
    return kind + len(content).to_bytes(4, "big") + content


class Child:
    """One running console."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout

    @classmethod
    async def start(cls, words: Sequence[str], width: int, height: int) -> Child:
        """Start it, in a process group of its own; its errors go to the server's terminal."""
        pipe = asyncio.subprocess.PIPE
        env = environment(os.environ, *_size(width, height))
        return cls(
            await asyncio.create_subprocess_exec(
                *command_line(words), stdin=pipe, stdout=pipe, env=env, start_new_session=True
            )
        )

    async def type(self, text: str) -> None:
        """Pass on what was typed."""
        await self._write(packet(b"D", text.encode("utf-8", "replace")))

    async def tell(self, kind: str, **more: int) -> None:
        """Tell the driver something: ``resize``, ``focus``, ``blur`` or ``quit``."""
        await self._write(packet(b"M", json.dumps({"type": kind, **more}).encode()))

    async def resize(self, width: int, height: int) -> None:
        """Tell it the size of the browser's terminal."""
        width, height = _size(width, height)
        await self.tell("resize", width=width, height=height)

    async def draw(self, send: Send) -> bool:
        """Pass on what it draws until it ends; returns whether it ever drew.

        Its output is read even after the browser has left, because a console that is blocked on writing to a full pipe
        cannot exit.
        """
        started = listened = await self._stdout.readline() == _HELLO
        with contextlib.suppress(asyncio.IncompleteReadError):
            while started:
                head = await self._stdout.readexactly(5)
                size = int.from_bytes(head[1:], "big")
                if size > _MOST_BYTES:
                    break
                content = await self._stdout.readexactly(size)
                if head[:1] == b"D" and listened:
                    try:
                        await send(content)
                    except (ConnectionError, RuntimeError):
                        listened = False
        return started

    async def stop(self) -> None:
        """End it: by asking, then by signals to it and to everything it started."""
        await self.tell("quit")
        self._stdin.close()
        if not await self._ended(_GRACE):
            self._signal(signal.SIGTERM)
            await self._ended(_GRACE)
        self._signal(signal.SIGKILL)
        await self._process.wait()

    async def _ended(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process group: a search of corpus rows and a ``git`` are processes too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _write(self, content: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._stdin.write(content)
            await self._stdin.drain()


def _size(width: int, height: int) -> tuple[int, int]:
    return min(max(width, 1), _WIDEST), min(max(height, 1), _HIGHEST)
