"""What an export request may hold: both encodings give the same spans, and every limit holds."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from miniserve import otlp_spans
from miniserve.otlp_spans import JSON, PROTOBUF, read_export
from miniserve.span_values import MOST_TEXT, BadExport, Span
from otlp_bodies import NOW, PARENT, SPAN, TRACE, as_json, as_protobuf, given, text


def read(*spans: Any) -> tuple[Span, ...]:
    return read_export(as_json(*spans), JSON, NOW).spans


EVERY = [
    text("text", "häh\0?"), {"key": "yes", "value": {"boolValue": True}}, {"key": "n", "value": {"intValue": "7"}},
    {"key": "x", "value": {"doubleValue": 0.5}}, {"key": "nan", "value": {"doubleValue": "NaN"}},
    {"key": "raw", "value": {"bytesValue": "AAE="}}, {"key": "nothing", "value": {}},
    {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}]}}},
    {"key": "map", "value": {"kvlistValue": {"values": [text("a", "b")]}}},
]  # fmt: skip


def test_both_encodings_give_the_same_span() -> None:
    span = given(
        EVERY, events=[{"name": "gen_ai.choice", "timeUnixNano": str(NOW), "attributes": [text("content", "yo")]}],
        status={"code": 2, "message": "boom"}, flags=1, links=[], unknownField={"a": 1},
    )  # fmt: skip
    (one,) = read(span)
    span.pop("unknownField")
    (other,) = read_export(as_protobuf(span), PROTOBUF, NOW).spans
    assert one == other
    assert one.attributes == {
        "text": "häh\0?", "yes": True, "n": 7, "x": 0.5, "nan": None, "raw": "AAE=", "nothing": None,
        "list": [1, "b"], "map": {"a": "b"},
    }  # fmt: skip
    assert (one.trace_id, one.span_id, one.parent_id) == (TRACE, SPAN, PARENT)
    assert (one.failed, one.error, one.events[0].attributes) == (True, "boom", {"content": "yo"})
    assert one.unfinite == {"nan": "nan: nan is no JSON number"}
    assert msgspec.json.decode(msgspec.json.encode(one), type=Span) == one


@pytest.mark.parametrize(
    "more",
    [
        {"traceId": "0" * 32}, {"traceId": "xyz"}, {"spanId": ""}, {"spanId": "0" * 16}, {"parentSpanId": "12"},
        {"startTimeUnixNano": "0"}, {"startTimeUnixNano": str(NOW + 3 * 86_400 * 10**9)}, {"kind": "x"},
        {"startTimeUnixNano": "9" * 400}, {"attributes": [{"value": {}}]}, {"attributes": [7]}, {"events": [7]},
        {"attributes": [{"key": 7, "value": {"stringValue": "x"}}]}, {"status": 7},
        {"attributes": [{"key": "a", "value": {"intValue": "x"}}]},
    ],
)  # fmt: skip
def test_a_bad_span_is_rejected_and_the_others_are_taken(more: dict[str, Any]) -> None:
    export = read_export(as_json(given(), given(**more), 7), JSON, NOW)
    assert (len(export.spans), export.rejected) == (1, 2)
    assert export.reason


DAY = 86_400 * 10**9


@pytest.mark.parametrize("encode", [as_json, as_protobuf])
@pytest.mark.parametrize("end", [0, NOW - 1, NOW + DAY + 1, 2**64 - 1], ids=["none", "before", "a day", "most"])
def test_an_end_that_cannot_be_true_is_none(encode: Any, end: int) -> None:
    kind = JSON if encode is as_json else PROTOBUF
    (span,) = read_export(encode(given(endTimeUnixNano=str(end))), kind, NOW).spans
    assert (span.end_ns, span.timed) == (NOW, False)
    for sane in (NOW, NOW + DAY):
        (span,) = read_export(encode(given(endTimeUnixNano=str(sane))), kind, NOW).spans
        assert (span.end_ns, span.timed) == (sane, True)
    (span,) = read(given(endTimeUnixNano=10**25))
    assert (span.end_ns, span.timed) == (NOW, False)
    ahead = {"startTimeUnixNano": str(NOW + DAY), "endTimeUnixNano": str(NOW + DAY + 1)}
    assert not read(given(**ahead))[0].timed


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 100_000, b'{"resourceSpans": "\xff"}', b'"\\ud800"'])
def test_what_is_no_export_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(BadExport):
        read_export(body, JSON, NOW)


def test_lengths_numbers_and_depths_are_limited() -> None:
    deep: dict[str, Any] = {"stringValue": "x"}
    for _ in range(20):
        deep = {"arrayValue": {"values": [deep]}}
    wide = {"arrayValue": {"values": [{"intValue": "1"}] * 5_000}}
    many = [text(f"k{number}", "v") for number in range(200)]
    (span,) = read(given([text("long", "x" * (MOST_TEXT + 1)), {"key": "deep", "value": deep}, text("ok", "yes"),
                          text("k" * 300, "x")]))  # fmt: skip
    assert (span.attributes, span.left_out) == ({"ok": "yes"}, ["long", "deep"])
    assert "wide" in read(given([{"key": "wide", "value": wide}]))[0].left_out
    (span,) = read(given(many))
    assert (len(span.attributes), len(span.left_out)) == (128, 72)
    (span,) = read(given([text(f"k{number}", "x" * 60_000) for number in range(10)]))
    assert len(span.attributes) == 4
    for encode, kind in ((as_json, JSON), (as_protobuf, PROTOBUF)):
        assert read_export(encode(given([{"key": "deep", "value": deep}])), kind, NOW).spans[0].attributes == {}


def test_spans_beyond_the_limit_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_spans, "MOST_SPANS", 3)
    export = read_export(as_protobuf(*[given()] * 5), PROTOBUF, NOW)
    assert (len(export.spans), export.rejected) == (3, 2)


def test_no_bytes_bring_it_down() -> None:
    """Exports with bytes changed, cut and added: each is read, or refused as none."""
    draw, refused = random.Random(5), 0
    whole = [(as_protobuf(given(EVERY), given(EVERY)), PROTOBUF), (as_json(given(EVERY), given(EVERY)), JSON)]
    for _ in range(3_000):
        body, kind = whole[draw.randrange(2)]
        raw = bytearray(body)
        for _ in range(draw.randrange(1, 6)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        if draw.random() < 0.3:
            del raw[draw.randrange(len(raw)) :]
        try:
            for span in read_export(bytes(raw), kind, NOW).spans:
                msgspec.json.encode(span)
        except BadExport:
            refused += 1
    assert 100 < refused < 3_000
