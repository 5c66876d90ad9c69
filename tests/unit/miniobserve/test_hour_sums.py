"""Sums of whole hours from their copies: they are those of the store, whatever copies there are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve import slices as module
from miniobserve.evidence import Evidence, Unit
from miniobserve.fold import fold
from miniobserve.reader import TraceReader
from miniobserve.slices import HOUR_NS
from miniobserve.traces import GONE, Assignment, Trace
from miniobserve.writer import TraceWriter
from observed import MONDAY_NS

Make = Callable[..., Trace]
EPOCH = 9
HOURS = 4
DAY = (MONDAY_NS, MONDAY_NS + HOURS * HOUR_NS)
SPANS = [
    DAY,
    (0, 2**63 - 1),
    (MONDAY_NS + 1, MONDAY_NS + 3 * HOUR_NS + 200 * 10**9),
    (MONDAY_NS + HOUR_NS, MONDAY_NS + 2 * HOUR_NS),
    (MONDAY_NS + 5, MONDAY_NS + 70 * 10**9),
]
"""Ranges of time that begin and end with an hour, or within one."""


def made(trace: Make, number: int, **more: Any) -> Trace:
    given = Assignment(
        strategy="canary", epoch=EPOCH if number % 5 else 8, salt="8", arm="canary" if number % 3 == 0 else "stable",
        bucket=1, sticky=number % 4 > 0, u=f"{number % 7:016x}", tester="eva" if number % 13 == 0 else None,
    )  # fmt: skip
    started = MONDAY_NS + number * HOURS * HOUR_NS // 240
    fields = {
        "started_ns": started, "assignment": given, "graded": (None, True, False)[number % 3],
        "seconds": 0.003 * number, "status": {0: 500, 5: GONE}.get(number % 11, 200),
        "shadow_of": "another" if number % 6 == 0 else None,
    }  # fmt: skip
    return trace(more.pop("name", f"request-{number:03}"), **{**fields, **more})


@pytest.fixture
def reader(
    writer: TraceWriter, trace: Make, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    monkeypatch.setattr(module, "FEW", 2)  # so that a day with more is divided into hours
    for future in [writer.submit(made(trace, number)) for number in range(240)]:
        future.result(10)
    opened = TraceReader.open(url, cache=tmp_path / "cache")
    yield opened
    opened.close()


def rounded(units: Iterable[Unit]) -> list[Any]:
    """The units in their order; the last digit of a sum depends on the order in which a database adds."""
    return sorted((*unit[:4], round(unit.seconds, 9), *unit[5:]) for unit in units)


def told(evidence: Evidence) -> list[Any]:
    """What is summed up of every span."""
    found: list[Any] = []
    for since, until in SPANS:
        asked = (evidence.units(EPOCH, until, since, copies=copies, from_files=True) for copies in (False, True))
        found += map(rounded, asked)
        found.append(evidence.latencies(EPOCH, until, since))
    return found


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "slices").glob("*-1h-*.parquet"))


def test_sums_are_the_same_with_copies_of_some_hours_and_of_all(reader: TraceReader, tmp_path: Path) -> None:
    alone = told(reader.evidence)
    assert all(alone[:3])
    reader.requests.copy(*DAY)
    assert len(copies(tmp_path)) == HOURS
    assert told(reader.evidence) == alone
    copies(tmp_path)[1].unlink()
    assert told(reader.evidence) == alone


def test_a_whole_hour_is_read_from_its_copy(reader: TraceReader, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = told(reader.evidence)[:2]
    reader.requests.copy(*DAY)
    monkeypatch.setattr("miniobserve.hour_sums.unit_sums", lambda *_: pytest.fail("the store was read"))
    monkeypatch.setattr(f"{__name__}.SPANS", [DAY])
    assert told(reader.evidence)[:2] == alone


def test_a_judge_reads_the_store_alone(reader: TraceReader, tmp_path: Path) -> None:
    """Whoever can write the cache of reports must not decide a canary."""
    alone = rounded(reader.evidence.units(EPOCH))
    reader.requests.copy(*DAY)
    first, second = copies(tmp_path)[:2]
    first.write_bytes(second.read_bytes())
    assert rounded(reader.evidence.units(EPOCH, from_files=True)) != alone, "a report is misled until it is made again"
    assert rounded(reader.evidence.units(EPOCH)) == alone


def test_without_duckdb_the_store_is_read(reader: TraceReader, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = told(reader.evidence)
    reader.requests.copy(*DAY)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert told(reader.evidence) == alone


def test_a_request_that_came_after_the_copy_counts(reader: TraceReader, writer: TraceWriter, trace: Make) -> None:
    reader.requests.copy(*DAY)
    before = sum(unit.n for unit in reader.evidence.units(EPOCH, from_files=True))
    writer.submit(made(trace, 61, name="late")).result(10)
    assert sum(unit.n for unit in reader.evidence.units(EPOCH, from_files=True)) == before + 1


def test_only_hours_of_the_epoch_are_read(
    reader: TraceReader, writer: TraceWriter, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = msgspec.structs.replace(made(trace, 1).assignment, epoch=77)
    writer.submit(made(trace, 61, name="of-a-short-epoch", assignment=short)).result(10)
    reader.requests.copy(*DAY)
    read: list[int] = []
    monkeypatch.setattr("miniobserve.hour_sums.fold", lambda *given: read.append(given[0][0].rows) or fold(*given))
    assert [unit.n for unit in reader.evidence.units(77, from_files=True)] == [1]
    assert read == [61], "the copy of its own hour, with the other requests of that hour"
    assert reader.evidence.units(78, from_files=True) == []
    assert len(read) == 1


def test_files_that_are_no_copies_are_ignored(reader: TraceReader, tmp_path: Path) -> None:
    alone = told(reader.evidence)
    reader.requests.copy(*DAY)
    for name in ("x", "", "-1", "9" * 40, "\u0661"):
        (tmp_path / "cache" / "slices" / f"{name}-1h-abc.parquet").write_bytes(b"")
    assert told(reader.evidence) == alone


def test_a_damaged_copy_changes_nothing(reader: TraceReader, tmp_path: Path) -> None:
    alone = told(reader.evidence)
    reader.requests.copy(*DAY)
    copies(tmp_path)[2].write_bytes(b"PAR1 but no more")
    assert told(reader.evidence) == alone


def test_copies_of_another_store_are_not_read(reader: TraceReader, tmp_path: Path, trace: Make) -> None:
    reader.requests.copy(*DAY)
    other = f"sqlite:///{tmp_path}/other.db"
    with_one = TraceWriter(other)
    for number in range(240):
        with_one.submit(msgspec.structs.replace(made(trace, number), seconds=9.0)).result(10)
    with_one.close()
    opened = TraceReader.open(other, cache=tmp_path / "cache")
    assert {round(seconds) for arm in opened.evidence.latencies(EPOCH).values() for seconds, _ in arm} == {9}
    opened.close()
