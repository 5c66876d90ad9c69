"""The text that a model was asked and the one it gave, in the forms in which spans carry conversations.

OpenTelemetry's GenAI conventions keep messages in attributes (as JSON or structured), before that in events; and
OpenInference and others number them (``llm.input_messages.0.message.content``). The last message of the user counts as
what was asked. OpenInference also gives the input and the output as one value, which is often the JSON of the whole
call. It knows nothing of requests or models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from miniserve.span_values import MOST_ATTRIBUTES, MOST_DEPTH, Span
from modelspine.described.records import member
from modelspine.recording.plain_values import Digest, as_digest

_PROMPTS = ("gen_ai.input.messages", "gen_ai.prompt")
_COMPLETIONS = ("gen_ai.output.messages", "gen_ai.completion")
_USER, _MODEL = ("user", "human"), ("assistant", "model", "ai")
"""The roles under which the two speak."""
_DETAILS = "gen_ai.client.inference.operation.details"
_NUMBERED_PROMPTS = (
    "llm.input_messages.{}.message", "gen_ai.prompt.{}", "llm.prompts.{}.prompt", "embedding.embeddings.{}.embedding",
)  # fmt: skip
_NUMBERED_COMPLETIONS = ("llm.output_messages.{}.message", "gen_ai.completion.{}", "llm.choices.{}.completion")
_CALLED = "tool_calls.0.tool_call.function.arguments"
"""What a model that answers by calling a function says: the arguments of its first call, which are JSON."""
_JSON = "application/json"
_MOST_MESSAGES = 64
_MOST_PARTS = 16
_RESULTS = frozenset({"tool_result", "tool_call_response", "function_response"})
"""Types of parts that hold what a tool returned; some clients give them in a message of the user."""
_HIDDEN = "__REDACTED__"
"""What OpenInference writes instead of a text that its settings hide."""


Message = str | Digest | list[Digest]
"""What a message says: its text, or the files that are all of it."""


class Said(NamedTuple):
    """What a span tells of a request or an answer; None where it tells nothing."""

    value: Any
    message: Message | None
    """The message, where ``value`` is JSON: many clients give the JSON of the whole call beside its messages."""


def asked(spans: Iterable[Span], own: str | None) -> Said:
    """What the model was asked, by the first of these spans that tells it; ``own`` is the attribute of the table."""
    return _said(spans, own, "input", last_prompt)


def answered(spans: Iterable[Span], own: str | None) -> Said:
    """What the model answered, by the first of these spans that tells it."""
    return _said(spans, own, "output", last_completion)


def _said(spans: Iterable[Span], own: str | None, usual: str, message: Callable[[Span], Message | None]) -> Said:
    """What the first of these spans tells that tells anything: the attribute of the table, the usual one, a message."""
    for span in spans:
        if own is not None and (found := member(span.attributes, own)) is not None:
            return Said(as_digest(_decoded(found, span.attributes.get(f"{usual}.mime_type"))), None)
        text, found = message(span), span.attributes.get(f"{usual}.value")
        if found is not None and found != _HIDDEN:
            value = as_digest(_decoded(found, span.attributes.get(f"{usual}.mime_type")))
            return Said(value, text if _is_json(found, value) else None)
        if text is not None:
            return Said(text, text)
    return Said(None, None)


def _is_json(given: Any, value: Any) -> bool:
    """Whether a value is JSON: an object or list, or a text that was decoded."""
    return value is not given or not isinstance(value, str)


def _decoded(value: Any, kind: Any) -> Any:
    """A value whose span says that it is JSON, as JSON; a text that is an object, too."""
    if not isinstance(value, str) or not (kind == _JSON or value.startswith("{")):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def last_prompt(span: Span) -> Message | None:
    """The last message of the user among those that were put to the model.

    None if the span has no such message, or if the last one has neither a text nor a file that the span carries: an
    earlier message is another input.
    """
    return next((texts[-1] for texts in _prompts(span) if texts), None)


def _prompts(span: Span) -> Iterator[list[Message | None]]:
    """The user's messages in each form that a span may carry them in; None for one that has no text and no file."""
    for source in _sources(span):
        yield from (_spoken(source[name], _USER) for name in _PROMPTS if name in source)
    yield [_content(event.attributes) for event in span.events if event.name == "gen_ai.user.message"]
    numbered = _numbered(span, _NUMBERED_PROMPTS)
    # Plain prompts have no role, and neither has a message whose role was left out of the span.
    yield [
        one.text for one in numbered if one.role in (_USER if one.text is None and not one.left_out else (*_USER, ""))
    ]


