"""The edit lattice of a text: what may stand at each verb the lesson covers, and nothing else may change.

A path through the lattice is the text as it was written, byte for byte, with one of a verb's forms at each of its
verbs. The forms are those of the verb that stands there, wrong ones (*goed*, *haves*) among them, so that the
model decides and not a list. What the model reads of a verb is its sentence in the order
``<bos> after <sep> before <sep> word <sep>``: the words that decide a form stand nearest to the place where it is
decided, however long the sentence. It does not know how a model scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from minitutor import conjugation, parse
from minitutor.parse import Parsed
from minitutor.shapes import shaped
from minitutor.tokenizer import BOS_ID, KEEP_ID, SEP_ID, Codec
from minitutor.tokens import sentences

MOST_BEFORE: Final = 24
MOST_AFTER: Final = 12
"""Tokens of the sentence that the model reads on either side of a verb; those nearest to it are kept."""
MOST_WORD: Final = 12
_BEFORE_NOT: Final = frozenset(["is", "are", "was", "were", "do", "does", "did", "have", "has", "had"])
"""The forms that *n't* can follow."""


class Arc(msgspec.Struct, frozen=True):
    """One verb of a text: the words that may stand in its place, the written one first, and the model's prompt."""

    clause: Parsed
    words: list[str]
    """Lower case, as the model reads and scores them."""
    prompt: list[int]
    forms: list[list[int]]
    """The tokens of each word; the written one is the token that keeps it."""


class Edit(msgspec.Struct, frozen=True):
    """A verb's word replaced by another; ``begin`` and ``end`` count characters of the text as it was written."""

    begin: int
    end: int
    before: str
    after: str


def arcs(text: str, codec: Codec) -> list[Arc]:
    """The arcs of a text, in the order of their places; none where the lesson covers nothing of it."""
    bounds = sentences(text)
    found = []
    for clause in parse.clauses(text):
        begin, end = next((first, last) for first, last in bounds if first <= clause.at < last)
        words = candidates(clause, text)
        forms = [[KEEP_ID], *(codec.encode(word) for word in words[1:])]
        found.append(
            Arc(clause, words, prompt(codec, text[begin : clause.at], words[0], text[clause.end : end]), forms)
        )
    return found


def candidates(clause: Parsed, text: str) -> list[str]:
    """The words that may stand at a verb's place, in lower case: what is written there, then every form of the verb."""
    forms = conjugation.forms(clause.cell.verb)
    if text[clause.end : clause.end + 1].lower() == "n":
        forms = [word for word in forms if word in _BEFORE_NOT]
    words = [clause.form.lower(), *forms]
    return list(dict.fromkeys(words))


def prompt(codec: Codec, before: str, word: str, after: str) -> list[int]:
    """What the model reads of a verb; its own word is told apart from what stands on both sides."""
    left, right = (codec.encode(shaped(part)) for part in (before, after))
    own = codec.encode(word)[:MOST_WORD]
    return [BOS_ID, *right[:MOST_AFTER], SEP_ID, *left[-MOST_BEFORE:], SEP_ID, *own, SEP_ID]


def edits(found: Sequence[Arc], chosen: Sequence[int]) -> list[Edit]:
    """The edits of a path: one for each arc on which another word than the written one was chosen."""
    made = []
    for arc, choice in zip(found, chosen, strict=True):
        clause = arc.clause
        if choice:
            word = parse.cased(arc.words[choice], clause.form)
            made.append(Edit(clause.at, clause.end, clause.form, word))
    return made


def applied(text: str, made: Sequence[Edit]) -> str:
    """The text with the edits in it; what lies outside of them is the very text."""
    for edit in reversed(made):
        text = text[: edit.begin] + edit.after + text[edit.end :]
    return text
