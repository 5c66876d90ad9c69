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

_VERB_WORDS: Final = frozenset(word for verb in VERBS for word in forms(verb))
_READ: Final = (
    words.FUNCTION_WORDS
    | words.MATRIX
    | words.LEADS
    | _VERB_WORDS
    | {"last", "next", "n't", "'ll", "'ve", "'re", "'s", "'d", "'m", "going"}
)
_MARKS: Final = frozenset("?,.!;:-")
_ENDINGS: Final = re.compile(r"(?<=..)(?:ed|ing|ly)$")


def shaped(text: str, begin: int = 0, end: int | None = None, owner: tuple[int, int] = (0, 0)) -> str:
    """A part of a text as the model reads it: tokens with a space between them, open words as their shape.

    Within ``owner``, the place of the subject, a verb's word is a noun (*the work was good*).
    """
    found = tokens(text, begin, len(text) if end is None else end)
    return " ".join(_shape(token, inside=owner[0] <= token.begin < owner[1]) for token in found)


def _shape(token: Token, *, inside: bool) -> str:
    if not token.word:
        return token.raw if token.raw in _MARKS else "~"
    if token.low == "i":
        return "I"
    if token.low in _READ and not (inside and token.low in _VERB_WORDS):
        return token.low
    if token.low[0].isdigit():
        return "1" if token.low == "1" else "2"
    plural = is_plural(token.low) and token.low not in words.NAMES_IN_S
    if inside and token.raw[0].isupper() and token.low not in words.IRREGULAR_PLURALS:
        return "Xx"  # a name, whatever it ends in: a plural subject has a small letter or a list
    if token.raw[0].isupper() and not plural:
        return "Xx"
    ending = None if token.low in words.IRREGULAR_PLURALS or inside else _ENDINGS.search(token.low)
    return f"x{ending[0]}" if ending else "xs" if plural else "x"
