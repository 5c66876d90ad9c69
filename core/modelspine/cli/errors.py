"""What went wrong, told: every exception as one of the tree in ``errors``, as two lines and as JSON."""

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

_LONGEST = 600
_REPORT = "run it again with SPINE_DEBUG=1 to see the traceback, and report that as a defect of spine"


def as_spine_error(error: Exception) -> SpineError:
    """The error of Spine's own tree that an exception is told as."""
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
    return Unavailable(f"spine stopped on a {type(error).__name__} it did not expect: {text}", _REPORT)


def error_object(error: SpineError) -> dict[str, Any]:
    """An error as programs read it: the exit code, its kind, and the two lines."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    return {"code": int(error.code), "kind": kind, "message": error.message, "hint": error.hint}


def fail(error: SpineError, *, as_json: bool) -> int:
    """Tell an error to people (two lines on stderr) and, with ``--json``, to programs (on stdout)."""
    if as_json:
        with contextlib.suppress(SpineError):  # stderr still tells it
            Out(sys.stdout, json=True).object({"error": error_object(error)})
    say(error.message, error.hint)
    return int(error.code)


def say(message: str, hint: str) -> None:
    """Two lines on stderr: what is wrong, and what to do."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"spine: {visible(message, _LONGEST)}\n  {visible(hint, _LONGEST)}\n")
