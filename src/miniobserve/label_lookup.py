"""Finds the requests that labels are about in the closed days, where the live store does not have them any more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from miniobserve.archive import Archive
from miniobserve.days import date_of
from miniobserve.ids import id_day
from miniobserve.saying import Saying
from miniobserve.schema import DAY_NS
from miniobserve.traces import Trace

TRACE_ID = re.compile(r"[0-9a-f]{32}")
"""The form of a W3C trace id."""
_FEW = 20
"""Up to so many ids are looked up in closed days one by one, which reads the least."""


def in_closed_days(archive: Archive, sayings: Iterable[Saying]) -> list[Trace]:
    """Return the requests of closed days that sayings are about, with their shadow copies.

    Raises:
        StorageError: a closed day cannot be read.
    """
    ids = {saying.name for saying in sayings if not saying.is_trace}
    found: dict[str, Trace] = {}
    if len(ids) <= _FEW:
        found = {trace.request_id: trace for name in ids if (trace := archive.get(name)) is not None}
    else:
        for days, some in _by_day(archive, ids):
            found |= _where(archive, days, "request_id", some)
        if rest := ids - found.keys():
            found |= _where(archive, archive.days(), "request_id", rest)
    traces = {saying.name for saying in sayings if saying.name not in found and TRACE_ID.fullmatch(saying.name)}
    if traces:
        found |= _where(archive, archive.days(), "trace_id", traces)
    for day, some in _dated(found.values()).items():
        found |= _where(archive, [day], "shadow_of", some)
    return list(found.values())


def _by_day(archive: Archive, ids: Iterable[str]) -> list[tuple[list[str], set[str]]]:
    """The ids by the closed day that they carry."""
    closed = set(archive.days())
    found: dict[str, set[str]] = {}
    for name in ids:
        if (day := id_day(name)) is not None and date_of(day) in closed:
            found.setdefault(date_of(day), set()).add(name)
    return [([day], some) for day, some in sorted(found.items())]


def _dated(traces: Iterable[Trace]) -> dict[str, set[str]]:
    """The ids of requests by their day; shadow copies have none of their own."""
    found: dict[str, set[str]] = {}
    for trace in traces:
        if trace.shadow_of is None:
            found.setdefault(date_of(trace.started_ns // DAY_NS), set()).add(trace.request_id)
    return found


def _where(archive: Archive, days: Sequence[str], column: str, values: Iterable[str]) -> dict[str, Trace]:
    found = archive.some(days, f"{column} IN (SELECT unnest(?::VARCHAR[]))", [sorted(values)])
    return {trace.request_id: trace for trace in found}
