"""How failures are reported: every exception as one of the tree in ``errors``, as two lines and as JSON.

It does not know which command failed.
"""

from __future__ import annotations

import contextlib
import errno
import re
import sys
from typing import Any

from miniobserve.sql.protocol import StorageError
from modelspine.cli.output import Out
from modelspine.errors import SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.ledger.store import storage_errors
from modelspine.text import visible

_LONGEST_LINE = 600
_DEFECT_HINT = "run it again with SPINE_DEBUG=1 to see the traceback, and report that as a defect of spine"


def as_spine_error(error: Exception) -> SpineError:
    """The error of Spine's own tree that stands for an exception."""
    if isinstance(error, SpineError):
        return error
    if (lacking := missing_extra(error)) is not None:
        return lacking
    if isinstance(error, StorageError):
        try:
            with storage_errors():
                raise error
        except SpineError as mapped:
            return mapped
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "make room on that disk" if full else "check that it is there and that you may read and write it"
        return Unavailable(visible(f"{where}{error.strerror or error}", 300), f"{hint}, then repeat the command")
    if isinstance(error, MemoryError):
        return Unavailable("there is not enough memory for this", "free some, then repeat the command")
    text = visible(str(error).partition("\n")[0], 200)
    return Unavailable(f"spine stopped on a {type(error).__name__} it did not expect: {text}", _DEFECT_HINT)


def error_object(error: SpineError) -> dict[str, Any]:
    """An error as programs read it: the exit code, its kind, and the two lines."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    return {"code": int(error.code), "kind": kind, "message": error.message, "hint": error.hint}


def fail(error: SpineError, *, as_json: bool) -> int:
    """Report an error to people (two lines on stderr) and, with ``--json``, to programs (on stdout)."""
    if as_json:
        with contextlib.suppress(SpineError):  # stdout cannot be written; stderr still reports the error
            Out(sys.stdout, json=True, terminal=sys.stdout.isatty()).object({"error": error_object(error)})
    print_error(error.message, error.hint)
    return int(error.code)


def print_error(message: str, hint: str) -> None:
    """Two lines on stderr: what is wrong, and what to do."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"spine: {visible(message, _LONGEST_LINE)}\n  {visible(hint, _LONGEST_LINE)}\n")


def print_note(text: str) -> None:
    """One line on stderr beside an answer, which scripts do not read."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"note: {visible(text, _LONGEST_LINE)}\n")
