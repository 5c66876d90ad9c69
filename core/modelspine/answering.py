"""Texts put to the models of several entries: in this process, in worker processes, or in one that can be stopped.

A model is foreign code of unknown speed, and no thread can be stopped, so a limited time needs a process. This module
is also that process's program. It does not know where the texts come from or what the answers are compared for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from modelspine.child_process import Failure, child_process, own_request
from modelspine.errors import SpineError, Unavailable
from modelspine.model_pool import PIECE, ModelPool, cores
from modelspine.workload import Answer, Model, Workload, grade, load_workload, workload_errors

Progress = Callable[[int, int], None]
"""Called with how many of the texts were answered by every entry, and how many there are. It may raise, to stop."""
Folders = Sequence[tuple[str, str | None]]
"""The verified folder of each entry, and of its parent."""

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


_PROCESS = "a process that asks the entries"
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
    count = min(workers or cores(), len(batches))
    if len(texts) <= _FEW or count == 1:
        for some in map(partial(_answer, workload, tuple(folders)), batches):
            replies += some
            progress(len(replies), len(texts))
        return replies
    with ModelPool(workload, count) as pool:
        keys = [str(number) for number in range(len(folders))]
        for key, (folder, parent) in zip(keys, folders, strict=True):
            pool.load(key, folder, parent)
        for said in pool.pieces(keys, texts):
            replies += zip(*(map(_reply, one.answers, one.graded) for one in said), strict=True)
            progress(len(replies), len(texts))
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
    request = msgspec.json.encode(_Request(workload, list(folders), _batches(texts)))
    with child_process(__name__, request, os.environ, _PROCESS) as lines:
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


class _Said(msgspec.Struct):
    """One line of the process: the replies to a batch, or why there are none."""

    replies: list[Replies] = []
    error: Failure | None = None


def _serve() -> None:
    """Answer a request; the program of the process that can be killed."""
    asked, tell = own_request()
    request = msgspec.json.decode(asked, type=_Request)
    try:
        for texts in request.batches:
            replies = _answer(request.workload, tuple(request.folders), texts)
            tell(msgspec.json.encode(_Said(replies=replies)))
    except SpineError as error:
        tell(msgspec.json.encode(_Said(error=Failure.of(error))))


def _reply(answer: Answer | None, right: bool | None) -> Reply:
    assert answer is not None  # the pool fails where there is none
    return Reply(answer.output, answer.accepted, right)


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + PIECE] for start in range(0, len(texts), PIECE)]


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
