"""Splits a text into sentences and tokens for the parser: words, numbers and punctuation, each with its position.

Words are split at contractions (*did|n't*, *he|'ll*). All other characters are white space. Nothing is normalised, so
positions count characters of the original text. (The model's tokens are ``tokenizer``'s.)
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_LETTER: Final = r"[^\W\d_][\u0300-\u036f]*"
_TOKEN: Final = re.compile(
    rf"(?P<not>n['’´`ʼ]t)(?!\w)"
    rf"|(?P<short>['’´`ʼ](?:ll|ve|re|s|d|m))(?!\w)"
    rf"|(?P<word>(?:{_LETTER})+?(?=n['’´`ʼ]t(?!\w))"
    rf"|(?:{_LETTER})+(?:(?:['’´`ʼ](?!(?:ll|ve|re|s|d|m|t)(?!\w))|[-‐‑])(?:{_LETTER})+)*)"
    rf"|(?P<number>\d[\d.,:]*\d|\d)"
    rf"|(?P<mark>[^\w\s]|_)"
)
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("’´`ʼ", "'"))
_END: Final = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|\n")
_ABBREVIATION: Final = re.compile(r"(?<!\w)(?:mr|mrs|ms|dr|st|prof|vs|e\.g|i\.e|a\.m|p\.m|[A-Z])\.$", re.IGNORECASE)
_LONGEST_ABBREVIATION: Final = 5


class Token(msgspec.Struct, frozen=True):
    """One token: the text as written, the same in lower case with straight quotes, and its position."""

    raw: str
    low: str
    begin: int
    end: int
    gap: str
    """The white space between the previous token and this one; may be empty."""
    word: bool
    """False for punctuation."""
    sentence_start: bool
    """Whether this is the sentence's first word."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return begin and end of each sentence of a text, with its closing punctuation, without leading space."""
    found, begin = [], 0
    for match in _END.finditer(text):
        if (
            match[0] != "\n"
            and match[0].startswith(".")
            and _ABBREVIATION.search(text, max(begin, match.start() - _LONGEST_ABBREVIATION), match.start() + 1)
        ):
            continue
        found.append((begin, match.end()))
        begin = match.end()
    found.append((begin, len(text)))
    stripped = ((first + len(text[first:last]) - len(text[first:last].lstrip()), last) for first, last in found)
    return [(first, last) for first, last in stripped if first < last]


def word_tokens(text: str, begin: int, end: int) -> list[Token]:
    """Return the tokens of one sentence."""
    found: list[Token] = []
    at, words = begin, 0
    for match in _TOKEN.finditer(text, begin, end):
        raw, word = match[0], match["mark"] is None
        low, gap = raw.lower().translate(_APOSTROPHES), text[at : match.start()]
        found.append(Token(raw, low, match.start(), match.end(), gap, word, word and not words))
        words += word
        at = match.end()
    return found
