"""What the model reads of a sentence: its grammar as written, every open word as a shape.

A form depends on the words that make the grammar (pronouns, determiners, helpers, words of time) and on whether a noun
is one or many, never on which name or noun it is. So names, nouns and whatever else is in no closed list are read by
their shape alone (*Xx*, *x*, *xs*, *xed*), and a word that no corpus holds is read as one that every corpus holds.
"""

from __future__ import annotations

import re
from typing import Final

from minitutor import words
from minitutor.conjugation import VERBS, forms
from minitutor.subjects import is_plural
from minitutor.tokens import Token, tokens

_READ: Final = (
    words.FUNCTION_WORDS
    | words.MATRIX
    | words.LEADS
    | {word for verb in VERBS for word in forms(verb)}
    | {"last", "next", "n't", "'ll", "'ve", "'re", "'s", "'d", "'m", "going"}
)
_MARKS: Final = frozenset("?,.!;:-")
_ENDINGS: Final = re.compile(r"(?<=..)(?:ed|ing|ly)$")


def shaped(text: str) -> str:
    """The text as the model reads it: tokens with a space between them, open words as their shape."""
    return " ".join(_shape(token) for token in tokens(text, 0, len(text)))


def _shape(token: Token) -> str:
    if not token.word:
        return token.raw if token.raw in _MARKS else "~"
    if token.low in _READ:
        return token.low if token.low != "i" or token.raw == "I" else "x"
    if token.low[0].isdigit():
        return "1" if token.low == "1" else "2"
    if token.raw[0].isupper() and not token.sentence_start:
        return "Xx"
    ending = None if token.low in words.IRREGULAR_PLURALS else _ENDINGS.search(token.low)
    shape = f"x{ending[0]}" if ending else "xs" if is_plural(token.low) else "x"
    return shape.capitalize() if token.raw[0].isupper() else shape
