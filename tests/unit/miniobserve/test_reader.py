"""Looking traces up: by id, by what was said, by day, arm, outcome and feature; and the roll-ups."""

from __future__ import annotations

import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.reader import COUNTED, TraceReader
from miniobserve.rows import request_row
from miniobserve.schema import BOUNDS, COLUMNS, MINUTE_NS, latency_quantile
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter

Make = Callable[..., Trace]
MONDAY_NS = 1_772_409_600_000_000_000
DAY_NS = 86_400_000_000_000
CANARY = Assignment(strategy="canary", epoch=9, salt="9", arm="canary", bucket=3, sticky=False, u="1" * 16)


def fill(writer: TraceWriter, traces: Sequence[Trace]) -> None:
    futures = [writer.submit(trace) for trace in traces]
    wait(futures, 10)
    for future in futures:
        future.result()


@pytest.fixture
def reader(writer: TraceWriter, url: str, trace: Make) -> TraceReader:
    """Six traces over two days; the third was dismissed, the fifth accepted."""
    fill(
        writer,
        [
            trace("request-0", started_ns=MONDAY_NS),
            trace("request-1", started_ns=MONDAY_NS + 1, input="He works 100%_here!", features={"verb": "work"}),
            trace("request-2", started_ns=MONDAY_NS + DAY_NS - 1, accepted=True, output="HE GOED HOME"),
            trace("request-3", started_ns=MONDAY_NS + DAY_NS, entry_sha="f" * 64, assignment=CANARY),
            trace("request-4", started_ns=MONDAY_NS + DAY_NS + 5, input="Ü", output="ü", accepted=True),
            trace("request-5", started_ns=MONDAY_NS + DAY_NS + 9, input=None, output=None, accepted=None),
        ],
    )
    writer.feedback("request-2", "dismissed").result(5)
    writer.feedback("request-4", "accepted").result(5)
    return TraceReader.open(url)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "543210"),
        ({"text": "goed"}, "320"),
        ({"text": "GoEd HoMe"}, "320"),
        ({"text": "100%_h"}, "1"),
        ({"text": "100__h"}, ""),
        ({"text": "!"}, "1"),
        ({"text": "ü"}, "4"),
        ({"day": "2026-03-02"}, "210"),
        ({"day": "2026-03-03"}, "543"),
        ({"day": "1999-01-01"}, ""),
        ({"arm": "canary"}, "3"),
        ({"sha": "f" * 64}, "3"),
        ({"outcome": "dismissed"}, "2"),
        ({"outcome": "revised"}, ""),
        ({"accepted": True}, "42"),
        ({"accepted": False}, "310"),
        ({"features": {"verb": "work"}}, "1"),
        ({"features": {"verb": "go", "tense": "past_simple"}}, "54320"),
        ({"features": {"verb": "g"}}, ""),
        ({"before_ns": MONDAY_NS + DAY_NS}, "210"),
        ({"text": "goed", "day": "2026-03-02", "outcome": "dismissed"}, "2"),
    ],
)
def test_a_page_holds_what_was_asked_for_newest_first(reader: TraceReader, asked: dict[str, Any], found: str) -> None:
    page = reader.list(**asked)
    assert "".join(trace.request_id[-1] for trace in page.traces) == found
    if "before_ns" not in asked:
        assert page.matched == len(found)


def test_feedback_is_joined_to_what_is_read(reader: TraceReader) -> None:
    assert [trace.feedback for trace in reader.list().traces] == [None, "accepted", None, "dismissed", None, None]
    assert reader["request-2"].feedback == "dismissed"
    assert reader.get("request-9") is None
    with pytest.raises(KeyError):
        reader["request-9"]


def test_a_sentence_of_which_only_the_hash_was_kept_is_found_whole(writer: TraceWriter, url: str, trace: Make) -> None:
    import hashlib

    digest = hashlib.sha256(b"He goed.").hexdigest()
    fill(writer, [trace("request-1", input=None, output=None, input_sha256=digest)])
    reader = TraceReader.open(url)
    assert reader.list(text="He goed.").matched == 1
    assert reader.list(text="goed").matched == 0


def test_a_limit_says_how_many_there_are(reader: TraceReader) -> None:
    page = reader.list(limit=2)
    assert len(page.traces) == 2
    assert page.matched == 6


