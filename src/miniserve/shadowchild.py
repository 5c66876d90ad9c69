"""The process that answers copies of learners' texts with an entry that no learner sees.

It takes the processor only when nobody else wants it, has a bound on its memory and dies with its parent:
whatever its model does, the server beside it goes on. It reads requests from stdin and writes replies to
stdout; it does not know traces, routes or learners.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from miniserve.frames import Broken, receive, send
from modelspine.workload import Answer, Model, load_workload

MOST_MEMORY = 2 << 30
"""Bytes of address space; a model that leaks meets this bound and not the machine's."""
_PR_SET_PDEATHSIG = 1


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load a bundle that the server has just verified."""

    workload: str
    folder: str
    parent: str | None


class Texts(msgspec.Struct, frozen=True, tag="texts"):
    """Answer these."""

    texts: list[str]


class Said(msgspec.Struct, frozen=True):
    """One answer a text, or why there is none."""

    answers: list[Answer] = []
    error: str = ""


class Shadowed:
    """What this process has loaded."""

    def __init__(self) -> None:
        self._model: Model | None = None

    def reply(self, request: Load | Texts) -> Said:
        """Do what is asked; never raises."""
        try:
            if isinstance(request, Load):
                parent = None if request.parent is None else Path(request.parent)
                self._model = load_workload(request.workload).load(Path(request.folder), parent)
                return Said()
            if self._model is None:
                return Said(error="nothing is loaded")
            # A workload may have an answer type of its own with the same fields.
            said = [msgspec.to_builtins(answer) for answer in self._model.answer(request.texts)]
            return Said(answers=msgspec.convert(said, list[Answer]))
        except Exception as error:  # noqa: BLE001 -- a model may raise anything; the server is told
            return Said(error=f"{type(error).__name__}: {error}"[:200])


def main(humble: Callable[[], None] | None = None) -> int:
    """Answer until the server closes the pipe."""
    outbox = os.dup(1)
    os.dup2(2, 1)  # what a workload prints is no message
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
    """Ask for what is left of the processor only, bound the memory, and die with the server."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends this process when it has drained
    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
