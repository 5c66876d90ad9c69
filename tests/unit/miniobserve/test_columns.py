"""A trace survives its row exactly, whatever text is in it, and also the way through Arrow and DuckDB."""

from __future__ import annotations

from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile import STRINGS
from miniobserve.columns import COLUMNS, COMPUTED, STORED, columns_of, partial, row_of, trace_of
from miniobserve.record_batches import BatchStream, OneBatch, batch_of
from miniobserve.traces import Assignment, Trace
from observed import make_trace

HOSTILE = [text for text in STRINGS if not any("\ud800" <= letter <= "\udfff" for letter in text)]
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(HOSTILE)
REAL = st.floats(allow_nan=False)
BIG = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | REAL.filter(lambda x: abs(x) < 1e300) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ASSIGNMENTS = st.builds(
    Assignment, strategy=TEXT, epoch=BIG, salt=TEXT, arm=TEXT, bucket=st.integers(0, 9999), sticky=st.booleans(),
    u=TEXT, unit=st.none() | TEXT, tester=st.none() | TEXT,
)  # fmt: skip
TRACES = st.builds(
    Trace, request_id=TEXT, trace_id=TEXT, span_id=TEXT, started_ns=st.integers(-(10**18), 2**63 - 1), entry_sha=TEXT,
    intended_sha=TEXT, semver=TEXT, assignment=ASSIGNMENTS, unit_hash=st.none() | TEXT, input=st.none() | TEXT,
    input_sha256=st.none() | TEXT, output=st.none() | TEXT, accepted=st.none() | st.booleans(), in_scope=st.booleans(),
    graded=st.none() | st.booleans(), features=st.dictionaries(TEXT, TEXT, max_size=3),
    values=st.dictionaries(TEXT, TEXT | REAL | st.lists(TEXT, max_size=3), max_size=4), values_by=TEXT,
    embedding=st.none() | st.lists(REAL, max_size=3),
    fields=st.dictionaries(TEXT, JSON, max_size=3), stages=st.dictionaries(TEXT, REAL, max_size=3), seconds=REAL,
    input_tokens=BIG, output_tokens=BIG, cost=st.none() | REAL, currency=TEXT, rate_per_hour=st.none() | REAL,
    price_version=TEXT, priced_by=TEXT, input_price=st.none() | REAL, output_price=st.none() | REAL, unpriced=TEXT,
    workers=st.none() | st.integers(1, 2**31 - 1), status=st.integers(0, 999), error=TEXT,
    shadow_of=st.none() | TEXT, retry_of=st.none() | TEXT, source=TEXT, feedback=st.none() | TEXT,
)  # fmt: skip


def test_every_field_of_a_trace_has_a_column() -> None:
    """A new field that no column holds would be lost with the day's pruning."""
    row = row_of(make_trace("request-1"))
    assert list(row) == list(STORED)
    assert set(COLUMNS) - set(STORED) == set(COMPUTED)
    with pytest.raises(KeyError):
        trace_of({name: value for name, value in row.items() if name != "semver"})


@settings(max_examples=40, deadline=None)
@given(TRACES)
def test_a_trace_is_rebuilt_from_its_row(trace: Trace) -> None:
    assert trace_of(row_of(trace)) == trace


def through(traces: list[Trace], stream: Any) -> list[Trace]:
    connection = duckdb.connect()
    connection.register("rows", stream)
    rows = connection.execute(f"SELECT {', '.join(STORED)} FROM rows").fetchall()
    connection.close()
    return [trace_of(dict(zip(STORED, row, strict=True))) for row in rows]


@settings(max_examples=10, deadline=None)
@given(st.lists(TRACES, min_size=1, max_size=5))
def test_a_trace_is_rebuilt_from_arrow(traces: list[Trace]) -> None:
    assert through(traces, OneBatch(batch_of(traces, [0] * len(traces)))) == traces


def test_columns_have_the_types_that_the_table_says() -> None:
    connection = duckdb.connect()
    connection.register("rows", OneBatch(batch_of([make_trace("request-1", values={"n": 1.5})], [3])))
    found = {row[0]: row[1] for row in connection.execute("DESCRIBE SELECT * FROM rows").fetchall()}
    connection.close()
    assert found == {**STORED, "bucket": "INTEGER"}


def test_a_stream_gives_its_batches_in_order_and_an_error_reaches_the_caller() -> None:
    traces = [make_trace(f"request-{number}") for number in range(10)]
    batches = [batch_of(traces[:4], [0] * 4), batch_of([], []), batch_of(traces[4:], [1] * 6)]
    assert through(traces, BatchStream(iter(batches))) == traces

    def fails() -> Any:
        yield batches[0]
        raise ZeroDivisionError

    stream = BatchStream(fails())
    with pytest.raises(duckdb.Error):
        through(traces, stream)
    assert isinstance(stream.failure, ZeroDivisionError)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        batch_of([make_trace("request-1", input="\ud800")], [0])


def test_a_part_of_a_trace_needs_only_its_columns() -> None:
    class Part(msgspec.Struct):
        request_id: str
        values: dict[str, Any]
        assignment: dict[str, Any]

    trace = make_trace("request-1", values={"kind": "x", "n": 2.0, "words": ["a", "b"]})
    columns, made = partial(Part)
    assert "input" not in columns
    held = columns_of([trace])
    part = made([held[name][0] for name in columns])
    assert (part.values, part.assignment["arm"]) == (trace.values, trace.assignment.arm)
