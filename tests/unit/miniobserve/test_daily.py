"""A span of requests in pages: nothing twice, nothing left out, whatever shares a nanosecond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from miniobserve.daily import Request, answered, bounds, count, last_day, pages
from miniobserve.sql import StorageError, connect
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter

MONDAY_NS = 1_772_409_600_000_000_000
DAY_NS = 86_400_000_000_000


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_hold_every_request_of_the_span_once(
    writer: TraceWriter, url: str, trace: Callable[..., Trace], size: int
) -> None:
    times = [MONDAY_NS - 1, MONDAY_NS, MONDAY_NS, MONDAY_NS, MONDAY_NS + 5, MONDAY_NS + DAY_NS - 1, MONDAY_NS + DAY_NS]
    for number, started in enumerate(times):
        writer.submit(trace(f"request-{number}", started_ns=started, sentence=str(number))).result(5)
    database = connect(url, readonly=True)
    found = [[r.sentence for r in page] for page in pages(database, *bounds("2026-03-02"), Request, size=size)]
    assert [sentence for page in found for sentence in page] == ["1", "2", "3", "4", "5"]
    assert max(len(page) for page in found) <= size
    assert last_day(database) == "2026-03-03"
    assert count(database, *bounds("2026-03-02")) == 5
    database.close()


def test_answered_days_are_those_whose_requests_are_still_here(
    writer: TraceWriter, url: str, trace: Callable[..., Trace]
) -> None:
    def write(number: int, started_ns: int, **more: Any) -> None:
        writer.submit(trace(f"request-{number}", started_ns=started_ns, **more)).result(5)

    for number in range(3):
        write(number, MONDAY_NS + number * 3_600_000_000_000)
    write(3, MONDAY_NS, status=500)
    write(4, MONDAY_NS, shadow_of="request-0")
    write(5, MONDAY_NS, entry_sha="")
    write(6, MONDAY_NS + DAY_NS)
    write(7, MONDAY_NS + 2 * DAY_NS, status=503)
    write(8, MONDAY_NS + 3 * DAY_NS)
    database = connect(url)
    with database.transaction() as tx:
        tx.execute("DELETE FROM traces WHERE request_id = ?", ("request-8",))  # as pruning a day does
    assert answered(database, 2**63 - 1) == [("2026-03-02", 3), ("2026-03-03", 1)]
    assert answered(database, MONDAY_NS + 3_600_000_000_001) == [("2026-03-02", 2)], "minutes begun by that moment"
    assert answered(database, MONDAY_NS) == []
    database.close()


def test_an_empty_store(writer: TraceWriter, url: str) -> None:
    database = connect(url, readonly=True)
    assert last_day(database) is None
    assert answered(database, 2**63 - 1) == []
    assert list(pages(database, 0, 2**62, Request)) == []
    database.close()


def test_a_trace_that_cannot_be_read_is_damage(writer: TraceWriter, url: str, trace: Callable[..., Trace]) -> None:
    writer.submit(trace("request-1", started_ns=MONDAY_NS)).result(5)
    database = connect(url)
    with database.transaction() as tx:
        tx.execute("UPDATE bodies SET body = '{'")
    with pytest.raises(StorageError) as caught:
        list(pages(database, *bounds("2026-03-02"), Request))
    assert caught.value.kind == "damaged"
    database.close()
