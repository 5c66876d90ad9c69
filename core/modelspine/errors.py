"""The exceptions Spine raises deliberately: each carries a message, a hint and an exit code.

    SpineError
    ├── BadInput            2   a REF, id, flag, file or bundle that cannot be used as given
    │   ├── UnknownRef          no entry, run or request has that name
    │   ├── AmbiguousRef        a SHA prefix that matches several entries
    │   ├── BundleRefused       a directory that is not a valid bundle/1, with the reason
    │   └── CannotAnswer        a workload that a table describes, of which no model can be asked
    ├── Refused             1   valid but not allowed: the gate failed, the entry is on hold, a verdict is missing
    ├── Unavailable         3   a backend (ledger, traces, MLflow, DVC) cannot be reached
    │   └── Locked              another process is writing to it, and did not finish in time
    ├── Conflict            4   the state changed after it was read; nothing was written
    └── Damaged             5   stored bytes do not match their recorded hash
        └── Replaced            another ledger was put in the place of the one that was open

It does not know how an error is displayed: ``modelspine.cli`` prints the message and the hint as two lines,
the console shows them as a toast.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every ``spine`` command."""

    OK = 0
    REFUSED = 1
    BAD_INPUT = 2
    UNAVAILABLE = 3
    CONFLICT = 4
    DAMAGED = 5
    INTERRUPTED = 130


class SpineError(Exception):
    """Base class: ``message`` is one line that says what is wrong, ``hint`` one line that says what to do."""

    code: Exit = Exit.BAD_INPUT

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[SpineError], tuple[str, str]]:
        """Both texts travel: an error of a worker process reaches the process that waits for it."""
        return type(self), (self.message, self.hint)


class BadInput(SpineError):
    """The input cannot be used as given; nothing was changed."""


class UnknownRef(BadInput):
    """No entry, event, run or request has that name."""


class AmbiguousRef(BadInput):
    """A SHA prefix that matches more than one entry."""


class BundleRefused(BadInput):
    """A directory or file that is not a valid bundle/1."""


class CannotAnswer(BadInput):
    """The project's workload is described by a table, so no model of it can be loaded or asked here."""


class Refused(SpineError):
    """The request is valid, and the rules do not allow it."""

    code = Exit.REFUSED


class Unavailable(SpineError):
    """A backend did not answer, is locked, or is not writable."""

    code = Exit.UNAVAILABLE


class Locked(Unavailable):
    """Another process kept a database locked for longer than a write waits."""


class Conflict(SpineError):
    """Another writer changed the state first; read it again and decide anew."""

    code = Exit.CONFLICT


class Damaged(SpineError):
    """Stored bytes do not match the digest recorded for them."""

    code = Exit.DAMAGED


class Replaced(Damaged):
    """The ledger's events do not continue those that were read from it before, or no other process sees them."""
