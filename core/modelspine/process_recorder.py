"""The projects that this process records into, each opened once: its ledger, its trace writer, the route in force.

It does not know what a program says of a request.
"""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.kept_files.keeper import Keeper, Keeping
from modelspine.ledger.store import storage_errors
from modelspine.recording.recorder import Heard, Recorder
from modelspine.recording.repeats import is_repeat
from modelspine.registry.model_names import claims_of
from modelspine.spine import Spine, open_spine

if TYPE_CHECKING:
    from modelspine.ledger.state import State
    from modelspine.ledger.store import Event

ROUTE_SECONDS = 0.25
"""How old the route may be by which a unit is assigned."""


class ProcessRecorder:
    """One project as a process records into it."""

    def __init__(self, root: Path | None) -> None:
        """Open the project; raises what opening its stores raises."""
        self.spine: Spine = open_spine(root, readonly=True)
        self._recorder = Recorder(self.spine)
        settings = self.spine.settings
        with storage_errors():
            archive: Any = settings.parquet
            self.writer = TraceWriter(settings.traces, archive=archive)
        self._keeper = Keeper(settings.files) if settings.keeps_files else None
        self._told = threading.Lock()

    def now(self) -> tuple[State, list[Event]]:
        """The ledger's state and its events, at most ``ROUTE_SECONDS`` old."""
        return self._recorder.now(ROUTE_SECONDS)

    def trace(self, heard: Heard, state: State, events: list[Event]) -> Trace:
        """The trace of a request; see ``Recorder.trace``."""
        return self._recorder.trace(heard, state, events)

    @property
    def keeps_files(self) -> bool:
        """Whether the bytes of images and other files are kept, and not their digests alone."""
        return self._keeper is not None

    def keeping(self) -> Keeping:
        """What keeps the bytes of one request."""
        return Keeping(self._keeper)

    def holds(self, again: Trace) -> bool:
        """Whether the request that has this id already is the same one, recorded again."""
        with storage_errors():
            stored = self.spine.traces.get(again.request_id)
        return stored is not None and is_repeat(stored, again, claims_of(self.now()[1]))

    def first_time(self) -> bool:
        """True at the first call and False at every later one, for a warning that is given once."""
        return self._told.acquire(blocking=False)

    def close(self) -> None:
        """Write what waits, and close the stores."""
        if self._keeper is not None:
            self._keeper.close()
        self.writer.close()
        self.spine.close()


_opened: dict[tuple[int, str], ProcessRecorder] = {}
_opening = threading.Lock()


def process_recorder(root: Path | str | None = None) -> ProcessRecorder:
    """The project of a folder (default: the working directory), opened once in this process.

    A process made by ``fork`` opens it again: threads and connections are not inherited.
    """
    where = str(Path(root).absolute() if root is not None else Path.cwd())
    key = os.getpid(), where
    with _opening:
        if key not in _opened:
            _opened[key] = ProcessRecorder(Path(where))
        return _opened[key]


def close_all() -> None:
    """Close the projects that this process opened; the next request opens its project again."""
    with _opening:
        for (pid, _), each in list(_opened.items()):
            if pid == os.getpid():
                each.close()
        _opened.clear()


def _renew_lock() -> None:
    """In a process made by ``fork``: a thread that was opening a project is not there to release its lock."""
    global _opening  # noqa: PLW0603 -- no thread of this process holds the old one
    _opening = threading.Lock()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
