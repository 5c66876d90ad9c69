"""Stores what is said of answers: checks whose it is, grades the answer by it, and keeps every version.

``feedback`` has one row a request, which is what counts; ``feedback_history`` has all that was ever said, in order.
Both stay when the request is pruned. A label is the right answer to its request, so it grades the shadow copies of the
request too: each of them has a row of its own. This module runs inside a transaction and does not commit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from miniobserve.ids import id_day
from miniobserve.kept import not_kept
from miniobserve.label_lookup import TRACE_ID
from miniobserve.rows import FEEDBACK_FROM, Row, feedback_context, feedback_row
from miniobserve.saying import MOST_NAMED, Answered, Keeper, Saying, Source, Stored
from miniobserve.schema import FEEDBACK_COLUMNS, HISTORY, OF_TRACE, SAID
from miniobserve.sql.protocol import Params, Transaction
from miniobserve.traces import Trace, Value

_LOCKS = 256
_FROM = (*FEEDBACK_FROM, "graded", "accepted", "request_id", "trace_id", "drift_values", "rest")
_TYPES = {"at_ns": "BIGINT", "day": "BIGINT", "started_ns": "BIGINT", "epoch": "BIGINT",
          "counted": "INTEGER"}  # fmt: skip
_TABLE = (*((name, _TYPES.get(name, "TEXT")) for name in FEEDBACK_COLUMNS), *SAID)
"""Name and type of the columns of ``feedback``."""
_NAMES = tuple(name for name, _ in _TABLE)
_DAYS = (
    "WITH RECURSIVE days(day) AS (SELECT MIN(day) FROM requests UNION ALL"
    " SELECT (SELECT MIN(day) FROM requests WHERE day > days.day) FROM days WHERE days.day IS NOT NULL)"
    " SELECT day FROM days WHERE day IS NOT NULL"
)
"""SQL of the days with requests. The index of traces begins with the day on SQLite. It costs one look-up a day."""
_SAYS = ("outcome", "label", "score", "said_text", "graded")


class _Rest(msgspec.Struct):
    input: str | None = None
    output: str | None = None
    features: dict[str, str] = {}


_decode_rest = msgspec.json.Decoder(_Rest).decode
_decode_values = msgspec.json.Decoder(dict[str, Value]).decode


class _Known(NamedTuple):
    """What is known of a request."""

    context: Row
    """The columns ``FEEDBACK_FROM``."""
    own: int | None
    accepted: int | None
    answered: Answered


class _Says(NamedTuple):
    """What holds of one answer: the outcome, label, score and text that were sent last, and its grade."""

    outcome: str = ""
    label: str | None = None
    score: float | None = None
    text: str | None = None
    graded: int | None = None


class Closed(NamedTuple):
    """The result of a saying on a request that is not in the live store: a closed day may have it."""


def store(
    tx: Transaction, sayings: Sequence[Saying], keeper: Keeper, source: Source, now_ns: int,
    closed: Iterable[Trace] | None = None, *, whole: bool = False,
) -> list[Stored | Closed]:  # fmt: skip
    """Store what is said, inside a transaction, and return what became of each.

    Args:
        tx: the transaction.
        sayings: what is said; later ones count over earlier ones.
        keeper: grades the answers, and decides what is kept.
        source: how it came.
        now_ns: the present, UTC nanoseconds.
        closed: requests of closed days among which those are that the live store does not have, with their shadow
            copies; None if nobody has looked there yet.
        whole: store nothing yet if a request of any of them has to be looked for in closed days.

    Raises:
        StorageError: the store failed, or does not hold what it was given.
    """
    known, several = _known(tx, sayings, closed or ())
    names = {saying: _resolved(saying, known, several) for saying in set(sayings)}
    ids = sorted({name for name in names.values() if name is not None} | {one.name for one in sayings})
    tx.lock("said", [zlib.crc32(name.encode()) % _LOCKS for name in ids])
    rows = _earlier(tx, ids)
    changed: dict[str, _Says] = {}
    labels: dict[str, str | None] = {}
    history, results = [], list[Stored | Closed]()
    for saying in sayings:
        name = names[saying] or (saying.name if closed is not None and saying.name in rows else None)
        if name is None:
            found = several.get(saying.name)
            missing = Stored(status="several", requests=found[:MOST_NAMED]) if found else Stored(status="unknown")
            results.append(Closed() if closed is None and not found else missing)
            continue
        before = changed.get(name) or (_Says(*rows[name][1]) if name in rows else _Says())
        after = _merged(before, saying, known.get(name), keeper)
        graded = None if after.graded is None else bool(after.graded)
        if after == before:
            results.append(Stored(status="unchanged", request_id=name, graded=graded))
            continue
        changed[name] = after
        if saying.label is not None or saying.taken_back:
            labels[name] = saying.label
        history.append((name, now_ns, source, int(saying.taken_back and after == _Says()), *after))
        status = "stored" if before == _Says() else "corrected"
        results.append(Stored(status=status, request_id=name, graded=graded))  # type: ignore[arg-type]  # two of them
    if changed and not (whole and any(isinstance(one, Closed) for one in results)):
        made = [_row(name, says, known.get(name), rows, source, now_ns) for name, says in changed.items()]
        made += _of_copies(tx, labels, keeper, now_ns, known, closed or ())
        _replace(tx, made)
        tx.insert("feedback_history", HISTORY, history)
    return results


def _known(
    tx: Transaction, sayings: Iterable[Saying], closed: Iterable[Trace]
) -> tuple[dict[str, _Known], dict[str, tuple[str, ...]]]:
    """What the live store and closed days know of the requests, by id; and the requests of each trace id."""
    found = {trace.request_id: _of_trace(trace) for trace in closed}
    traces: dict[str, list[str]] = {}
    for trace in closed:
        if trace.shadow_of is None:
            traces.setdefault(trace.trace_id, []).append(trace.request_id)
    ids = {saying.name for saying in sayings if not saying.is_trace}
    at_home = {name: day for name in ids if (day := id_day(name)) is not None}
    columns = f"SELECT {', '.join(_FROM)} FROM requests WHERE"  # noqa: S608 -- names
    rows = []
    if at_home:  # the days let PostgreSQL look into their partitions only
        days, more = tx.among("day", sorted(set(at_home.values())), "BIGINT")
        condition, params = tx.among("request_id", list(at_home))
        rows += tx.execute(f"{columns} {condition} AND {days}", (*params, *more))
    there = {row[-4] for row in rows}
    if rest := [name for name in ids if name not in there]:
        rows += tx.execute(*_query(columns, tx.among("request_id", rest)))
    there |= {row[-4] for row in rows}
    if asked := sorted({one.name for one in sayings if one.name not in there and TRACE_ID.fullmatch(one.name)}):
        in_traces = tx.execute(*_query(f"{columns} shadow_of IS NULL AND", of_traces(tx, asked)))
        for row in in_traces:
            traces.setdefault(row[-3], []).append(row[-4])
        rows += in_traces
    found |= {row[-4]: _of_row(row) for row in rows}
    return found, {name: tuple(sorted(set(some))) for name, some in traces.items()}


def of_traces(tx: Transaction, trace_ids: Sequence[str]) -> tuple[str, Params]:
    """Return the SQL condition that selects the requests of some traces by the index, and its parameters."""
    # With a list of days, or of one day, SQLite searches its index by the day alone; with a query of days, by both.
    begins, some = tx.among(OF_TRACE, sorted({trace_id[:8] for trace_id in trace_ids}))
    whole, more = tx.among("trace_id", trace_ids)
    days = "" if tx.partitioned else f" AND day IN ({_DAYS})"
    return f"{begins} AND {whole}{days}", (*some, *more)


def _query(head: str, condition: tuple[str, Sequence[Any]]) -> tuple[str, Sequence[Any]]:
    return f"{head} {condition[0]}", condition[1]


def _of_row(row: Sequence[Any]) -> _Known:
    *context, own, accepted, _name, _trace, values, rest = row
    try:
        kept = _decode_rest(rest)
        given = _decode_values(values) if values else {}
    except msgspec.MsgspecError:  # `spine verify` reports it; what is said of the request must not be lost for it
        kept, given = _Rest(), {}
    status = context[FEEDBACK_FROM.index("status")]
    answered = Answered(input=kept.input, output=kept.output, status=status, features=kept.features, values=given)
    return _Known(tuple(context), own, accepted, answered)


def _of_trace(trace: Trace) -> _Known:
    own = None if trace.graded is None else int(trace.graded)
    accepted = None if trace.accepted is None else int(trace.accepted)
    return _Known(feedback_context(trace), own, accepted, Answered.of(trace))


def _resolved(saying: Saying, known: Mapping[str, _Known], several: Mapping[str, tuple[str, ...]]) -> str | None:
    """The id of the request that a saying is about; None if there is none, or more than one."""
    if not saying.is_trace and saying.name in known:
        return saying.name
    found = several.get(saying.name, ())
    return found[0] if len(found) == 1 else None


def _earlier(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[Row, Row]]:
    """The rows of ``feedback`` of some requests, and of each the columns ``_SAYS``."""
    if not ids:
        return {}
    condition, params = tx.among("request_id", ids)
    rows = tx.execute(f"SELECT {', '.join((*_NAMES, *_SAYS))} FROM feedback WHERE {condition}", params)  # noqa: S608
    return {row[0]: (row[: len(_NAMES)], row[len(_NAMES) :]) for row in rows}


def _merged(before: _Says, saying: Saying, known: _Known | None, keeper: Keeper) -> _Says:
    """What counts once this was said too."""
    if saying.taken_back:
        before = _Says()
    label = before.label if saying.label is None else keeper.kept_label(saying.label)
    score = before.score if saying.score is None else float(saying.score)
    text = before.text if saying.text is None else keeper.kept_text(saying.text)
    graded = before.graded
    if known is not None and (saying.label is not None or saying.score is not None):
        raw = saying.label if saying.label is not None else keeper.given_label(before.label)
        if raw is not None or before.label is None or graded is None:
            right = keeper.grade(known.answered, raw, score)
            graded = None if right is None else int(right)
    return _Says(saying.outcome or before.outcome, label, score, text, graded)


def _row(
    name: str, says: _Says, known: _Known | None, rows: Mapping[str, tuple[Row, Row]], source: str, now_ns: int
) -> Row:
    """The row of ``feedback``; that of a request which nothing is known of any more keeps its columns."""
    if known is None:
        old = dict(zip(_NAMES, rows[name][0], strict=True))
        values = old | dict(zip(_SAYS, says, strict=True)) | {"at_ns": now_ns, "said_by": source}
        return tuple(values[column] for column in _NAMES)
    head = feedback_row(name, says.outcome, now_ns, known.context)
    return (*head, says.label, says.score, says.text, says.graded, known.own, known.accepted, source)


def _of_copies(
    tx: Transaction, labels: Mapping[str, str | None], keeper: Keeper, now_ns: int, known: Mapping[str, _Known],
    closed: Iterable[Trace],
) -> list[Row]:  # fmt: skip
    """The rows of the shadow copies of requests whose label was said or taken back."""
    if not labels:
        return []
    condition, params = tx.among("shadow_of", sorted(labels))
    columns = f"SELECT {', '.join(_FROM)} FROM requests WHERE shadow_of IS NOT NULL AND {condition}"  # noqa: S608
    copies = {trace.request_id: (trace.shadow_of, known[trace.request_id]) for trace in closed if trace.shadow_of}
    shadowed = FEEDBACK_FROM.index("shadow_of")
    copies |= {row[-4]: (row[shadowed], _of_row(row)) for row in tx.execute(columns, params)}
    found = []
    for name, (live, copy) in copies.items():
        if live in labels:
            label = labels[live]
            right = None if label is None else keeper.grade(copy.answered, label, None)
            says = _Says(label=None if label is None else keeper.kept_label(label), graded=_flag(right))
            found.append(_row(name, says, copy, {}, "copy", now_ns))
    return found


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _replace(tx: Transaction, rows: Sequence[Row]) -> None:
    """Put rows of ``feedback`` in the place of earlier ones, and read them back."""
    condition, params = tx.among("request_id", [row[0] for row in rows])
    tx.execute(f"DELETE FROM feedback WHERE {condition}", params)  # noqa: S608 -- marks
    tx.insert("feedback", _TABLE, rows)
    there = {tuple(row) for row in tx.execute(f"SELECT {', '.join(_NAMES)} FROM feedback WHERE {condition}", params)}  # noqa: S608
    if not there.issuperset(rows):
        raise not_kept("a feedback")
