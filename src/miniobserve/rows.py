"""How a trace becomes a row of ``requests``, and is rebuilt from it exactly.

What is summed, filtered or joined has a column of its own. ``rest`` is JSON with everything else, among it all free
text, which PostgreSQL's own text could not hold exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from miniobserve.schema import DAY_NS, NAMES, NO_LEARNER, feature_terms, latency_slot, searchable
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Assignment, Trace, Value

Row = tuple[Any, ...]
"""The values of ``schema.COLUMNS``."""
T = TypeVar("T", bound=msgspec.Struct)


class _Rest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a trace without a column of their own."""

    span_id: str = ""
    intended_sha: str = ""
    semver: str = ""
    strategy: str = ""
    salt: str = ""
    bucket: int = 0
    unit: str | None = None
    input: str | None = None
    output: str | None = None
    features: dict[str, str] = {}
    fields: dict[str, Any] = {}
    unpriced: str = ""
    workers: int | None = None
    error: str = ""
    embedding: list[float] | None = None


_encode = msgspec.json.Encoder().encode
_decode_rest = msgspec.json.Decoder(_Rest).decode
_decode_stages = msgspec.json.Decoder(dict[str, float]).decode
_decode_values = msgspec.json.Decoder(dict[str, Value]).decode
_BOOLEAN = {"sticky", "in_scope", "accepted", "graded"}
_OF_REST = {
    "span_id",
    "intended_sha",
    "semver",
    "input",
    "output",
    "features",
    "fields",
    "unpriced",
    "workers",
    "error",
    "embedding",
}
_OTHER = {"input_sha256": "text_sha256", "values": "drift_values"}
"""Field of a trace → column of another name."""
_AT = {name: number for number, name in enumerate(NAMES)}
FEEDBACK_FROM = (
    "day", "started_ns", "epoch", "arm", "u", "sticky", "tester", "status", "shadow_of", "entry_sha",
)  # fmt: skip
"""The columns of a request that its feedback is stored with."""


def request_row(trace: Trace) -> Row:
    """Return the row of ``requests`` for a trace, without its feedback, which has its own table.

    Raises:
        ValueError, TypeError: the trace holds what no column can.
    """
    if not -(2**63) <= trace.started_ns < 2**63:
        raise OverflowError("a trace's start is outside of the times that can be stored")
    given = trace.assignment
    rest = _Rest(
        span_id=trace.span_id, intended_sha=trace.intended_sha, semver=trace.semver, strategy=given.strategy,
        salt=given.salt, bucket=given.bucket, unit=given.unit, input=trace.input, output=trace.output,
        features=trace.features, fields=trace.fields, unpriced=trace.unpriced, workers=trace.workers, error=trace.error,
        embedding=trace.embedding,
    )  # fmt: skip
    return (
        trace.request_id, trace.started_ns // DAY_NS, trace.trace_id, trace.started_ns, given.epoch, given.arm, given.u,
        int(given.sticky), given.tester, trace.unit_hash, trace.entry_sha, trace.status, int(trace.in_scope),
        _integer(trace.accepted), _integer(trace.graded), float(trace.seconds), latency_slot(trace.seconds),
        trace.input_tokens, trace.output_tokens, _float(trace.cost), trace.currency, _float(trace.rate_per_hour),
        trace.price_version, trace.priced_by, _float(trace.input_price), _float(trace.output_price), trace.shadow_of,
        trace.retry_of, trace.source, searchable(f"{trace.input or ''}\n{trace.output or ''}"), trace.input_sha256,
        feature_terms(trace.features), _encode(trace.stages).decode() if trace.stages else None,
        _encode(trace.values).decode() if trace.values else None, trace.values_by, _encode(rest).decode(),
    )  # fmt: skip


