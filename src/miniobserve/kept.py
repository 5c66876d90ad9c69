"""Reads back what a transaction on the trace store wrote.

A database can take a row and drop it, as a foreign trigger makes it do. So what is acknowledged was read back before
the commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from miniobserve.schema import SELECT_TRACE, BodyRow, TraceRow
from miniobserve.sql.protocol import StorageError, Transaction


def kept(tx: Transaction, pairs: Sequence[tuple[TraceRow, BodyRow]]) -> tuple[set[TraceRow], set[BodyRow]]:
    """Return those of the rows of ``traces`` and ``bodies`` that the store holds exactly as given."""
    if not pairs:
        return set(), set()
    marks = ", ".join("?" for _ in pairs)
    ids = [row[0] for row, _ in pairs]
    found = tx.execute(f"{SELECT_TRACE} WHERE request_id IN ({marks})", ids)
    bodies = tx.execute(f"SELECT request_id, body FROM bodies WHERE request_id IN ({marks})", ids)  # noqa: S608
    rows, texts = {tuple(row) for row in found}, {tuple(body) for body in bodies}
    return {row for row, _ in pairs if row in rows}, {body for _, body in pairs if body in texts}


def outcome(tx: Transaction, request_id: str) -> str | None:
    """Return the feedback on a request that the store holds."""
    found = tx.execute("SELECT outcome FROM feedback WHERE request_id = ?", (request_id,))
    return str(found[0][0]) if found else None


def ids_in_use(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Return those of the request ids that are in use: in the store, or in a day that was exported and pruned."""
    if not ids:
        return set()
    one = f"SELECT request_id FROM {{}} WHERE request_id IN ({', '.join('?' for _ in ids)})"  # noqa: S608 -- placeholders only
    rows = tx.execute(f"{one.format('traces')} UNION ALL {one.format('exported')}", (*ids, *ids))
    return {row[0] for row in rows}


def not_kept(what: str) -> StorageError:
    """The error for a write that was taken and is not there: no reply may depend on it."""
    return StorageError(
        "damaged",
        f"the trace store took {what} and does not hold it",
        "something in its database drops rows, such as a foreign trigger: `spine verify` looks for it",
    )
