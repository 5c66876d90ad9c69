"""Texts put to the models of several entries: in this process, in worker processes, or in one that can be stopped.

A model is foreign code of unknown speed, and no thread can be stopped, so a limited time needs a process. This module
is also that process's program. It does not know where the texts come from or what the answers are compared for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile
from typing import NamedTuple

import msgspec

from modelspine.errors import BadInput, Damaged, Refused, SpineError, Unavailable
from modelspine.workload import Model, Workload, grade, load_workload, workload_errors

Progress = Callable[[int, int], None]
"""Called with how many of the texts were answered by every entry, and how many there are. It may raise, to stop."""
Folders = Sequence[tuple[str, str | None]]
"""The verified folder of each entry, and of its parent."""

_BATCH = 64
"""Texts a worker answers at a time: enough to make the batch worth its message, few enough to show progress."""
_FEW = 256
"""Up to so many texts are answered in this process: starting workers would take longer."""
_GLANCE = 0.2
"""Seconds between two reports of progress while nothing new is known, so that a caller can stop soon."""


class Reply(NamedTuple):
    """One entry's answer to a text."""

    output: str
    accepted: bool
    """Whether it passed the text as already right."""
    right: bool | None
    """None where the workload cannot tell."""


Replies = tuple[Reply, ...]
"""The answers of all entries to one text, in the order of the entries."""


def answered(
    workload: str, folders: Folders, texts: Sequence[str], progress: Progress, workers: int | None = None
) -> list[Replies]:
    """Every entry's answer to every text, in order.

    Raises:
        Unavailable: the workload fails, or a worker ended by itself.
    """
    batches = _batches(texts)
    replies: list[Replies] = []
    count = min(workers or os.cpu_count() or 1, len(batches))
    answer = partial(_answer, workload, tuple(folders))
    if len(texts) <= _FEW or count == 1:
        for some in map(answer, batches):
            replies += some
            progress(len(replies), len(texts))
        return replies
    # Spawned, not forked: the parent has threads (MLflow, the console), which a fork would copy in any state.
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        try:
            for some in pool.map(answer, batches):
                replies += some
                progress(len(replies), len(texts))
        except BrokenProcessPool as error:
            raise _ended() from error
    return replies


def answered_within(
    seconds: float, workload: str, folders: Folders, texts: Sequence[str], progress: Progress
) -> list[Replies]:
    """The answers that were given in so many seconds, to the first of the texts, by a process that is then killed.

    Raises:
        Unavailable: the workload fails, the process ended by itself, or nothing was answered in time.
    """
    deadline = time.monotonic() + seconds
    replies: list[Replies] = []
    with _process(_Request(workload, list(folders), _batches(texts))) as lines:
        while len(replies) < len(texts) and (left := deadline - time.monotonic()) > 0:
            for line in lines(min(left, _GLANCE)):
                said = msgspec.json.decode(line, type=_Said)
                if said.error is not None:
                    raise said.error.exception()
                replies += said.replies
            progress(len(replies), len(texts))
    if texts and not replies:
        raise Unavailable(f"nothing was answered within {seconds:g} s", "the models may be too slow to load")
    return replies


class _Request(msgspec.Struct, array_like=True):
    """What the process is asked for."""

    workload: str
    folders: list[tuple[str, str | None]]
    batches: list[Sequence[str]]


class _Failure(msgspec.Struct):
    """An error of the process, for its parent to raise."""

    kind: str
    message: str
    hint: str

    def exception(self) -> SpineError:
        known = {kind.__name__: kind for kind in (BadInput, Damaged, Refused, Unavailable)}
        return known.get(self.kind, Unavailable)(self.message, self.hint)


class _Said(msgspec.Struct):
    """One line of the process: the replies to a batch, or why there are none."""

    replies: list[Replies] = []
    error: _Failure | None = None


@contextmanager
def _process(request: _Request) -> Iterator[Callable[[float], list[bytes]]]:
    """A process that answers a request, killed at the end; gives the function that waits for its next lines."""
    # Not by multiprocessing, which needs a true stderr, and a console has none. -P keeps the working directory out of
    # the search for modules. What a library prints there would be drawn over this process's table or screen.
    command = [sys.executable, "-P", "-m", "modelspine.answering"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the same code as this process's
    with TemporaryFile() as asked, DefaultSelector() as selector:
        asked.write(msgspec.json.encode(request))
        asked.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
            )
        except OSError as error:
            raise Unavailable(f"no process could be started: {error.strerror}", "is there enough memory?") from error
        assert process.stdout is not None
        told = process.stdout.fileno()
        selector.register(told, EVENT_READ)
        left = b""

        def lines(seconds: float) -> list[bytes]:
            nonlocal left
            if not selector.select(seconds):
                return []
            some = os.read(told, 1 << 20)
            if not some:
                raise _ended()
            *whole, left = (left + some).split(b"\n")
            return whole

        try:
            yield lines
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _serve() -> None:
    """Answer a request; the program of the process that can be killed."""
    told = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=_Request)

    def tell(said: _Said) -> None:
        with os.fdopen(os.dup(told), "wb") as stream:
            stream.write(msgspec.json.encode(said) + b"\n")

    try:
        for texts in request.batches:
            tell(_Said(replies=_answer(request.workload, tuple(request.folders), texts)))
    except SpineError as error:
        tell(_Said(error=_Failure(type(error).__name__, error.message, error.hint)))


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]


def _ended() -> Unavailable:
    return Unavailable("a process that asks the entries ended by itself", "is there enough memory? then repeat it")


@lru_cache(maxsize=1)
def _loaded(workload: str, folders: tuple[tuple[str, str | None], ...]) -> tuple[Workload, list[Model]]:
    """The workload and its models, loaded by the first batch of a process, so that an error reaches the caller."""
    made = load_workload(workload)
    with workload_errors(made.name):
        return made, [made.load(Path(folder), Path(parent) if parent else None) for folder, parent in folders]


def _answer(workload: str, folders: tuple[tuple[str, str | None], ...], texts: Sequence[str]) -> list[Replies]:
    made, models = _loaded(workload, folders)
    with workload_errors(made.name):
        answers = [model.answer(list(texts)) for model in models]
        return [
            tuple(Reply(one.output, one.accepted, grade(made, text, one.output)) for one in each)
            for text, *each in zip(texts, *answers, strict=True)
        ]


if __name__ == "__main__":
    _serve()
