"""What a block says that fails: as the status and reason of its trace, and as the error its caller gets.

It stores nothing.
"""

from __future__ import annotations

import asyncio

from miniobserve.sql.protocol import StorageError
from miniobserve.traces import GONE
from modelspine.errors import SpineError, Unavailable

STORE_SECONDS = 10.0
"""How long the end of a block waits for its trace to be durable."""


def failure(error: BaseException) -> tuple[int, str]:
    """Status and reason of a block that ended by an exception."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return GONE, "the request was cancelled before the answer"
    try:
        return 500, f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 -- the exception's own code
        return 500, type(error).__name__


def unavailable(error: Exception) -> Unavailable:
    """The error of a caller whose trace could not be stored."""
    why = error.message if isinstance(error, StorageError | SpineError) else f"no commit within {STORE_SECONDS:.0f} s"
    return Unavailable(f"the trace of this request could not be stored: {why}", "answer 503, so that it is sent again")
