"""Divides the spans of a trace into requests: which span received each, and which ones asked a model.

Rules, in this order:

- A *model span* names a model: by ``[collect] model``, ``spine.entry_sha``, the GenAI conventions
  (``gen_ai.response.model``, ``gen_ai.request.model``) or OpenInference (``llm.model_name``). In a request where no
  span names one, it is a span that says that it asked a model (``openinference.span.kind``, ``gen_ai.operation.name``).
- A model span that only makes an embedding counts where its request has no other one: it prepares or keeps an answer.
- A span with ``spine.request_id`` is a request of its own. For every other model span, the request is the nearest span
  above it that received something (kind SERVER or CONSUMER), else the first span of the trace. So a trace may have
  several requests, and model spans of one request are joined.
- Of several model spans in one request, those within another one are part of it.

It does not know what the spans say of a request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from miniserve.span_values import CONSUMER, SERVER, Span
from modelspine.collect_table import CollectTable
from modelspine.described.records import member

REQUEST_ID = "spine.request_id"
MODEL = (
    "spine.entry_sha", "gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name",
)  # fmt: skip
_KIND, _OPERATION = "openinference.span.kind", "gen_ai.operation.name"
_OPERATIONS = frozenset(("chat", "text_completion", "generate_content", "embeddings"))


class Part(NamedTuple):
    """The spans of one request: the one that received it, and those that asked a model, in the order they began."""

    root: Span
    models: tuple[Span, ...]
    complete: bool
    """Whether the span that received it is there; without it, the topmost known span stands for it."""
    within: Mapping[str, tuple[Span, ...]] = {}
    """The model spans right below a model span, by its id, in the order they began."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """All of its spans that say something, each once."""
        return tuple({span.span_id: span for span in (self.root, *self.models)}.values())


def parts_of(spans: Sequence[Span], table: CollectTable) -> list[Part]:
    """Divide the spans of one trace into requests, the first one first. Spans without a request are in none."""
    by_id = {span.span_id: span for span in spans}
    asks = {span.span_id for span in spans if is_model(span, table)}
    places = _places(spans, by_id, asks)
    named = {places[name].top for name in asks if not _embeds(by_id[name])}
    if unnamed := {each.span_id for each in spans if _asks(each) and places[each.span_id].top not in named}:
        asks |= unnamed
        places = _places(spans, by_id, asks)
    groups: dict[str, list[Span]] = defaultdict(list)
    within: dict[str, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for span in sorted((by_id[name] for name in asks), key=lambda span: (span.start_ns, span.span_id)):
        top, above = places[span.span_id]
        if not above:
            groups[top].append(span)
        elif _embeds(by_id[above]) or not _embeds(span):
            within[top][above].append(span)
    found = []
    for top, models in groups.items():
        root = by_id[top]
        inner = {above: tuple(below) for above, below in within[top].items()}
        found.append(Part(root, _answering(models), _receives(root) or not root.parent_id, inner))
    return sorted(found, key=lambda part: (part.root.start_ns, part.root.span_id))


def _answering(models: Sequence[Span]) -> tuple[Span, ...]:
    """The model spans without those that only make an embedding, unless there are no others."""
    return tuple(span for span in models if not _embeds(span)) or tuple(models)


class _Place(NamedTuple):
    """Where a span stands: its request's topmost span, and the nearest model span of that request above it, if any."""

    top: str
    above: str


def _places(spans: Sequence[Span], by_id: Mapping[str, Span], asks: set[str]) -> dict[str, _Place]:
    """Where each span stands."""
    places: dict[str, _Place] = {}
    for span in spans:
        _settle(span, by_id, asks, places)
    return places


def _settle(span: Span, by_id: Mapping[str, Span], asks: set[str], places: dict[str, _Place]) -> None:
    """Find the place of a span and of those above it; each is looked at once, however long the chain is."""
    path: list[Span] = []
    seen: set[str] = set()
    at = span
    # Ids come from outside and may form a ring, which then ends where it began.
    while at.span_id not in places and at.span_id not in seen:
        seen.add(at.span_id)
        path.append(at)
        if _receives(at) or at.parent_id not in by_id:
            break
        at = by_id[at.parent_id]
    for one in reversed(path):
        above = None if _receives(one) else places.get(one.parent_id)
        if above is None:
            places[one.span_id] = _Place(one.span_id, "")
        else:
            places[one.span_id] = _Place(above.top, one.parent_id if one.parent_id in asks else above.above)


def is_model(span: Span, table: CollectTable) -> bool:
    """Whether a span names a model."""
    return any(isinstance(span.attributes.get(name), str) and span.attributes[name] for name in MODEL) or (
        table.model is not None and bool(word(member(span.attributes, table.model)))
    )


def _asks(span: Span) -> bool:
    """Whether a span says that it asked a model, whatever model that was."""
    return span.attributes.get(_KIND) == "LLM" or span.attributes.get(_OPERATION) in _OPERATIONS


def _embeds(span: Span) -> bool:
    """Whether a span says that it made an embedding, which is no answer."""
    names = [name for name in MODEL if span.attributes.get(name)]
    only = names == ["embedding.model_name"] and span.attributes.get(_KIND) != "LLM"
    return only or span.attributes.get(_KIND) == "EMBEDDING" or span.attributes.get(_OPERATION) == "embeddings"


def _receives(span: Span) -> bool:
    return span.kind in (SERVER, CONSUMER) or REQUEST_ID in span.attributes


def word(value: Any) -> str:
    """A text without the spaces around it; empty for anything else."""
    return value.strip() if isinstance(value, str) else ""
