"""What the spans of one request say of it: the input, the answer, the model, the unit and the tokens.

Of several model spans in one request, the one that ended last gave the answer, the one that began first was asked, and
tokens add up. One that failed and had begun before another one ended well gave no answer: the other one did.
Where one of them does not say what is looked for, such as the span of an agent around its calls, those within it do.
The receiving span gives the time, the seconds, the unit and the error.

It knows nothing of entries, routes or storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from miniobserve.ids import is_request_id, learner_of
from miniserve.messages import answered, asked
from miniserve.request_spans import MODEL, REQUEST_ID, Part, word
from miniserve.span_values import MOST_ATTRIBUTES, MOST_SPAN_TEXT, MOST_TEXT, Span
from modelspine.collect_table import CollectTable
from modelspine.described.records import member
from modelspine.recording.placing import Told
from modelspine.recording.recorder import Heard
from modelspine.registry.model_names import MOST_NAME
from modelspine.text import visible

UNIT = ("user.id", "enduser.id", "session.id", "gen_ai.conversation.id")
READ = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
WRITTEN = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
SCORES = {"gen_ai.evaluation.score.value": "evaluation_score"}
ARM, EPOCH = "spine.arm", "spine.epoch"
UNNAMED = "unnamed"
"""The name of a model that no span names: its requests are kept without an entry, and can be claimed by it."""
FIELD = "spine.field."
"""Attributes that begin so are fields of the answer, such as ``spine.field.score``."""
_REPLACED = (
    f"{REQUEST_ID} is not 8 to 64 characters of A-Z a-z 0-9 . _ -; the request is called by its trace id instead"
)
_LIMITS = f"a text may have {MOST_TEXT:,} characters, a span {MOST_SPAN_TEXT:,} and {MOST_ATTRIBUTES} attributes"
_UNTIMED = (
    "a span has no end, or one before its start, over a day after it or ahead of the clock; it counts as 0 seconds long"
)
_MOST_UNIT = 128
_MOST_TOKENS = 2**40


def heard(part: Part, table: CollectTable, request_id: str) -> Heard:
    """What the spans of a request say, for a trace."""
    root, models = part.root, part.models
    last = _answered(models)
    answering = tuple(_down(last, part.within, _answered))
    spans = part.spans
    told = _telling(part)
    start, end = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    whole = part.complete and root.timed
    error = next((span for span in (root, last) if span.failed), None)
    unfinite = {name: why for span in told for name, why in span.unfinite.items()}
    no_input = _taken(unfinite, table.input, "input.value")
    no_output = _taken(unfinite, table.output, "output.value")
    request = asked((*_down(models[0], part.within, _began), root), table.input)
    answer = answered((*answering, root), table.output)
    return Heard(
        request_id=request_id,
        trace_id=root.trace_id,
        span_id=root.span_id,
        started_ns=root.start_ns if part.complete else start,
        seconds=max(0, (root.end_ns if whole else end) - root.start_ns) / 1e9,
        unread=(*_unread(part), *unfinite.values(), *(why for span in told for why in span.unread.values())),
        lost=(*_lost(told, request.value, answer.value), *no_input),
        lost_answer=no_output,
        models=_models(last, table),
        request=request.value,
        request_message=request.message,
        answer=answer.value,
        answer_message=answer.message,
        unit=_unit(told, table),
        told=_told(told),
        features=_features(told, table),
        fields=_fields((root, *answering, *told)),
        notes={**_counts(models), **_left_out(told)},
        tokens=_tokens(part, table),
        status=500 if error is not None else 200,
        error=(error.error or str(error.attributes.get("error.type", "")) or "the span failed") if error else "",
    )


def _began(spans: Sequence[Span]) -> Span:
    return min(spans, key=lambda span: (span.start_ns, span.span_id))


def _answered(spans: Sequence[Span]) -> Span:
    """The span that gave the answer: the one that ended last, without those that failed beside one that did not.

    Of two calls in parallel, the slower one may be cancelled once the other one has answered.
    """
    worked = max((span.end_ns for span in spans if not span.failed), default=None)
    kept = [span for span in spans if worked is None or not span.failed or span.start_ns >= worked]
    return max(kept, key=lambda span: (span.end_ns, span.span_id))


def _down(span: Span, within: Mapping[str, Sequence[Span]], pick: Callable[[Sequence[Span]], Span]) -> Iterator[Span]:
    """A model span, then one of those within it, and so on; not below one of which something was left out."""
    yield span
    while inner := _inner(span, within):
        span = pick(inner)
        yield span


def _inner(span: Span, within: Mapping[str, Sequence[Span]]) -> Sequence[Span]:
    """The model spans right below one that say what it does not; none where something of it was left out."""
    return () if span.left_out or span.unfinite else within.get(span.span_id, ())


def _telling(part: Part) -> tuple[Span, ...]:
    """All spans that say something of a request, each once: the outer ones before those within them."""
    found = list(part.spans)
    for span in found:  # grows meanwhile
        found += _inner(span, part.within)
    return tuple(found)


def own_id(part: Part) -> str | None:
    """The request id that the spans give, if it is well formed."""
    found = _first(part.spans, (REQUEST_ID,))
    return found if isinstance(found, str) and is_request_id(found) else None


def _first(spans: Iterable[Span], names: Iterable[str]) -> Any:
    """The first of these attributes that one of these spans has."""
    names = tuple(names)
    return next((span.attributes[name] for span in spans for name in names if name in span.attributes), None)


def _named(span: Span, own: str | None, usual: Sequence[str]) -> Any:
    found = member(span.attributes, own) if own is not None else None
    return _first((span,), usual) if found is None else found


def _models(span: Span, table: CollectTable) -> tuple[str, ...]:
    own = [word(member(span.attributes, table.model))] if table.model is not None else []
    names = [*own, *(word(span.attributes.get(name)) for name in MODEL)]
    return tuple(
        dict.fromkeys(visible(name, MOST_NAME) if len(name) > MOST_NAME else name for name in names if name)
    ) or (UNNAMED,)


def _unit(spans: Sequence[Span], table: CollectTable) -> str | None:
    found = None
    if table.unit is not None:
        found = next((each for span in spans if (each := member(span.attributes, table.unit)) is not None), None)
    if found is None:
        found = _first(spans, UNIT)
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not 0 < len(text) <= _MOST_UNIT:
        return None
    try:
        return learner_of(text)
    except ValueError:
        return None


def _told(spans: Sequence[Span]) -> Told:
    arm, epoch = _first(spans, (ARM,)), _first(spans, (EPOCH,))
    number = _whole(epoch)
    return Told(arm if isinstance(arm, str) and 0 < len(arm) <= 40 else None, number)


def _features(spans: Sequence[Span], table: CollectTable) -> dict[str, Any]:
    found = {}
    for name, attribute in table.features.items():
        values = (member(span.attributes, attribute) for span in spans)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            found[name] = value
    return found


def _fields(spans: Sequence[Span]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for span in spans:
        for name, value in span.attributes.items():
            if name.startswith(FIELD) and len(name) > len(FIELD):
                found.setdefault(name.removeprefix(FIELD), value)
            elif name in SCORES:
                found.setdefault(SCORES[name], value)
    return found


def _counts(models: Sequence[Span]) -> dict[str, Any]:
    return {"model_spans": len(models)} if len(models) > 1 else {}


def _left_out(spans: Sequence[Span]) -> dict[str, Any]:
    names = [name for span in spans for name in span.left_out]
    return {"left_out": visible(", ".join(names), 64)} if names else {}


def _unread(part: Part) -> tuple[str, ...]:
    """What the spans say that cannot be taken, as sentences without a full stop."""
    found = () if all(span.timed for span in part.spans) else (_UNTIMED,)
    replaced = _first(part.spans, (REQUEST_ID,)) is not None and own_id(part) is None
    return (*found, _REPLACED) if replaced else found


def _lost(spans: Sequence[Span], request: Any, answer: Any) -> tuple[str, ...]:
    """Why there is no input or output, where attributes of a span were left out."""
    names = [name for span in spans for name in span.left_out]
    missing = [what for what, value in (("input", request), ("output", answer)) if value is None]
    if not names or not missing:
        return ()
    why = f"there is no {' and no '.join(missing)}; left out as too long or too many: {visible(', '.join(names), 100)}"
    return (f"{why} ({_LIMITS})",)


def _taken(unfinite: dict[str, str], *names: str | None) -> tuple[str, ...]:
    """The sentences about these attributes, which are then no longer among the others."""
    found = (unfinite.pop(name.partition("#")[0], None) for name in names if name is not None)
    return tuple(why for why in found if why is not None)


def _tokens(part: Part, table: CollectTable) -> tuple[int, int] | None:
    """The tokens of the model spans; of one without any, those of the spans within it."""
    found: list[tuple[int, int]] = []
    left = list(part.models)
    while left:
        span = left.pop()
        read = _whole(_named(span, table.tokens.input, READ))
        written = _whole(_named(span, table.tokens.output, WRITTEN))
        if read is None and written is None:
            left += part.within.get(span.span_id, ())
        else:
            found.append((read or 0, written or 0))
    return (sum(read for read, _ in found), sum(written for _, written in found)) if found else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None
