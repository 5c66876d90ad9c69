"""Strict JSON: what is refused is refused with the text's name, in bounded time; numbers print as RFC 8785 says."""

from __future__ import annotations

import math
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelspine.canonical_json import MAX_ITEMS, canonical, parse_json
from modelspine.errors import BadInput, BundleRefused


def refusal(raw: bytes) -> str:
    with pytest.raises(BadInput) as refused:
        parse_json(raw, what="the text")
    assert refused.value.message.startswith("the text ")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 400
    return refused.value.message


# From appendix B of RFC 8785: the bits of a double and how it prints.
@pytest.mark.parametrize(
    ("bits", "printed"),
    [
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0xC340000000000000, "-9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x444B1AE4D6E2EF4E, "999999999999999700000"),
        (0x444B1AE4D6E2EF50, "1e+21"),
        (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x41B3DE4355555553, "333333333.3333332"),
        (0x41B3DE4355555557, "333333333.33333343"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
        (0x43143FF3C1CB0959, "1424953923781206.2"),
    ],
)
def test_numbers_print_as_the_standard_says(bits: int, printed: str) -> None:
    assert canonical(struct.unpack(">d", struct.pack(">Q", bits))[0]) == printed.encode()


def test_an_integer_and_the_float_it_equals_are_one_number() -> None:
    assert canonical(parse_json(b"[1, 1.0, 1e0, -0, 1e16]", what="x")) == b"[1,1,1,0,10000000000000000]"


def test_minus_zero_is_no_integer() -> None:
    value = parse_json(b"-0", what="x")
    assert isinstance(value, float)
    assert math.copysign(1, value) == -1


@pytest.mark.parametrize("bad", [math.nan, math.inf, 2**53, "\ud800", {1: 2}, object()])
def test_what_json_cannot_hold_is_an_error(bad: object) -> None:
    with pytest.raises(ValueError):
        canonical(bad)


def test_the_error_is_the_callers_choice() -> None:
    with pytest.raises(BundleRefused):
        parse_json(b"", what="x", error=BundleRefused)


@pytest.mark.parametrize(
    "text", ['"\\ud83d\\ude00"', '"\\\\ud800"', '["\\u00e9", "\\ud7ff", "\\ue000"]', '"\U0010ffff"', '"\x7f"']
)
def test_whole_characters_pass(text: str) -> None:
    assert canonical(parse_json(text.encode(), what="x"))


def test_brackets_in_strings_are_no_nesting() -> None:
    text = b'["' + b"[" * 500 + b'\\"' + b"{" * 500 + b'", "\\\\"]'
    assert len(parse_json(text, what="x")) == 2


@pytest.mark.parametrize("raw", [b"[" * 64 + b"]" * 64, b'{"a":' * 64 + b"1" + b"}" * 64])
def test_64_deep_passes_and_65_does_not(raw: bytes) -> None:
    assert parse_json(raw, what="x")
    assert "deeper than 64" in refusal(b"[" + raw + b"]")


M = 2**20


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 8 * M,
        b'{"a":' * M,
        b'"' * 16 * M,
        b'"' + b"\\" * (16 * M),
        b'"\\' * 400_000,
        b'"\\"' * 400_000,
        b"[" + b"{}," * (2 * M),
        b"1" * 16 * M,
        b"-" + b"9" * 16 * M,
        b"1e" + b"9" * 16 * M,
        b"[" + b"1," * 16 * M,
        b"[" + b'"",' * (2 * M),
        b" " * 16 * M,
        b'{"\\ud800":1}' + b" " * M,
        b"\x00" * 16 * M,
        b"\xff" * 16 * M,
        b"[" + b"[]," * (MAX_ITEMS - 9) + b"x",
    ],
    ids=lambda raw: f"{raw[:6]!r}x{len(raw)}",
)
def test_hostile_texts_are_refused_in_bounded_time(raw: bytes) -> None:
    start = time.thread_time()
    refusal(raw)
    assert time.thread_time() - start < 1


def test_messages_show_hostile_keys_as_marks() -> None:
    assert "␛" in refusal(b'{"\\u001b]0;x\\u0007":1,"\\u001b]0;x\\u0007":2}')


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0123dDeE+-. NaInfity\ufeff', max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_a_refusal(raw: bytes) -> None:
    try:
        value = parse_json(raw, what="x")
    except BadInput:
        return
    assert canonical(value)
