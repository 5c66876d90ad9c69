"""A bundle evaluated by its workload in a process of its own, which holds no key.

The process that evaluates is also the one that may sign or write to the ledger, and loading a model runs foreign code.
So the stored copy is loaded by a child that gets no secret in its environment and none of its parent's open files. This
module is also that child's program. It does not know what the report is compared with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec

from modelspine.child_process import Failure, child_process, own_request, secrets_in, without_secrets
from modelspine.errors import SpineError
from modelspine.model_pool import ModelPool, cores
from modelspine.workload import load_workload, workload_errors

Progress = Callable[[int, int, int], None]
"""Called with (run, items done, items in total) during a run."""
_WAIT = 1.0
"""Seconds between two looks at a process that says nothing."""
_STEP = 0.05
"""Least seconds between two messages about progress."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do with one verified bundle. It loads the bundle in any case."""

    workload: str
    folder: str
    parent: str | None = None
    eval_set: str = ""
    runs: int = 0
    """How many times to evaluate the bundle on the eval set."""
    texts: tuple[str, ...] = ()
    """Texts to answer after that."""
    workers: int = 1
    """How many processes answer the items of the eval set, if the workload can do without loading the model itself."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What the process did."""

    reports: tuple[dict[str, Any], ...]
    """A report for each run. Its ``runtime`` has the ``seconds`` that it took, the ``busy_seconds`` of all processes
    that answered, and among how many ``workers`` the rent of the machine is divided."""
    outputs: tuple[str, ...]
    """An output for each text."""
    key: bool
    """Whether the process found a secret in its environment when it began."""


class _Said(msgspec.Struct, omit_defaults=True):
    """One line of the process."""

    at: tuple[int, int, int] | None = None
    report: dict[str, Any] | None = None
    done: Done | None = None
    error: Failure | None = None


def run_apart(task: Task, progress: Progress) -> Done:
    """Do a task in a process that holds no key.

    Raises:
        BadInput: no such workload is installed.
        Unavailable: the workload failed, or the process ended by itself.
    """
    reports: list[dict[str, Any]] = []
    environ, what = without_secrets(os.environ), "the process that loads the bundle"
    with child_process(__name__, msgspec.json.encode(task), environ, what) as lines:
        while True:
            for line in lines(_WAIT):
                said = msgspec.json.decode(line, type=_Said)
                if said.error is not None:
                    raise said.error.exception()
                if said.at is not None:
                    progress(*said.at)
                if said.report is not None:
                    reports.append(said.report)
                if said.done is not None:
                    return msgspec.structs.replace(said.done, reports=tuple(reports))


def _serve() -> None:
    """Do a task; the program of the process."""
    request, tell = own_request()
    task = msgspec.json.decode(request, type=Task)
    # Before any foreign code runs, which may set variables of its own.
    holds_key = bool(secrets_in(os.environ))

    def say(said: _Said) -> None:
        tell(msgspec.json.encode(said))

    try:
        with workload_errors(task.workload):
            workload = load_workload(task.workload)
            with _pool(workload, task) as pool:
                for run in range(1, task.runs + 1):
                    say(_Said(report=_evaluated(workload, task, run, say, pool)))
            outputs = _answered(workload, task) if task.texts or not task.runs else ()
        say(_Said(done=Done(reports=(), outputs=outputs, key=holds_key)))
    except SpineError as error:
        say(_Said(error=Failure.of(error)))


def _pool(workload: Any, task: Task) -> ModelPool | nullcontext[None]:
    """The processes that answer the eval set; none for a workload that loads its models itself."""
    if not (task.runs and hasattr(workload, "evaluate_model")):
        return nullcontext()
    return ModelPool(task.workload, _workers(task))


def _workers(task: Task) -> int:
    return task.workers or cores()


def _evaluated(
    workload: Any, task: Task, run: int, say: Callable[[_Said], None], pool: ModelPool | None
) -> dict[str, Any]:
    """One run. The model is loaded anew, so state left by one run cannot make the next one equal."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _STEP:
            last = now
            say(_Said(at=(run, done, total)))

    began, busy = time.perf_counter(), 0.0 if pool is None else pool.busy_seconds
    if pool is None:
        report = dict(workload.evaluate(*_folders(task), Path(task.eval_set), progress))
    else:
        pool.load(str(run), task.folder, task.parent)
        report = dict(workload.evaluate_model(pool.model(str(run)), Path(task.eval_set), progress))
    runtime = report.get("runtime")
    # A workload that measures itself leaves out loading the model, which is not part of what an answer costs.
    measured = {"seconds": time.perf_counter() - began, **(runtime if isinstance(runtime, Mapping) else {})}
    # Without a pool this process is the one that answers, as one worker does.
    measured["busy_seconds"] = measured["seconds"] if pool is None else pool.busy_seconds - busy
    report["runtime"] = measured | {"workers": _workers(task)}
    return report


def _answered(workload: Any, task: Task) -> tuple[str, ...]:
    """The outputs of the loaded bundle; without texts it is only loaded."""
    model = workload.load(*_folders(task))
    answers: Sequence[Any] = model.answer(list(task.texts)) if task.texts else ()
    outputs = tuple(answer.output for _, answer in zip(task.texts, answers, strict=True))
    if not all(isinstance(output, str) for output in outputs):
        raise TypeError("an output is no text")
    return outputs


def _folders(task: Task) -> tuple[Path, Path | None]:
    return Path(task.folder), Path(task.parent) if task.parent is not None else None


if __name__ == "__main__":
    _serve()
