"""Fills the tables ``answers`` and ``units`` of trace stores that were created before these tables existed.

If there is nothing to do, it costs two indexed reads.
"""

from __future__ import annotations

import msgspec

from miniobserve.schema import INSERT_ANSWER, UPSERT_UNIT, answer_row, unit_rows
from miniobserve.sql.protocol import Database
from miniobserve.traces import MAYBE_TESTER, Trace

_PAGE = 5_000


def backfill(database: Database) -> int:
    """Write the missing rows, one page per transaction, and return their number; unreadable bodies are skipped."""
    # Testers' requests never have a row in ``answers``, so they cannot show whether rows are missing.
    oldest = database.read(
        "SELECT request_id FROM bodies WHERE body NOT LIKE ? ORDER BY request_id LIMIT 1", (f"%{MAYBE_TESTER}%",)
    )
    if not oldest or database.read("SELECT 1 FROM answers WHERE request_id = ?", oldest[0]):
        return 0
    decode = msgspec.json.Decoder(Trace).decode
    written = 0
    # Pages run from the last id to the first. The first id is checked above, and since it is written last, an
    # interrupted backfill is detected and resumed at the next start.
    last: str | None = None
    while True:
        with database.transaction() as tx:
            bound = "WHERE bodies.request_id < ?" if last is not None else ""
            page = tx.execute(
                f"SELECT bodies.request_id, body, answers.request_id FROM bodies LEFT JOIN answers"  # noqa: S608
                f" ON answers.request_id = bodies.request_id {bound} ORDER BY bodies.request_id DESC LIMIT {_PAGE}",
                (last,) if last is not None else (),
            )
            fresh = []
            for _, body, kept in page:
                try:
                    trace = decode(body) if kept is None else None
                    fresh += [answer_row(trace)] if trace is not None and trace.is_evidence else []
                except msgspec.MsgspecError:
                    continue
            tx.executemany(INSERT_ANSWER, fresh)
            tx.executemany(UPSERT_UNIT, unit_rows(fresh))
        written += len(fresh)
        if len(page) < _PAGE:
            return written
        last = page[-1][0]
