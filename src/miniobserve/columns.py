"""The columns of a closed day's Parquet files, and how a trace becomes a row of them and is rebuilt from it.

A row holds everything that a trace holds, so that a file needs no second copy of it:
``trace_of(row_of(trace)) == trace`` for every trace. The names are what people write in queries of their own, so they
never change their meaning. A column may be added, which is null in older files; any other change of the table gets a
new ``SCHEMA``. This module knows no file and no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from miniobserve.cost import busy_seconds
from miniobserve.traces import Trace, Value

SCHEMA = "spine-closed-day/1"
"""The name of this table's form, as manifests give it."""

COLUMNS: dict[str, str] = {
    "request_id": "VARCHAR", "trace_id": "VARCHAR", "span_id": "VARCHAR", "started_ns": "BIGINT", "at": "TIMESTAMP",
    "epoch": "BIGINT", "strategy": "VARCHAR", "arm": "VARCHAR", "assigned_bucket": "INTEGER", "sticky": "BOOLEAN",
    "salt": "VARCHAR", "u": "VARCHAR", "unit": "VARCHAR", "tester": "VARCHAR", "unit_hash": "VARCHAR",
    "entry_sha": "VARCHAR", "intended_sha": "VARCHAR", "semver": "VARCHAR", "status": "INTEGER", "error": "VARCHAR",
    "in_scope": "BOOLEAN", "accepted": "BOOLEAN", "graded": "BOOLEAN", "input": "VARCHAR", "input_sha256": "VARCHAR",
    "output": "VARCHAR", "seconds": "DOUBLE", "stages": "MAP(VARCHAR, DOUBLE)", "busy": "DOUBLE",
    "input_tokens": "BIGINT", "output_tokens": "BIGINT", "cost": "DOUBLE", "currency": "VARCHAR",
    "rate_per_hour": "DOUBLE", "workers": "INTEGER", "price_version": "VARCHAR", "priced_by": "VARCHAR",
    "input_price": "DOUBLE", "output_price": "DOUBLE", "unpriced": "VARCHAR", "features": "MAP(VARCHAR, VARCHAR)",
    "categories": "MAP(VARCHAR, VARCHAR)", "numbers": "MAP(VARCHAR, DOUBLE)", "tokens": "MAP(VARCHAR, VARCHAR[])",
    "values_by": "VARCHAR", "embedding": "DOUBLE[]", "fields": "VARCHAR", "shadow_of": "VARCHAR", "retry_of": "VARCHAR",
    "source": "VARCHAR", "feedback": "VARCHAR", "features_json": "VARCHAR", "has_unit": "BOOLEAN",
    "unit_number": "UBIGINT",
}  # fmt: skip
"""Column → type in DuckDB. ``categories``, ``numbers`` and ``tokens`` are the three kinds of a trace's ``values``;
``fields`` is JSON. Those of ``COMPUTED`` are not part of a trace."""

# A unit's hash is a SHA-256, so its last 16 digits tell units apart as well as an MD5 of it does. Reading them is about
# three times as fast as computing that MD5.
_UNIT = "CASE WHEN length(unit_hash) = 64 THEN try_cast('0x' || right(unit_hash, 16) AS UBIGINT) END"

FOR_SUMS = {
    "features_json": "to_json(features)::VARCHAR",
    "has_unit": "unit_hash IS NOT NULL",
    "unit_number": f"coalesce({_UNIT}, md5_number_lower(coalesce(unit_hash, retry_of, request_id)))",
}
"""Columns that hold in a shorter form what other columns hold, with their SQL in DuckDB.

Drift's query by features takes 0.3 of the time with them, and the one by unit about half. A request that came without a
unit counts as a unit of its own, and its retries belong to it. Among a million units, the probability that any two get
the same number is below 10⁻⁷.
"""
COMPUTED = {"at": "make_timestamp(started_ns // 1000)", **FOR_SUMS}
"""The columns that DuckDB computes, with their SQL. ``at`` is ``started_ns`` as a timestamp (UTC), in microseconds."""
SELECTED = ", ".join(f"{COMPUTED[name]} AS {name}" if name in COMPUTED else name for name in COLUMNS)
"""What is selected from rows of traces to get the rows of a file."""
ADDED_FOR_SUMS = ", ".join(f"{sql} AS {name}" for name, sql in FOR_SUMS.items())
"""What is added to rows that lack the columns of ``FOR_SUMS``."""

