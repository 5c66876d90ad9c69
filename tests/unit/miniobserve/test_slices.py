"""Copies of the live store for reports: they hold what the store holds, and follow it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve import slices as module
from miniobserve.columns import FOR_SUMS, row_of
from miniobserve.daily import Requests
from miniobserve.day_files import connected
from miniobserve.slices import HOUR_NS, Slices, sweep
from miniobserve.sql.open import connect
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from observed import ASSIGNMENT, DAY_NS, MONDAY_NS

MakeTrace = Callable[..., Trace]
SPAN = (MONDAY_NS, MONDAY_NS + DAY_NS)


def held(files: list[Path]) -> dict[str, dict[str, Any]]:
    """What some files hold, by request id."""
    cursor = connected().execute("SELECT * FROM read_parquet(?)", [[str(file) for file in files]])
    names = [column[0] for column in cursor.description]
    return {row["request_id"]: row for row in (dict(zip(names, one, strict=True)) for one in cursor.fetchall())}


def fill(writer: TraceWriter, traces: list[Trace]) -> None:
    for future in [writer.submit(trace) for trace in traces]:
        future.result(10)


@pytest.fixture
def slices(writer: TraceWriter, url: str, tmp_path: Path) -> Slices:
    return Slices(connect(url, readonly=True), tmp_path / "slices")


def test_a_slice_holds_every_column_that_figures_need(writer: TraceWriter, trace: MakeTrace, slices: Slices) -> None:
    hostile = 'a"b\'c\\ | = \u202e ü {"x": 1}\x00'
    kept = [
        trace("request-1", values={"verb": "go", "length": 4.0, "token": ["he", hostile]}, values_by="c0de"),
        trace("request-2", input=hostile, features={"verb": hostile}, values={"verb": hostile}, graded=True,
              started_ns=MONDAY_NS + DAY_NS - 1, workers=3),
        trace("request-3", input=None, features={}, stages={}, in_scope=False, accepted=None, graded=False,
              unit_hash="u" * 64, cost=None, unpriced="no rate", shadow_of="request-1", retry_of="request-2",
              status=503, assignment=msgspec.structs.replace(ASSIGNMENT, tester="eva", sticky=False), source="replay"),
    ]  # fmt: skip
    fill(writer, [*kept, trace("request-4", started_ns=MONDAY_NS - 1)])
    files, rows = slices.of(*SPAN)
    found = held(files)
    assert (rows, set(found)) == (3, {"request-1", "request-2", "request-3"})
    for made in kept:
        row, whole = found[made.request_id], row_of(made)
        assert {name: row[name] for name in row if name not in FOR_SUMS} == {
            name: whole[name] for name in row if name not in FOR_SUMS
        }


def test_a_slice_is_used_again_until_another_request_is_of_its_hour(
    writer: TraceWriter, trace: MakeTrace, slices: Slices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW", 2)  # so that a day with more is divided into hours
    monkeypatch.setattr(module, "_PAGE", 2)
    fill(writer, [trace(f"request-{n}", started_ns=MONDAY_NS + (n // 5) * HOUR_NS) for n in range(10)])
    first = slices.of(*SPAN)[0]
    assert len(first) == 2
    made = [file.stat().st_mtime_ns for file in first]
    monkeypatch.setattr(Slices, "_make", lambda *_: pytest.fail("it was made again"))
    assert slices.of(MONDAY_NS + 1, MONDAY_NS + HOUR_NS + 1)[0] == first, "any span of the same hours"
    monkeypatch.undo()
    monkeypatch.setattr(module, "FEW", 2)
    fill(writer, [trace("request-late", started_ns=MONDAY_NS + 7)])
    second = slices.of(*SPAN)[0]
    assert second[1] == first[1]
    assert second[0] != first[0]
    assert not first[0].exists(), "what is out of date goes"
    assert len(held(second)) == 11
    assert made


def test_hours_that_were_copied_one_after_the_other_are_what_a_report_reads(
    writer: TraceWriter, trace: MakeTrace, slices: Slices, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hour has many requests here, but the day has."""
    monkeypatch.setattr(module, "FEW", 3)
    requests = Requests(connect(url, readonly=True), None, slices)
    for hour in range(6):
        fill(writer, [trace(f"request-{hour}", started_ns=MONDAY_NS + hour * HOUR_NS)])
        requests.copy(MONDAY_NS + hour * HOUR_NS, MONDAY_NS + (hour + 1) * HOUR_NS)
    monkeypatch.setattr(Slices, "_make", lambda *_: pytest.fail("it was made again"))
    assert len(slices.of(*SPAN)[0]) == 6


def test_a_reader_that_may_not_write_there_has_a_folder_of_its_own(
    writer: TraceWriter, trace: MakeTrace, url: str, tmp_path: Path
) -> None:
    fill(writer, [trace("request-1")])
    occupied = tmp_path / "file"
    occupied.touch()
    for folder in (None, occupied / "slices"):
        slices = Slices(connect(url, readonly=True), folder)
        (file,), _ = slices.of(*SPAN)
        assert list(held([file])) == ["request-1"]
        slices.close()
        assert not file.exists()


def test_slices_that_no_report_needs_are_deleted(writer: TraceWriter, trace: MakeTrace, slices: Slices) -> None:
    fill(writer, [trace("request-1"), trace("request-2", started_ns=MONDAY_NS + DAY_NS)])
    (old, new), _ = slices.of(MONDAY_NS, MONDAY_NS + 2 * DAY_NS)
    os.utime(old, (0, 0))
    sweep(old.parent, time.time())
    assert (old.exists(), new.exists()) == (False, True)


def test_times_at_the_ends_of_what_can_be_stored(writer: TraceWriter, trace: MakeTrace, slices: Slices) -> None:
    fill(writer, [trace("request-1", started_ns=-(2**63)), trace("request-2", started_ns=2**63 - 2)])
    assert len(held(slices.of(-(2**63), 2**63 - 1)[0])) == 2
