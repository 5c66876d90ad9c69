"""A process that holds models and answers texts for another process, over a socket.

It may have a memory limit, it is killed when its parent exits, and it holds no secret, so that a model that leaks,
hangs or crashes harms nothing but the batch it was given. A model is loaded by a thread of its own, so that the models
already here go on answering meanwhile. This module is both the program of that process and the messages it
understands. It knows nothing of traces, routes or learners.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelspine.answer_check import flaw
from modelspine.child_process import same_code, without_secrets
from modelspine.errors import SpineError
from modelspine.extras import missing_extra
from modelspine.frames import Broken, Frames, framed
from modelspine.workload import Answer, Model, Workload, grade, load_workload

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""A process answers one batch at a time on one core; more threads would compete with the other processes."""
_KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(128 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""glibc keeps so much freed memory. Otherwise it would give back the arrays of each batch and fetch them for the next,
which takes a fifth of the time of a small model."""
_PR_SET_PDEATHSIG = 1
_TAKE_ME_FIRST = "500"
"""What is added to the badness by which the kernel chooses a process to kill when memory runs out (up to 1000)."""
_WARM_TEXT = "a"


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Request: load a verified bundle and run it once with one text and once with ``warm`` texts."""

    key: str
    """The name under which texts ask for it."""
    workload: str
    folder: str
    parent: str | None
    warm: int = 1


class Keep(msgspec.Struct, frozen=True, tag="keep"):
    """Request: drop every model but these. It has no reply."""

    keys: list[str]


class Texts(msgspec.Struct, frozen=True, tag="texts"):
    """Request: answer these texts with one model."""

    key: str
    texts: list[str]


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """Reply: a model is ready, or why it is not."""

    key: str
    error: str = ""


class Said(msgspec.Struct, frozen=True, tag="said"):
    """Reply: for each text an answer or what is wrong with it; or why there is none for any of them."""

    answers: list[Answer | None] = []
    flaws: list[str] = []
    graded: list[bool | None] = []
    """Whether the workload holds each answer to be right."""
    values: list[tuple[dict[str, Any], str]] = []
    """What else is recorded of each answer, and which code made it."""
    seconds: float = 0.0
    """How long the model took for the batch."""
    kind: str = ""
    """The class of the exception, where there is no answer."""
    error: str = ""


Message = Load | Keep | Texts
Recorded = Callable[[str | None, Answer], tuple[dict[str, Any], str]]
Recorder = Callable[[Workload], Recorded]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How the process takes its place on the machine."""

    memory_mb: int = 0
    """Most MiB of private memory; 0 for no limit."""
    nice: int = 0
    """What is added to its niceness, so that the process which has to react to requests goes first."""
    humble: bool = False
    """Whether it runs only on what other processes leave idle."""
    keeps_text: bool = True
    """Whether what is recorded of an answer may be made of its text."""


def start(
    place: Place, environ: Mapping[str, str], module: str = __name__
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start such a process and return it with the socket on which it understands ``Message``.

    The kernel kills it when the thread that called this function ends, so a thread that lasts must call it. ``module``
    is the program, which calls ``main``.

    Raises:
        OSError: no process can be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        # -P keeps the working directory off sys.path: a folder named modelspine there must not be imported.
        words = [sys.executable, "-P", "-m", module, str(theirs.fileno()), msgspec.json.encode(place).decode()]
        nowhere, env = subprocess.DEVNULL, {**_ONE_THREAD, **_KEPT_MEMORY, **same_code(without_secrets(environ))}
        try:
            return subprocess.Popen(
                [*words, str(os.getpid())], pass_fds=(theirs.fileno(),), process_group=0, env=env,
                stdin=nowhere, stdout=nowhere, stderr=nowhere,
            ), ours  # fmt: skip
        except OSError:
            ours.close()
            raise


class Models:
    """The models of this process, and what it replies to requests."""

    def __init__(self, send: Callable[[bytes], None], record: Recorder | None = None, *, texts: bool = True) -> None:
        """Begin without a model.

        Args:
            send: sends a whole frame to the parent.
            record: returns the function that says what else is recorded of an answer.
            texts: whether that function is given the text.
        """
        self._send = send
        self._record = record
        self._texts = texts
        self._sending = threading.Lock()
        self._models: dict[str, tuple[Workload, Model, Recorded | None]] = {}

    def take(self, message: Message) -> None:
        """Carry out a request; never raises for what a workload does."""
        if isinstance(message, Load):
            threading.Thread(target=self._load, args=(message,), daemon=True).start()
        elif isinstance(message, Keep):
            for key in self._models.keys() - set(message.keys):
                del self._models[key]
        else:
            self._say(self._answer(message))

    def _say(self, reply: Loaded | Said) -> None:
        try:
            frame = framed(msgspec.msgpack.encode(reply))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:  # what the workload made is no data
            frame = framed(msgspec.msgpack.encode(Said(kind=type(error).__name__, error=str(error)[:200])))
        with self._sending:
            self._send(frame)

    def _load(self, load: Load) -> None:
        try:
            workload = load_workload(load.workload)
            model = workload.load(Path(load.folder), None if load.parent is None else Path(load.parent))
            for size in {1, load.warm}:
                if len(model.answer([_WARM_TEXT] * size)) != size:
                    raise ValueError("the model did not return one answer per text")
            self._models[load.key] = workload, model, self._record(workload) if self._record else None
            loaded = Loaded(load.key)
        except Exception as error:  # noqa: BLE001 -- a workload may raise anything; the parent gets the reason
            loaded = Loaded(load.key, _why(error))
        with contextlib.suppress(OSError):  # the parent has gone, and this process goes with it
            self._say(loaded)

    def _answer(self, asked: Texts) -> Said:
        began = time.perf_counter()
        try:
            workload, model, record = self._models[asked.key]
            answers = model.answer(asked.texts)
            if len(answers) != len(asked.texts):
                raise ValueError(f"the model returned {len(answers)} answers for {len(asked.texts)} texts")
            flaws = [flaw(answer) or "" for answer in answers]
            # Converted, because a workload may return its own type with the fields of Answer.
            said = [None if wrong else _plain(answer) for answer, wrong in zip(answers, flaws, strict=True)]
            graded = [
                None if answer is None else grade(workload, text, answer.output)
                for text, answer in zip(asked.texts, said, strict=True)
            ]
            values = [
                ({}, "") if answer is None or record is None else record(text if self._texts else None, answer)
                for text, answer in zip(asked.texts, said, strict=True)
            ]
            return Said(said, flaws, graded, values, time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 -- a model may raise anything; the parent gets the reason
            kind = type(error).__name__
            return Said(seconds=time.perf_counter() - began, kind=kind, error=f"{kind}: {error}"[:200])


def _why(error: Exception) -> str:
    if (known := missing_extra(error) or error) and isinstance(known, SpineError):
        return known.message
    return f"{type(error).__name__}: {error}"[:300]


def _plain(answer: Answer) -> Answer:
    return Answer(
        output=answer.output, accepted=answer.accepted, in_scope=answer.in_scope, input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens, fields=dict(answer.fields), features=dict(answer.features),
        stages=dict(answer.stages),
    )  # fmt: skip


def main(words: list[str], record: Recorder | None = None) -> int:
    """Answer requests until the parent closes the socket; returns the exit code."""
    place = msgspec.json.decode(words[1], type=Place)
    _take_place(place, int(words[2]))
    sock = socket.socket(fileno=int(words[0]))
    sock.setblocking(True)
    models, frames = Models(sock.sendall, record, texts=place.keeps_text), Frames()
    decoder = msgspec.msgpack.Decoder(Message)
    try:
        while data := sock.recv(1 << 16):
            for frame in frames.feed(data):
                models.take(decoder.decode(frame))
    except (Broken, OSError, MemoryError):
        return 1
    return 0


def _take_place(place: Place, parent: int) -> None:
    """Take the process's place on the machine, before any foreign code runs."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process itself
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be asked for the signal
        os._exit(1)
    if place.nice:
        with contextlib.suppress(OSError):
            os.nice(place.nice)
    if place.humble:
        with contextlib.suppress(OSError, AttributeError):
            os.nice(19)
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_TAKE_ME_FIRST, encoding="ascii")
    if place.memory_mb:
        with contextlib.suppress(OSError, ValueError):
            # Private memory and not the address space, of which torch reserves three times what it uses.
            resource.setrlimit(resource.RLIMIT_DATA, (place.memory_mb << 20, place.memory_mb << 20))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
