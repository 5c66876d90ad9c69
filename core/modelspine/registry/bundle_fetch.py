"""Fetches an entry's files from its MLflow run, in a process of its own, which ends when they are here.

Importing MLflow takes seconds of processor time and a hundred megabytes, which a server must not spend next to the
requests that it answers. Nothing that is fetched is trusted: whoever asked for it hashes it. The module does not know
entries or the cache.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from modelspine.child_process import Failure, child_process, own_request
from modelspine.errors import SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.registry.mlflow_calls import patience
from modelspine.registry.mlflow_runs import Artifacts

SILENCE = 40.0
"""Seconds without a new byte after which a fetch is given up; ``MLFLOW_HTTP_REQUEST_TIMEOUT`` makes it longer."""
_IMPORT = 180.0
"""Seconds that a busy machine may take to import MLflow; a server that gives no answer is noticed before that."""
_LEFT = 86_400.0
"""Seconds after which the folder of a fetch that was killed is deleted by a later one."""
_PREFIX = "fetch-"
_LOOK = 0.5


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is asked for."""

    url: str
    artifacts: str
    source: str
    scratch: str


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What it answers: that MLflow is loaded, then the folder with the files, or why there is none."""

    loaded: bool = False
    folder: str = ""
    failure: Failure | None = None


@contextmanager
def fetched(
    url: str, artifacts: Path, scratch: Path, source: str, *, given_up: Callable[[], bool] = lambda: False
) -> Iterator[Path]:
    """The files of a source in MLflow, in a folder that is deleted after the block if they had to be copied.

    Args:
        url: the tracking URL.
        artifacts: the artifact folder of a local store.
        scratch: a folder for the copy.
        source: what ``Artifacts.find`` takes.
        given_up: whether the fetch is no longer wanted; asked about twice a second.

    Raises:
        SpineError: MLflow or the place of its files does not answer, does not have them, or sends something else.
    """
    _sweep(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=scratch))
    try:
        job = Job(url=url, artifacts=str(artifacts), source=source, scratch=str(own))
        yield Path(_answer(job, own, given_up))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _answer(job: Job, own: Path, given_up: Callable[[], bool]) -> str:
    """Wait for the process as long as bytes arrive; returns the folder with the files."""
    environ = {"AWS_MAX_ATTEMPTS": "2", **os.environ}  # botocore's own five take minutes
    seconds = patience(SILENCE)
    with child_process(__name__, msgspec.json.encode(job), environ, "the process that fetches a bundle") as lines:
        size, until = 0, time.monotonic() + _IMPORT
        while time.monotonic() < until:
            for line in lines(_LOOK):
                told = msgspec.json.decode(line, type=_Told)
                if told.failure is not None:
                    raise told.failure.exception()
                if told.folder:
                    return told.folder
                until = time.monotonic() + seconds
            if given_up():
                raise Unavailable(f"the fetch of {job.source} was given up", "it is no longer wanted")
            if (now := _size(own)) > size:
                size, until = now, time.monotonic() + seconds
    raise Unavailable(
        f"no byte of {job.source} came within {seconds:g} s",
        "check MLflow and the place of its artifacts; MLFLOW_HTTP_REQUEST_TIMEOUT=120 waits longer",
    )


def _size(folder: Path) -> int:
    """The bytes below a folder, some of whose files may just be renamed."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found += (Path(place) / name).stat().st_size
            except OSError:
                continue
    return found


def _sweep(scratch: Path) -> None:
    """Delete what fetches left that were killed."""
    for left in scratch.glob(f"{_PREFIX}*"):
        try:
            old = time.time() - left.stat().st_mtime > _LEFT
        except OSError:
            continue
        if old:
            shutil.rmtree(left, ignore_errors=True)


def main() -> int:
    """Fetch what the request on stdin names, and answer with one line."""
    raw, tell = own_request()
    job = msgspec.json.decode(raw, type=Job)
    try:
        store = Artifacts(job.url, Path(job.artifacts), Path(job.scratch))
        store.client()
        tell(msgspec.json.encode(_Told(loaded=True)))
        # A run that has not finished may have the files all the same; the SHA says whether they are whole.
        with store.copied(store.find(job.source, unfinished=True)) as copy:
            tell(msgspec.json.encode(_Told(folder=str(copy.folder))))
            os._exit(0)  # without deleting the copy at the end of the block: the parent does that
    except SpineError as error:
        failure = Failure.of(error)
    except Exception as error:  # noqa: BLE001  (MLflow may raise anything, and the parent shows one line)
        lacking = missing_extra(error)
        why = str(error).partition("\n")[0][:160] or type(error).__name__
        failure = Failure.of(lacking or Unavailable(f"MLflow did not answer: {why}", "check `mlflow` in `spine info`"))
    tell(msgspec.json.encode(_Told(failure=failure)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