def last_completion(span: Span) -> Message | None:
    """The message that the model gave; None if the span has none."""
    for source in _sources(span):
        for name in _COMPLETIONS:
            texts = _spoken(source[name], _MODEL) if name in source else []
            if given := [text for text in texts if text is not None]:
                return given[-1]
    for event in span.events:
        if event.name == "gen_ai.choice" and (text := _content(event.attributes)) is not None:
            return text
    # One that was left out has to stop the search, or another one would stand for it.
    numbered = _numbered(span, _NUMBERED_COMPLETIONS)
    return next((each.text for each in numbered if each.text is not None or each.left_out), None)


def _sources(span: Span) -> Iterable[Mapping[str, Any]]:
    yield span.attributes
    for event in span.events:
        if event.name in (_DETAILS, "gen_ai.content.prompt", "gen_ai.content.completion"):
            yield event.attributes


def _spoken(value: Any, roles: tuple[str, ...]) -> list[Message | None]:
    """The messages of these roles, in a list of messages or a text; None for one that has no text and no file."""
    found = _parsed(value)
    if isinstance(found, str):
        return [found]
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, list):
        return []
    messages = [each for each in found[-_MOST_MESSAGES:] if isinstance(each, Mapping) and not _is_of_a_tool(each)]
    return [_text_of(message) for message in messages if message.get("role", roles[0]) in roles]


def _text_of(message: Mapping[str, Any]) -> Message | None:
    """What one message says: its content, its parts that are text, or else the files among them."""
    if isinstance(content := message.get("content"), str):
        return content
    parts = [part for part in _parts(message) if not _is_result(part)]
    texts = [part.get("content", part.get("text")) for part in parts]
    found = [text for text in texts if isinstance(text, str)]
    return "\n".join(found) if found else _files(parts)


def _files(values: Iterable[Any]) -> Message | None:
    """The digests of the files in these values: one as it is, several as a list, None if there is none."""
    found = [each for value in values for each in _digests(value, MOST_DEPTH)]
    return found[0] if len(found) == 1 else found or None


def _digests(value: Any, depth: int) -> Iterator[Digest]:
    if isinstance(found := as_digest(value), Digest):
        yield found
    elif depth > 0 and isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _digests(each, depth - 1)


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = message.get("parts") if (content := message.get("content")) is None else content
    return [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _is_of_a_tool(message: Mapping[str, Any]) -> bool:
    """Whether a message holds nothing but what tools returned."""
    parts = _parts(message)
    return bool(parts) and all(map(_is_result, parts))


def _is_result(part: Mapping[str, Any]) -> bool:
    return part.get("type") in _RESULTS or "function_response" in part


def _content(attributes: Mapping[str, Any]) -> Message | None:
    """What a message in an event says."""
    if isinstance(content := attributes.get("content"), str):
        return content
    message = _parsed(attributes.get("message"))
    return _text_of(message) if isinstance(message, Mapping) else message if isinstance(message, str) else None


class _Numbered(NamedTuple):
    """A numbered message."""

    role: str
    text: Message | None
    """None where it says nothing, or where that was left out of the span."""
    left_out: bool


def _numbered(span: Span, forms: tuple[str, ...]) -> list[_Numbered]:
    """The numbered messages of the first of these forms that the span has."""
    for form in forms:
        found = list(takewhile(bool, (_message(span, form.format(number)) for number in range(MOST_ATTRIBUTES))))
        if found:
            return [message for message in found if message is not None]
    return []


def _message(span: Span, name: str) -> _Numbered | None:
    """The message whose attributes begin with a name; None if there is none."""
    left_out = any(each.startswith(f"{name}.") for each in span.left_out)
    if not left_out and not any(each.startswith(f"{name}.") for each in span.attributes):
        return None
    role = str(span.attributes.get(f"{name}.role", ""))
    return _Numbered(role, _numbered_text(span.attributes, name), left_out)


def _numbered_text(attributes: Mapping[str, Any], name: str) -> Message | None:
    """What one numbered message says: its content, its parts that are text, the arguments of its first call, or files.

    A text beside an image stays what was said.
    """
    parts = [f"contents.{part}.message_content.text" for part in range(_MOST_PARTS)]
    for ways in (("content",), ("text",), parts, (_CALLED,)):
        said = [attributes.get(f"{name}.{way}") for way in ways]
        if texts := [text for text in said if isinstance(text, str) and text != _HIDDEN]:
            return "\n".join(texts)
    contents = f"{name}.contents."
    return _files(value for key, value in attributes.items() if key.startswith(contents))


def _parsed(value: Any) -> Any:
    """A text that is JSON, as JSON; any other value as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{", '"'):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value
