"""Spans that wait in the trace store, on either database."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import pytest

from miniobserve.pending import KNOWN_NS, PendingSpans, Waiting
from miniobserve.sql.protocol import Transaction
from miniobserve.writer import TraceWriter


def test_spans_wait_once_and_until_they_are_dropped(url: str) -> None:
    TraceWriter(url).close()
    pending, other = PendingSpans(url), PendingSpans(url)
    pending.put([("t1", "b", '{"x":"\\u0000"}'), ("t1", "a", "{}")], 10)
    other.put([("t1", "a", "another text"), ("t2", "a", "{}")], 20)
    assert pending.of(["t1", "t2", "t3"]) == {
        "t1": [Waiting("a", 10, "{}"), Waiting("b", 10, '{"x":"\\u0000"}')],
        "t2": [Waiting("a", 20, "{}")],
    }
    assert pending.size() == (3, 18)
    assert other.waiting(21, 10) == ["t1", "t2"]
    assert (other.waiting(20, 10), other.waiting(21, 1)) == (["t1"], ["t1"])
    other.drop([], [("t1", "a"), ("t1", "b"), ("t9", "a")], 30)
    assert list(pending.of(["t1", "t2"])) == ["t2"]
    for each in (pending, other):
        each.close()


def test_a_span_that_was_joined_is_not_kept_again_for_a_while(url: str) -> None:
    TraceWriter(url).close()
    pending, other = PendingSpans(url), PendingSpans(url)
    rows = [("t1", "root", "{}"), ("t1", "m1", "{}"), ("t1", "idle", "{}")]
    assert pending.put(rows, 10) == 0
    pending.drop([("t1", "root"), ("t1", "m1")], [("t1", "idle")], 20)
    pending.drop([("t1", "m0")], [], 25)
    assert other.first_joined(["t1", "t2"]) == {"t1": 20}
    assert other.put([*rows, ("t1", "m2", "{}"), ("t2", "root", "{}")], 30) == 2
    assert {trace: [row.span_id for row in rows] for trace, rows in other.of(["t1", "t2"]).items()} == {
        "t1": ["idle", "m2"], "t2": ["root"],
    }  # fmt: skip
    other.drop([], [], 20 + KNOWN_NS + 1)
    assert pending.put(rows[:2], 40) == 0
    for each in (pending, other):
        each.close()


def test_a_span_that_is_joined_while_it_is_sent_again_is_not_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    TraceWriter(url).close()
    pending, other = PendingSpans(url), PendingSpans(url)
    rows = [("t1", "root", "{}"), ("t1", "m1", "{}")]
    assert pending.put(rows, 10) == 0
    begin = pending._database.transaction

    def joined_first() -> AbstractContextManager[Transaction]:
        monkeypatch.undo()
        other.drop([("t1", "root"), ("t1", "m1")], [], 20)
        return begin()

    monkeypatch.setattr(pending._database, "transaction", joined_first)
    # Neither span was joined when `put` looked, and both are when it writes.
    assert pending.put([*rows, ("t1", "m2", "{}")], 30) == 2
    assert {trace: [row.span_id for row in rows] for trace, rows in pending.of(["t1"]).items()} == {"t1": ["m2"]}
    for each in (pending, other):
        each.close()


def test_collectors_that_got_the_same_spans_do_not_block_each_other(url: str) -> None:
    TraceWriter(url).close()
    rows = [(f"t{number % 7}", f"s{number}", "{}") for number in range(200)]
    stores = [PendingSpans(url) for _ in range(4)]
    failed: list[Exception] = []

    def work(store: PendingSpans, order: int) -> None:
        try:
            for _ in range(10):
                store.put(rows[::order], 1)
                ids = [(trace, span) for trace, span, _ in rows[::-order]]
                store.drop(ids[::2], ids[1::2], 1)
        except Exception as error:  # noqa: BLE001 -- shown below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(store, 1 if n % 2 else -1)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for store in stores:
        store.close()
