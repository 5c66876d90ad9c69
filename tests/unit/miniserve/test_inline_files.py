"""Images and other files within spans: their digest is the input, and their bytes are kept by policy."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collecting import Collecting, new_span, new_trace
from miniobserve.objects import open_objects
from miniserve.otlp_spans import JSON, PROTOBUF, read_export
from miniserve.request_spans import parts_of
from miniserve.span_trace import heard
from miniserve.span_values import MOST_TEXT, Span
from modelspine.collect_table import CollectTable
from modelspine.kept_files.digests import digests_in
from modelspine.recording.recorder import Heard
from otlp_bodies import NOW, as_json, as_protobuf, given, text
from own_project import own_project

IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2_000  # its base64 is far longer than a text may be
SMALL = b"GIF89a"
OF = "llm.input_messages.0.message"
Attributes = list[dict[str, Any]]


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{encoded(content)}"


def digest(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def spans_of(attributes: Attributes, kind: str = JSON) -> Span:
    named = [text("gen_ai.request.model", "v0.1.0"), *attributes]
    encode = as_json if kind == JSON else as_protobuf
    (span,) = read_export(encode(given(named)), kind, NOW).spans
    return span


def heard_of(*attributes: dict[str, Any], kind: str = JSON) -> Heard:
    (part,) = parts_of([spans_of(list(attributes), kind)], CollectTable())
    return heard(part, CollectTable(), "req-00000001")


def openinference(*parts: tuple[str, str]) -> Attributes:
    contents = f"{OF}.contents"
    return [
        text(f"{OF}.role", "user"),
        *(text(f"{contents}.{n}.{name}", value) for n, (name, value) in enumerate(parts)),
    ]


def image(content: str) -> tuple[str, str]:
    return "message_content.image.image.url", content


def messages(*parts: dict[str, Any]) -> dict[str, Any]:
    return text("gen_ai.input.messages", json.dumps([{"role": "user", "parts": parts}]))


def blob(content: str) -> dict[str, Any]:
    return {"type": "blob", "modality": "image", "mime_type": "image/png", "content": content}


FORMS: dict[str, Callable[[bytes], Attributes]] = {
    "OpenInference's image": lambda content: openinference(image(url(content))),
    "its audio": lambda content: openinference(("message_content.audio.audio.url", url(content, "audio/wav"))),
    "GenAI's blob": lambda content: [messages(blob(encoded(content)))],
    "OpenAI's image": lambda content: [messages({"type": "image_url", "image_url": {"url": url(content)}})],
    "OpenAI's audio": lambda content: [
        messages({"type": "input_audio", "input_audio": {"data": encoded(content), "format": "wav"}})
    ],
    "an image with a source": lambda content: [
        messages({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(content)}})
    ],
    "the whole input": lambda content: [text("input.value", url(content))],
}


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
@pytest.mark.parametrize("content", [IMAGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("form", FORMS)
def test_an_image_alone_is_the_input_by_its_digest(form: str, content: bytes, kind: str) -> None:
    attributes = FORMS[form](content)
    found = heard_of(*attributes, kind=kind)
    assert found.request == digest(content)
    assert (found.unread, found.lost) == ((), ())
    span = spans_of(attributes, kind)
    assert [each.content for each in span.held] == [content]
    assert len(str(span.attributes)) < 2_000


def test_a_structured_message_may_hold_a_blob() -> None:
    def structured(value: Any) -> dict[str, Any]:
        if isinstance(value, list):
            return {"arrayValue": {"values": [structured(each) for each in value]}}
        if isinstance(value, dict):
            return {"kvlistValue": {"values": [{"key": k, "value": structured(each)} for k, each in value.items()]}}
        return {"stringValue": value}

    given = [{"role": "user", "parts": [blob(encoded(SMALL))]}]
    assert heard_of({"key": "gen_ai.input.messages", "value": structured(given)}).request == digest(SMALL)


def test_several_images_are_a_list() -> None:
    assert heard_of(*openinference(image(url(IMAGE)), image(url(SMALL)))).request == [digest(IMAGE), digest(SMALL)]
    assert heard_of(messages(blob(encoded(IMAGE)), blob(encoded(SMALL)))).request == [digest(IMAGE), digest(SMALL)]


def test_a_text_beside_an_image_stays_the_input() -> None:
    said = ("message_content.text", "what is this?")
    assert heard_of(*openinference(image(url(IMAGE)), said)).request == "what is this?"
    part = {"type": "text", "content": "what is this?"}
    assert heard_of(messages(part, blob(encoded(IMAGE)))).request == "what is this?"


def test_an_image_beside_the_json_of_the_whole_call_is_the_message() -> None:
    call = {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": url(IMAGE)}]}]}
    found = heard_of(text("input.value", json.dumps(call)), *openinference(image(url(IMAGE))))
    assert found.request_message == digest(IMAGE)
    assert found.request["messages"][0]["content"][0]["image_url"] == digest(IMAGE)


def test_a_column_that_is_an_image_is_its_digest() -> None:
    found = heard_of(text("input.value", json.dumps({"caption": "a cat", "photo": url(IMAGE)})))
    assert found.request == {"caption": "a cat", "photo": digest(IMAGE)}


@pytest.mark.parametrize("wrong", ["!!!!", "AAA", "", "AAAA\\n", "AAAA AAAA", "é"])
def test_what_is_no_base64_is_named(wrong: str) -> None:
    for attributes in (openinference(image(f"data:image/png;base64,{wrong}")), [messages(blob(wrong))]):
        found = heard_of(*attributes)
        assert found.request is None
        assert found.unread[0].endswith(": a file in it is no base64")


@pytest.mark.parametrize(
    "value",
    [
        "data:image/png,not-base64", "data:,hello", "the url data:image/png;base64,AAAA is within a text",
        '{"text": "a \\"blob\\" and ;base64, are only words"}', '["blob", "content"]', '{"type": "blob"}',
        '{"type": "base64", "broken": ', json.dumps({"type": "blob", "content": 7}),
        json.dumps({"x": "spine-inline-file:0", "photo": url(SMALL)}),
    ],
)  # fmt: skip
def test_any_other_text_is_as_it_was(value: str) -> None:
    span = spans_of([text("input.value", value)])
    assert span.attributes["input.value"] == value
    assert (span.held, span.unread) == ((), {})


def test_a_long_text_is_left_out_as_before() -> None:
    for value in ("x" * (MOST_TEXT + 1), json.dumps({"type": "text", "content": "x" * MOST_TEXT, "or": '"blob"'})):
        assert spans_of([text("input.value", value)]).left_out == ["input.value"]
    deep = '{"type":"blob","in":' * 60 + f'"{url(SMALL)}"' + "}" * 60
    assert spans_of([text("input.value", deep)]).attributes["input.value"] == deep
    many = json.dumps([{"type": "text", "content": "A" * 600}] * 400 + [blob(encoded(SMALL))])
    assert spans_of([text("input.value", many)]).left_out == ["input.value"]


def test_hostile_json_of_megabytes_is_read_in_a_moment() -> None:
    begun = time.perf_counter()
    for value in ('"' + "A" * 4_000_000, '["' + "A" * 3_000_000 + '";base64,', '["blob",' + "[" * 3_000_000,
                  "[" + '"data:;base64,' * 200_000, '{"blob":1}' + "[]," * 1_000_000):  # fmt: skip
        spans_of([text("input.value", value)])
    assert time.perf_counter() - begun < 10


def sent(collector: Collecting, *attributes: dict[str, Any]) -> Any:
    trace = new_trace()
    named = [text("gen_ai.request.model", "v0.1.0"), text("output.value", "spam"), *attributes]
    reply = collector.export({**given(named), "traceId": trace, "spanId": new_span(), "parentSpanId": "", "kind": 2})
    assert reply.status_code == 200, reply.text
    return collector.trace(trace)


@pytest.mark.parametrize("policy", ["full", "hash"])
def test_a_collector_keeps_files_by_policy(
    policy: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = own_project(tmp_path / "project", policy=policy)
    place = f"s3://{bucket}/files"
    monkeypatch.setenv("SPINE_FILES", place)
    with Collecting(root) as collector:
        trace = sent(collector, *openinference(image(url(IMAGE))))
    kept = [each.key for each in open_objects(place).list()]
    sha = hashlib.sha256(IMAGE).hexdigest()
    if policy == "full":
        assert [each.sha256 for each in digests_in(trace)] == [sha]
        assert kept == [f"{sha[:2]}/{sha}"]
        assert open_objects(place).get(kept[0]) == IMAGE
    else:
        assert (trace.input, kept) == (None, [])


def test_a_store_that_is_gone_holds_up_no_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = own_project(tmp_path / "project")
    (tmp_path / "files").write_text("no folder")
    monkeypatch.setenv("SPINE_FILES", str(tmp_path / "files"))
    with Collecting(root) as collector:
        trace = sent(collector, messages(blob(encoded(IMAGE))))
    assert [each.sha256 for each in digests_in(trace)] == [hashlib.sha256(IMAGE).hexdigest()]
    assert "gen_ai.input.messages: its bytes are not kept: " in trace.fields["unread"]