STORED = {name: kind for name, kind in COLUMNS.items() if name not in COMPUTED}
"""The columns that the row of a trace has."""
_ADDED = {"workers": "INTEGER", "embedding": "DOUBLE[]"}
"""Columns that files of earlier versions do not have."""
READ = "read_parquet({}, hive_partitioning = false, union_by_name = true)"
"""The SQL of the rows of some files with the columns that any of them has."""

_ASSIGNED = {
    "epoch": "epoch", "strategy": "strategy", "arm": "arm", "assigned_bucket": "bucket", "sticky": "sticky",
    "salt": "salt", "u": "u", "unit": "unit", "tester": "tester",
}  # fmt: skip
"""Column → field of a trace's ``assignment``."""
_NEEDED = {"assignment": tuple(_ASSIGNED), "values": ("categories", "numbers", "tokens")}
"""Field of a trace → its columns, where it has other ones than its name."""
SAID_LATER = ("label", "score", "said_text")
"""Fields of a trace that no file holds: a day is closed before they are said, and the live store keeps them."""
_DERIVED = ("busy", "categories", "numbers", "tokens", "fields")
_PLAIN = tuple(name for name in STORED if name not in _ASSIGNED and name not in _DERIVED)
"""The columns that are fields of a trace by the same name."""

T = TypeVar("T")
Row = Mapping[str, Any]
"""One value by column."""

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, Any]).decode


def columns_of(traces: Sequence[Trace]) -> dict[str, list[Any]]:
    """Return the rows of some traces by column, each a list of one value a trace in the order of the traces."""
    given = [trace.assignment for trace in traces]
    found = {name: list(map(attrgetter(field), given)) for name, field in _ASSIGNED.items()}
    found |= {name: list(map(attrgetter(name), traces)) for name in _PLAIN}
    found["busy"] = list(map(busy_seconds, found["stages"]))
    kinds = [_by_kind(trace.values) for trace in traces]
    for index, name in enumerate(("categories", "numbers", "tokens")):
        found[name] = [kind[index] for kind in kinds]
    found["fields"] = [_to_json(trace.fields).decode() if trace.fields else "{}" for trace in traces]
    return {name: found[name] for name in STORED}


def row_of(trace: Trace) -> dict[str, Any]:
    """Return the row of one trace, its feedback included."""
    return {name: values[0] for name, values in columns_of([trace]).items()}


def complete_rows(files: str) -> str:
    """Return the SQL of the rows of some files, with the columns that all of them may lack.

    ``files`` is a list of names in SQL, or ``?``.
    """
    added = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in _ADDED.items())
    return f"(SELECT * FROM {READ.format(files)} UNION ALL BY NAME SELECT {added} WHERE false)"  # noqa: S608 -- ours


def trace_of(row: Row) -> Trace:
    """Rebuild a trace from its row.

    Raises:
        msgspec.ValidationError: a value has another type than its column.
        KeyError: a column is missing.
    """
    return msgspec.convert(
        {name: _field(row, name) for name in Trace.__struct_fields__ if name not in SAID_LATER}, Trace
    )


def partial(kind: type[T]) -> tuple[tuple[str, ...], Callable[[Sequence[Any]], T]]:
    """Return the columns that a struct of some fields of a trace needs, and what makes it of their values in a row.

    Raises:
        ValueError: the struct has a field that a trace does not have.
    """
    fields: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]
    needed = [_NEEDED.get(field, (field,)) for field in fields]
    if unknown := set(chain.from_iterable(needed)) - STORED.keys():
        raise ValueError(f"a trace has no field {sorted(unknown)}")
    columns = tuple(dict.fromkeys(chain.from_iterable(needed)))

    def made(row: Sequence[Any]) -> T:
        found = dict(zip(columns, row, strict=True))
        return msgspec.convert({field: _field(found, field) for field in fields}, kind)

    return columns, made


def _field(row: Row, name: str) -> Any:
    """Return a field of a trace as plain values."""
    if name == "assignment":
        return {field: row[column] for column, field in _ASSIGNED.items()}
    if name == "values":
        return {**row["categories"], **row["numbers"], **row["tokens"]}
    return _from_json(row["fields"]) if name == "fields" else row[name]


def _by_kind(values: Mapping[str, Value]) -> tuple[dict[str, str], dict[str, float], dict[str, list[str]]]:
    categories: dict[str, str] = {}
    numbers: dict[str, float] = {}
    tokens: dict[str, list[str]] = {}
    for name, value in values.items():
        if isinstance(value, str):
            categories[name] = value
        elif isinstance(value, list):
            tokens[name] = value
        else:
            numbers[name] = value
    return categories, numbers, tokens
