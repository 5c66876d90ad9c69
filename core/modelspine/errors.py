"""The one tree of errors Spine raises on purpose, each with a way out and an exit code.

    SpineError
    ├── BadInput            2   a REF, id, flag, file or bundle that cannot be used as given
    │   ├── UnknownRef          no entry, run or request has that name
    │   ├── AmbiguousRef        a prefix that fits several entries
    │   └── BundleRefused       a directory that is not a bundle/1, with the reason
    ├── Refused             1   understood and not allowed: the gate, a hold, a missing verdict
    ├── Unavailable         3   a backend (ledger, traces, MLflow, DVC) cannot be reached
    ├── Conflict            4   the state moved since it was looked at; nothing was changed
    └── Damaged             5   bytes that do not have the hash written down for them

It does not know how an error is shown: ``modelspine.cli`` prints the message and the hint as two lines,
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
    """A failure with one line that says what is wrong and one that says what to do."""

    code: Exit = Exit.BAD_INPUT

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(SpineError):
    """What was given cannot be used; nothing was changed."""


class UnknownRef(BadInput):
    """No entry, event, run or request is known by that name."""


class AmbiguousRef(BadInput):
    """A SHA prefix that fits more than one entry."""


class BundleRefused(BadInput):
    """A directory or file that is not an acceptable bundle/1."""


class Refused(SpineError):
    """The request was understood and the rules do not allow it."""

    code = Exit.REFUSED


class Unavailable(SpineError):
    """A backend did not answer, is locked, or may not be written."""

    code = Exit.UNAVAILABLE


class Conflict(SpineError):
    """Somebody else moved the state first; decide again on what it is now."""

    code = Exit.CONFLICT


class Damaged(SpineError):
    """Stored bytes do not have the digest recorded for them."""

    code = Exit.DAMAGED
