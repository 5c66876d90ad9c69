"""A span of requests in pages: nothing twice, nothing left out, whatever shares a nanosecond or left the live store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from miniobserve.archive import Archive
from miniobserve.daily import Request, Requests, day_range
from miniobserve.export import export_day
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from observed import DAY_NS, MONDAY_NS

MONDAY = "2026-03-02"
TIMES = [MONDAY_NS - 1, MONDAY_NS, MONDAY_NS, MONDAY_NS, MONDAY_NS + 5, MONDAY_NS + DAY_NS - 1, MONDAY_NS + DAY_NS]


@pytest.fixture
def archive(folder: Path) -> Iterator[Archive]:
    opened = Archive(folder)
    yield opened
    opened.close()


@pytest.fixture
def requests(writer: TraceWriter, url: str, archive: Archive, trace: Callable[..., Trace]) -> Iterator[Requests]:
    """Seven requests around a Monday."""
    for number, started in enumerate(TIMES):
        writer.submit(trace(f"request-{number}", started_ns=started, input=str(number))).result(5)
    database = connect(url, readonly=True)
    yield Requests(database, archive)
    database.close()


def sentences(requests: Requests, since_ns: int, until_ns: int, size: int = 20) -> list[str | None]:
    pages = list(requests.pages(since_ns, until_ns, Request, size=size))
    assert max((len(page) for page in pages), default=0) <= size
    found = [request.input for page in pages for request in page]
    assert requests.count(since_ns, until_ns) == len(found)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_hold_every_request_of_the_span_once(requests: Requests, size: int) -> None:
    assert sentences(requests, *day_range(MONDAY), size) == ["1", "2", "3", "4", "5"]
    assert requests.last_day() == "2026-03-03"


@pytest.mark.parametrize("size", [1, 2, 100])
def test_closed_days_are_read_as_if_they_were_live(
    requests: Requests, url: str, archive: Archive, writer: TraceWriter, trace: Callable[..., Trace], size: int
) -> None:
    spans = [day_range(MONDAY), (0, 2**63 - 1), (MONDAY_NS, MONDAY_NS + 5), (MONDAY_NS + 1, MONDAY_NS + DAY_NS + 1)]
    before = [sentences(requests, *span, size) for span in spans]
    for day in (MONDAY, "2026-03-03"):
        done = export_day(url, archive, day, prune=True)
        assert done is not None
        assert done.pruned
    assert connect(url, readonly=True).read("SELECT COUNT(*) FROM requests")[0][0] == 1
    assert [sorted(sentences(requests, *span, size), key=str) for span in spans] == before
    assert sentences(requests, *spans[0], size) == before[0]
    assert requests.last_day() == "2026-03-03"
    writer.submit(trace("request-late", started_ns=MONDAY_NS + 9, input="late")).result(5)
    assert sentences(requests, *day_range(MONDAY), size) == [*before[0], "late"]
    export_day(url, archive, MONDAY)
    assert sentences(requests, *day_range(MONDAY), size) == [*before[0], "late"], "it is live and in the file"


def test_answered_days_are_those_whose_requests_can_still_be_read(
    writer: TraceWriter, url: str, archive: Archive, trace: Callable[..., Trace]
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
    database = connect(url)
    requests = Requests(database, archive)
    days = [(MONDAY, 3), ("2026-03-03", 1)]
    assert requests.answered(2**63 - 1) == days
    assert requests.answered(MONDAY_NS + 3_600_000_000_001) == [(MONDAY, 2)], "minutes begun by that moment"
    assert requests.answered(MONDAY_NS) == []
    export_day(url, archive, "2026-03-03", prune=True)
    assert requests.answered(2**63 - 1) == days
    (Path(archive.place) / "day=2026-03-03" / "manifest-1.json").unlink()
    assert requests.answered(2**63 - 1) == days[:1], "its manifest is gone"
    database.close()


def test_an_empty_store(writer: TraceWriter, url: str, archive: Archive) -> None:
    database = connect(url, readonly=True)
    requests = Requests(database, archive)
    assert requests.last_day() is None
    assert requests.answered(2**63 - 1) == []
    assert sentences(requests, 0, 2**62) == []
    database.close()


def test_a_trace_that_cannot_be_read_is_damage(requests: Requests, url: str) -> None:
    database = connect(url)
    with database.transaction() as tx:
        tx.execute("UPDATE requests SET rest = '{'")
    with pytest.raises(StorageError) as caught:
        list(requests.pages(*day_range(MONDAY), Request))
    assert caught.value.kind == "damaged"
    database.close()
