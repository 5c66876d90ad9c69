"""The child process that answers copies of requests with the shadow entry.

It runs at idle priority, has a memory limit and is killed when its parent exits, so that nothing its model does can
disturb the server. It reads requests from stdin and writes replies to stdout; it knows nothing of traces, routes or
learners.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from miniserve.frames import Broken, receive, send
from modelspine.workload import Answer, Model, load_workload

MOST_MEMORY = 2 << 30
"""Limit of the address space in bytes, so that a model that leaks memory fails alone."""
_PR_SET_PDEATHSIG = 1


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Request: load a bundle that the server has just verified."""

    workload: str
    folder: str
    parent: str | None


class Texts(msgspec.Struct, frozen=True, tag="texts"):
    """Request: answer these texts."""

    texts: list[str]


class Said(msgspec.Struct, frozen=True):
    """Reply: one answer per text, or an error."""

    answers: list[Answer] = []
    error: str = ""
    seconds: float = 0.0
    """How long the model took for the batch."""


class Shadowed:
    """Holds the model of this process and carries out requests."""

    def __init__(self) -> None:
        self._model: Model | None = None

    def reply(self, request: Load | Texts) -> Said:
        """Carry out a request; never raises."""
        try:
            if isinstance(request, Load):
                parent = None if request.parent is None else Path(request.parent)
                self._model = load_workload(request.workload).load(Path(request.folder), parent)
                return Said()
            if self._model is None:
                return Said(error="no model is loaded")
            # Converted, because a workload may return its own type with the fields of Answer.
            began = time.perf_counter()
            answers = self._model.answer(request.texts)
            seconds = time.perf_counter() - began
            said = [msgspec.to_builtins(answer) for answer in answers]
            return Said(answers=msgspec.convert(said, list[Answer]), seconds=seconds)
        except Exception as error:  # noqa: BLE001 -- a model may raise anything; the server gets the error
            return Said(error=f"{type(error).__name__}: {error}"[:200])


def main(humble: Callable[[], None] | None = None) -> int:
    """Answer requests until the server closes the pipe; returns the exit code."""
    # Keep the pipe under another descriptor and point stdout at stderr: a workload that prints must not corrupt
    # the messages.
    outbox = os.dup(1)
    os.dup2(2, 1)
    (humble or take_the_last_place)()
    shadowed = Shadowed()
    try:
        while (frame := receive(0, None)) is not None:
            request = msgspec.msgpack.decode(frame, type=Load | Texts)
            send(outbox, msgspec.msgpack.encode(shadowed.reply(request)), None)
    except Broken:
        return 1
    return 0


def take_the_last_place() -> None:
    """Lower this process to idle priority, limit its memory, and have the kernel kill it when the server exits."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server ends this process itself
    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
