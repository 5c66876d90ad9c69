"""The errors of the tutor's commands: each has a message (what is wrong), a hint (what to do) and an exit code.

The command line prints message and hint as two lines.
"""

from __future__ import annotations


class TutorError(Exception):
    """An error with one line that says what is wrong and one that says what to do."""

    code = 2

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(TutorError):
    """A path, option or file that cannot be used as given (exit 2)."""


class Unavailable(TutorError):
    """A server, a library or a store that does not answer (exit 3)."""

    code = 3


class Damaged(TutorError):
    """Bytes that do not match their recorded digest (exit 5)."""

    code = 5
