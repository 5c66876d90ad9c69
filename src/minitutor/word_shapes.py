"""Replaces the open words of a sentence by their shape before the model reads it.

The correct verb form depends on grammatical words (pronouns, determiners, helpers, words of time) and on whether a
noun is singular or plural, never on which name or noun it is. So every word outside the closed lists is replaced by
its shape (*Xx*, *x*, *xs*, *xed*), and to the model a word that no corpus contains looks like one that every corpus
contains.
"""

from __future__ import annotations

import re
from typing import Final

from minitutor import words
from minitutor.conjugation import VERBS, forms
from minitutor.subjects import is_plural
from minitutor.word_tokens import Token, word_tokens

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
    """Return a part of a text as the model reads it: tokens joined by spaces, with open words as shapes.

    Within ``owner``, the span of the subject, a verb's word is a noun (*the work was good*).
    """
    found = word_tokens(text, begin, len(text) if end is None else end)
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
        return "Xx"  # a name even if it ends in s: plural subjects are written in lower case or are in a list
    if token.raw[0].isupper() and not plural:
        return "Xx"
    ending = None if token.low in words.IRREGULAR_PLURALS or inside else _ENDINGS.search(token.low)
    return f"x{ending[0]}" if ending else "xs" if plural else "x"