def test_paging_skips_no_trace_that_shares_a_nanosecond(writer: TraceWriter, url: str, trace: Make) -> None:
    fill(writer, [trace(f"request-{number:02}", started_ns=MONDAY_NS + number // 7) for number in range(40)])
    reader = TraceReader.open(url)
    seen: list[str] = []
    before = None
    while page := reader.list(limit=5, before_ns=before).traces:
        seen += [trace.request_id for trace in page]
        before = page[-1].started_ns
    assert len(seen) == 40
    assert set(seen) == {f"request-{number:02}" for number in range(40)}


def test_beyond_a_bound_matches_are_not_counted(writer: TraceWriter, url: str, trace: Make) -> None:
    traces = [trace(f"request-{number}") for number in range(COUNTED + 1)]
    writer._database.partition("requests", traces[0].started_ns // DAY_NS)
    with writer._database.transaction() as tx:
        tx.insert("requests", COLUMNS, [request_row(one) for one in traces])
    assert TraceReader.open(url).list(limit=1).matched is None


def test_usage_counts_an_entrys_answers_by_day(writer: TraceWriter, url: str, trace: Make) -> None:
    fill(
        writer,
        [trace(f"request-{number}", started_ns=MONDAY_NS + number % 2 * DAY_NS + number) for number in range(10)]
        + [trace("request-bad", status=500)]
        + [trace("request-other", entry_sha="f" * 64)],
    )
    reader = TraceReader.open(url)
    assert reader.usage("e" * 64) == [("2026-03-02", 5), ("2026-03-03", 5)]
    assert reader.usage("0" * 64) == []


def test_minutes_add_up_to_what_was_written(writer: TraceWriter, url: str, trace: Make) -> None:
    traces = [
        trace(
            f"request-{n}", started_ns=MONDAY_NS + n * MINUTE_NS // 10, seconds=0.001 * n, status=500 if n == 3 else 200
        )
        for n in range(1, 31)
    ]
    fill(writer, [*traces, trace("request-shadow", shadow_of="request-1"), trace("request-x", cost=None, started_ns=0)])
    minutes = TraceReader.open(url).minutes(MONDAY_NS)
    assert [minute.minute_ns for minute in minutes] == [MONDAY_NS + n * MINUTE_NS for n in range(4)]
    assert sum(minute.n for minute in minutes) == 30
    assert sum(minute.errors for minute in minutes) == 1
    assert sum(minute.seconds for minute in minutes) == pytest.approx(sum(trace.seconds for trace in traces))
    assert minutes[0].p50 == 0.008
    assert TraceReader.open(url).minutes(MONDAY_NS + 1)[0].minute_ns == MONDAY_NS + MINUTE_NS
    (unpriced,) = (m for m in TraceReader.open(url).minutes(0) if m.minute_ns == 0)
    assert (unpriced.n, unpriced.priced, unpriced.cost) == (1, 0, 0.0)


@given(st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=50))
def test_a_quantile_is_the_bound_of_its_bucket(latencies: list[float]) -> None:
    counts = [0] * (len(BOUNDS) + 1)
    for latency in latencies:
        counts[bisect_left(BOUNDS, latency)] += 1
    exact = sorted(latencies)[(len(latencies) - 1) // 2]
    found = latency_quantile(counts, 0.5)
    assert found is not None
    assert found == next((bound for bound in BOUNDS if exact <= bound), float("inf"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=30))
def test_any_text_can_be_searched_for(reader: TraceReader, text: str) -> None:
    page = reader.list(text=text, features={"verb": text}, arm=text, sha=text, outcome=text)
    assert page.matched == 0


def test_a_missing_store_is_unavailable_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        TraceReader.open(f"sqlite:///{tmp_path / 'none.db'}")
    assert caught.value.kind == "unavailable"
    assert not (tmp_path / "none.db").exists()


def test_a_trace_that_cannot_be_read_is_damage_and_not_a_crash(reader: TraceReader, writer: TraceWriter) -> None:
    with writer._database.transaction() as tx:
        tx.execute("UPDATE requests SET rest = '{' WHERE request_id = 'request-1'")
    with pytest.raises(StorageError) as caught:
        reader.get("request-1")
    assert caught.value.kind == "damaged"


def test_the_reader_cannot_write(reader: TraceReader) -> None:
    with pytest.raises(StorageError):
        reader._database.script(["DELETE FROM requests"])


def test_a_day_that_is_none_is_refused(reader: TraceReader) -> None:
    with pytest.raises(ValueError, match="yesterday"):
        reader.list(day="yesterday")


def test_importing_the_reader_loads_nothing_heavy() -> None:
    code = "import sys, miniobserve.reader; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "prometheus_client", "starlette", "uvicorn", "torch", "modelspine", "asyncio"} & set(loaded)


def test_a_request_is_found_by_its_trace_id_in_live_and_pruned_days(
    writer: TraceWriter, url: str, folder: Path, trace: Make
) -> None:
    fill(
        writer,
        [
            trace("request-0", trace_id="1" * 32, started_ns=MONDAY_NS),
            trace("request-1", trace_id="1" * 32, started_ns=MONDAY_NS + DAY_NS),
            trace("request-2", trace_id="1" * 31 + "2", started_ns=MONDAY_NS),
        ],
    )
    reader = TraceReader.open(url, folder)

    def found(trace_id: str) -> list[str]:
        return [one.request_id for one in reader.of_trace(trace_id)]

    assert export_day(url, Archive(folder), "2026-03-02", prune=True) is not None
    assert found("1" * 32) == ["request-0", "request-1"]
    assert found("1" * 31 + "2") == ["request-2"]
    assert found("3" * 32) == []
    reader.close()
