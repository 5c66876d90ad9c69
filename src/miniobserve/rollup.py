"""Adds traces to the tables that figures are computed from: answers, units, minutes and the count of testers."""

from __future__ import annotations

from collections.abc import Sequence

from miniobserve.schema import (
    INSERT_ANSWER,
    UPSERT_MINUTE,
    UPSERT_TESTER,
    UPSERT_UNIT,
    answer_row,
    minute_rows,
    tester_rows,
    unit_rows,
)
from miniobserve.sql.protocol import Transaction
from miniobserve.traces import Trace


def roll_up(tx: Transaction, traces: Sequence[Trace]) -> None:
    """Add traces to the tables that figures are computed from."""
    # A tester's requests enter none of them, so that no reader of these tables can forget to leave them out.
    counted = [trace for trace in traces if trace.is_evidence]
    answers = [answer_row(trace) for trace in counted]
    tx.executemany(INSERT_ANSWER, answers)
    tx.executemany(UPSERT_UNIT, unit_rows(answers))
    tx.executemany(UPSERT_MINUTE, minute_rows(trace for trace in counted if not trace.shadow_of))
    if len(counted) < len(traces):
        tx.executemany(UPSERT_TESTER, tester_rows(traces))
