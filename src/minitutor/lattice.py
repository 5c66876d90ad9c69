"""The edit lattice of a text: what may stand at each verb the lesson covers, and nothing else may change.

A path through the lattice is the text as it was written, byte for byte, with one of a verb's forms at each of its
verbs. The forms are those of the verb that stands there, wrong ones (*goed*, *haves*) among them, so that the
model decides and not a list. What the model reads of a verb is ``<bos> around <sep> place <sep> word <sep>``: the place
from the subject to the verb, and around it the words of time and a subject that stands after its verb. Whatever
else is in the text has no say. It does not know how a model scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from minitutor import conjugation, grid, parse
from minitutor.parse import Parsed
from minitutor.shapes import shaped
from minitutor.tokenizer import BOS_ID, KEEP_ID, SEP_ID, Codec

MOST_BEFORE: Final = 24
MOST_AROUND: Final = 12
"""Tokens that the model reads of the place before a verb, nearest first, and of the words around."""
MOST_WORD: Final = 12
LONGEST: Final = MOST_BEFORE + MOST_AROUND + 2 * MOST_WORD + 4
"""Positions that a prompt and one form after it may take."""
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
    found = []
    for clause in parse.clauses(text):
        words = candidates(clause, text)
        forms = [[KEEP_ID], *(codec.encode(word) for word in words[1:])]
        found.append(Arc(clause, words, prompt(codec, *read(clause, text), words[0]), forms))
    return found


def read(clause: Parsed, text: str) -> tuple[str, str]:
    """What the model reads of a verb's sentence: the words around that bear on it, and the place before it.

    The place begins with the subject, or with the helper of a question. Where the verb itself stands before its
    subject, the subject is among the words around; the words of time of the clause always are. A second verb of the
    same subject is read as if it stood right after it.
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
    """The words that may stand at a verb's place, in lower case: what is written there, then every form of the verb."""
    forms = conjugation.forms(clause.cell.verb)
    if text[clause.end : clause.end + 1].lower() == "n":
        forms = [word for word in forms if word in _BEFORE_NOT]
    words = [clause.form.lower(), *forms]
    return list(dict.fromkeys(words))


def prompt(codec: Codec, around: str, place: str, word: str) -> list[int]:
    """What the model reads of a verb, as tokens."""
    before, context = codec.encode(place)[-MOST_BEFORE:], codec.encode(around)[:MOST_AROUND]
    return [BOS_ID, *context, SEP_ID, *before, SEP_ID, *codec.encode(word)[:MOST_WORD], SEP_ID]


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
    """The text with the edits in it; what lies outside of them is unchanged.

    Raises:
        ValueError: two edits overlap, so that one would replace what the other wrote.

    """
    if any(one.end > other.begin for one, other in pairwise(made)):
        raise ValueError("two edits overlap")
    for edit in reversed(made):
        text = text[: edit.begin] + edit.after + text[edit.end :]
    return text
