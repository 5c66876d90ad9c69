"""The errors of the ledger's database in Spine's own words. It opens no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from miniobserve.sql.protocol import StorageError
from modelspine.errors import Conflict, Damaged, Locked, Replaced, SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.ledger.event import Event


@contextmanager
def storage_errors() -> Iterator[None]:
    """Translate ``StorageError`` into Spine's own exceptions."""
    try:
        yield
    except StorageError as error:
        raise missing_extra(error) or in_own_words(error) from error


def in_own_words(error: StorageError) -> SpineError:
    """The exception for an error of the database."""
    return {"damaged": Damaged, "conflict": Conflict, "locked": Locked, "replaced": Replaced}.get(
        error.kind, Unavailable
    )(error.message, error.hint)


def not_kept(what: str) -> Damaged:
    """The exception for rows that the database took and does not have."""
    return Damaged(
        f"the database did not keep {what} as it was written; nothing was changed",
        "`spine verify` names the triggers and rules that do not belong in it; drop them, or restore a backup",
    )


def append_error(error: StorageError, doubtful: Sequence[Sequence[Event]]) -> SpineError:
    """The exception for a failed append; it says so if a commit may nevertheless have succeeded."""
    if not doubtful:
        return in_own_words(error)
    return Unavailable(
        f"the connection broke during the commit of #{doubtful[-1][0].seq}; its outcome is unknown: {error.message}",
        "check `spine history`, or repeat the command with the same --key",
    )
