"""No input makes text that a terminal obeys or a reader cannot see."""

from __future__ import annotations

import shlex
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelspine.text import _PLAIN, _is_hidden, argument, short, visible

hostile = st.text(st.characters(codec=None, exclude_categories=[]), max_size=60) | st.text(
    "a\x00\x1b\x7f\x9b\u200b\u200d\u202e\u2066\u2028\u2029\ufeff\ufe0f\U000e0041\U000e0100\ud800\ue000\u0378\u0301\u3164é…‹›",
    max_size=60,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text — ñ €", "plain text — ñ €"),
        ("\x00\t\n\r\x1b[31m\x7f", "␀␉␊␍␛[31m␡"),
        ("\x9b31m\x85", "‹U+009B›31m‹U+0085›"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\u202eb\u2066c\u200f", "a‹U+202E›b‹U+2066›c‹U+200F›"),
        ("a\u200bb\u200dc\u2060d\ufeff", "a‹U+200B›b‹U+200D›c‹U+2060›d‹U+FEFF›"),
        ("a\u2028b\u2029", "a‹U+2028›b‹U+2029›"),
        ("x\U000e0041\U000e007f", "x‹U+E0041›‹U+E007F›"),
        ("\ud800\udfff\udc80", "‹U+D800›‹U+DFFF›‹U+DC80›"),
        ("\ue000\u0378\uffff\U0010ffff", "‹U+E000›‹U+0378›‹U+FFFF›‹U+10FFFF›"),
        ("a\ufe0fb\U000e0100", "a‹U+FE0F›b‹U+E0100›"),
        ("\u3164\u115f\u2800\xad", "‹U+3164›‹U+115F›‹U+2800›‹U+00AD›"),
        ("e\u0301 नी \u0301", "e\u0301 नी \u0301"),
        ("\u0301a", "‹U+0301›a"),
        ("z" + "\u0301" * 6, "z" + "\u0301" * 4 + "‹U+0301›‹U+0301›"),
        ("", ""),
    ],
)
def test_marks(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@pytest.mark.parametrize(
    ("raw", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("ab\u202e", 6, "ab…"),
        ("a\u202e", 9, "a‹U+202E›"),
        ("\u202e", 8, "‹U+202E›"),
        ("\u202e\u202e", 9, "‹U+202E›…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
        ("ab", -5, ""),
        ("", 0, ""),
        ("x" * 10_000_000, 5, "xxxx…"),
    ],
)
def test_cuts(raw: str, limit: int, shown: str) -> None:
    assert visible(raw, limit) == shown


@settings(max_examples=1000, deadline=None)
@given(raw=hostile, limit=st.integers(-1, 80) | st.just(200))
def test_nothing_hidden_is_left_and_twice_is_once(raw: str, limit: int) -> None:
    shown = visible(raw, limit)
    assert len(shown) <= max(limit, 0)
    assert visible(shown, limit) == shown
    shown.encode()
    for char in shown:
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert not 0xFE00 <= ord(char) <= 0xFE0F
        assert not 0xE0000 <= ord(char) <= 0xE0FFF
    if limit >= 8 * len(raw) + 20:
        assert not shown.endswith("…") or raw.endswith("…")


@pytest.mark.long
def test_every_character_there_is() -> None:
    for code in range(0x110000):
        char = chr(code)
        hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert not (hidden and char in visible(char))


def test_what_is_shown_as_it_is_has_no_character_that_needs_a_look() -> None:
    plain = [char for char in map(chr, range(0x110000)) if char.isprintable() and _PLAIN.fullmatch(char)]
    assert {"a", "é", "│", "✔", "…", "→"} <= set(plain)
    assert not [char for char in plain if _is_hidden(char) or unicodedata.category(char).startswith("M")]


def test_short_is_twelve_digits() -> None:
    assert short("0123456789abcdef" * 4) == "0123456789ab"
    assert short("\x1b[0m") == "␛[0m"


@pytest.mark.parametrize("text", ["plain-id", "-dash", "--json", "two words", "it's", "$(rm -rf /)", "a;b", "", "-"])
def test_an_argument_is_pasted_as_one_word_and_never_as_a_flag(text: str) -> None:
    from modelspine.cli.verbs import parse

    words = shlex.split(f"spine incident {argument(text)}")
    assert parse(words[1:]).request_id == text
    words = shlex.split(f"spine rollback v1.0.0 {argument(text, '--reason')}")
    assert parse(words[1:]).reason == text