def trace_of(row: Sequence[Any], feedback: str | None = None) -> Trace:
    """Return the trace of a row of ``requests``.

    Raises:
        StorageError: kind ``damaged`` if its JSON cannot be decoded.
    """
    found = dict(zip(NAMES, row, strict=True))
    try:
        rest = _decode_rest(found["rest"])
        stages = _decode_stages(found["stages"]) if found["stages"] else {}
        values = _decode_values(found["drift_values"]) if found["drift_values"] else {}
    except msgspec.MsgspecError as error:
        raise undecodable(error) from error
    return Trace(
        request_id=found["request_id"], trace_id=found["trace_id"], span_id=rest.span_id,
        started_ns=found["started_ns"], entry_sha=found["entry_sha"], intended_sha=rest.intended_sha,
        semver=rest.semver,
        assignment=Assignment(
            strategy=rest.strategy, epoch=found["epoch"], salt=rest.salt, arm=found["arm"], bucket=rest.bucket,
            sticky=bool(found["sticky"]), u=found["u"], unit=rest.unit, tester=found["tester"],
        ),
        unit_hash=found["unit_hash"], input=rest.input, input_sha256=found["text_sha256"], output=rest.output,
        accepted=_boolean(found["accepted"]), in_scope=bool(found["in_scope"]), graded=_boolean(found["graded"]),
        features=rest.features, values=values, values_by=found["values_by"], embedding=rest.embedding,
        fields=rest.fields, stages=stages,
        seconds=found["seconds"], input_tokens=found["input_tokens"], output_tokens=found["output_tokens"],
        cost=found["cost"], currency=found["currency"], rate_per_hour=found["rate_per_hour"], workers=rest.workers,
        price_version=found["price_version"], priced_by=found["priced_by"], input_price=found["input_price"],
        output_price=found["output_price"], unpriced=rest.unpriced, status=found["status"], error=rest.error,
        shadow_of=found["shadow_of"], retry_of=found["retry_of"], source=found["source"], feedback=feedback or None,
    )  # fmt: skip


def partial(kind: type[T]) -> tuple[tuple[str, ...], Callable[[Row], T]]:
    """Return the columns that a struct of some fields of a trace needs, and the function that makes it of their values.

    The function raises ``StorageError`` (kind ``damaged``) if a value cannot be decoded.
    """
    return _partial(kind)


@cache
def _partial(kind: Any) -> tuple[tuple[str, ...], Callable[[Row], Any]]:
    fields = set(kind.__struct_fields__)
    if fields & {"assignment", "feedback", "label", "score", "said_text"} or not fields <= set(Trace.__struct_fields__):
        return NAMES, lambda row: msgspec.convert(msgspec.to_builtins(trace_of(row)), kind)
    direct = tuple((name, _OTHER.get(name, name)) for name in sorted(fields - _OF_REST))
    resting = [(name, getattr(_Rest(), name)) for name in sorted(fields & _OF_REST)]
    columns = tuple(column for _, column in direct) + (("rest",) if resting else ())
    rest = msgspec.json.Decoder(dict[str, Any]).decode

    def make(row: Row) -> Any:
        try:
            found = {name: _plain(name, value) for (name, _), value in zip(direct, row, strict=False)}
            if resting:
                given = rest(row[-1])
                found |= {name: given.get(name, default) for name, default in resting}
            return msgspec.convert(found, kind)
        except msgspec.MsgspecError as error:
            raise undecodable(error) from error

    return columns, make


def _plain(name: str, value: Any) -> Any:
    """The value of a column as JSON has it."""
    if name in ("stages", "values"):
        return msgspec.json.decode(value) if value else {}
    return _boolean(value) if name in _BOOLEAN else value


def feedback_row(request_id: str, outcome: str, at_ns: int, found: Sequence[Any]) -> Row:
    """Return the row of ``feedback``; ``found`` are the columns ``FEEDBACK_FROM`` of its request."""
    day, started_ns, epoch, arm, u, sticky, tester, status, shadow_of, entry_sha = found
    counted = int(tester is None and status != 499)
    unit = u if sticky else f"{NO_LEARNER}{u}"
    return request_id, outcome, at_ns, day, started_ns, epoch, arm, unit, counted, shadow_of, entry_sha


def feedback_context(trace: Trace) -> Row:
    """Return the columns ``FEEDBACK_FROM`` of a trace."""
    row = request_row(trace)
    return tuple(row[_AT[name]] for name in FEEDBACK_FROM)


def undecodable(error: Exception) -> StorageError:
    """The error for a stored trace that cannot be decoded."""
    return StorageError("damaged", f"a trace cannot be decoded: {error}", "restore the trace store from a backup")


def _integer(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _boolean(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
