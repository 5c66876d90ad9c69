"""The edit lattice of a text: the words that may replace each verb the lesson covers; nothing else can change.

A path through the lattice is the original text, byte for byte, with one form of its verb at each verb. The forms
include wrong ones (*goed*, *haves*), so that the model makes the decision and not the list.

For each verb the model reads ``<bos> around <sep> place <sep> word <sep>``: ``place`` runs from the subject to the
verb, ``around`` has the words of time and a subject that follows its verb. The rest of the text does not affect the
choice. This module does not know how the model computes scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from minitutor import conjugation, grid, parse
from minitutor.parse import Parsed
from minitutor.tokenizer import BOS_ID, KEEP_ID, SEP_ID, Codec
from minitutor.word_shapes import shaped

MOST_BEFORE: Final = 24
"""Most tokens of the place before a verb that the model reads, counted back from the verb."""
MOST_AROUND: Final = 12
"""Most tokens of the words around a verb that the model reads."""
MOST_WORD: Final = 12
LONGEST: Final = MOST_BEFORE + MOST_AROUND + 2 * MOST_WORD + 4
"""Most positions that a prompt with one form can take."""
_BEFORE_NOT: Final = frozenset(["is", "are", "was", "were", "do", "does", "did", "have", "has", "had"])
"""The words that *n't* can follow."""


class Arc(msgspec.Struct, frozen=True):
    """One verb of a text: the words that may stand in its place, the written one first, and the model's prompt."""

    clause: Parsed
    words: list[str]
    """In lower case, as the model reads and scores them."""
    prompt: list[int]
    forms: list[list[int]]
    """The token ids of each word; for the written word this is the token that keeps it."""


class Edit(msgspec.Struct, frozen=True):
    """The replacement of a verb; ``begin`` and ``end`` are character positions in the original text."""

    begin: int
    end: int
    before: str
    after: str


def arcs(text: str, codec: Codec) -> list[Arc]:
    """Return the arcs of a text in order; none if the lesson covers none of its verbs."""
    found = []
    for clause in parse.clauses(text):
        words = candidates(clause, text)
        forms = [[KEEP_ID], *(codec.encode(word) for word in words[1:])]
        found.append(Arc(clause, words, prompt(codec, *read(clause, text), words[0]), forms))
    return found


def read(clause: Parsed, text: str) -> tuple[str, str]:
    """Return what the model reads of a verb's sentence: the relevant words around it, and the place before it.

    The place begins with the subject or with the helper of a question. The words around are the words of time of the
    clause and, if the verb precedes its subject, the subject. A second verb of the same subject is presented as if it
    directly followed the subject.
    """
    first, last = clause.owner
    if clause.shared:
        will = " will" if clause.cell.tense == grid.FUTURE else ""
        return " ".join(clause.times), shaped(text, first, last, clause.owner) + will
    begin = min(first, clause.at) if clause.asked is None else min(clause.asked, clause.at)
    place = shaped(text, begin, clause.at, clause.owner)
    own = shaped(text, first, last, clause.owner) if first > clause.at else ""
    return " ".join([own, *clause.times]).strip(), place


def candidates(clause: Parsed, text: str) -> list[str]:
    """Return the words that may stand in a verb's place, in lower case: the written one, then the verb's forms."""
    forms = conjugation.forms(clause.cell.verb)
    if text[clause.end : clause.end + 1].lower() == "n":
        forms = [word for word in forms if word in _BEFORE_NOT]
    words = [clause.form.lower(), *forms]
    return list(dict.fromkeys(words))


def prompt(codec: Codec, around: str, place: str, word: str) -> list[int]:
    """Return the model's prompt for a verb, as token ids."""
    before, context = codec.encode(place)[-MOST_BEFORE:], codec.encode(around)[:MOST_AROUND]
    return [BOS_ID, *context, SEP_ID, *before, SEP_ID, *codec.encode(word)[:MOST_WORD], SEP_ID]


def edits(found: Sequence[Arc], chosen: Sequence[int]) -> list[Edit]:
    """Return the edits of a path: one for each arc on which the written word was not chosen."""
    made = []
    for arc, choice in zip(found, chosen, strict=True):
        clause = arc.clause
        if choice:
            word = parse.cased(arc.words[choice], clause.form)
            made.append(Edit(clause.at, clause.end, clause.form, word))
    return made


def applied(text: str, made: Sequence[Edit]) -> str:
    """Apply the edits to a text; everything outside of them is unchanged.

    Raises:
        ValueError: two edits overlap.

    """
    if any(one.end > other.begin for one, other in pairwise(made)):
        raise ValueError("two edits overlap")
    for edit in reversed(made):
        text = text[: edit.begin] + edit.after + text[edit.end :]
    return text
