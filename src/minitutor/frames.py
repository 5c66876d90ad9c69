"""Parses the words before a verb, from right to left up to the subject of its clause.

It knows English word order in statements, negations and questions. ``grid`` decides which form is correct in a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from typing import Final

import msgspec

from minitutor import grid, mistakes, subjects, words
from minitutor.conjugation import VERBS
from minitutor.homographs import (
    is_adverb,
    is_noun_here,
    is_noun_too,
    is_preposition,
    is_wish,
    over_adverbs_right,
    verb_of,
)
from minitutor.subjects import Subject
from minitutor.word_tokens import Token

_HELPERS: Final = words.WILL | words.DO | words.HAVE
_CARRIERS: Final = words.WILL | words.DO | words.MODALS
"""Helpers that always belong to the verb they precede."""
_OTHER_HELPERS: Final = words.MODALS | words.BE | {"had"}
_OF_TIME: Final = frozenset({"be", "start", "finish", "come", "go"})
"""Verbs whose subject may be an expression of time (*the week starts*)."""


class Place(msgspec.Struct, frozen=True):
    """The words before a verb: its subject, the tense given by a helper, and whether the verb is in its base form."""

    subject: Subject
    tenses: tuple[str, ...]
    bare: bool = False
    helper: int | None = None
    """The helper's token index, if the helper must agree with the subject."""
    asked: int | None = None
    """The helper's token index, if the helper precedes the subject, as in a question."""
    shared: bool = False
    """Whether the verb shares the subject of the previous verb."""


def place_of(line: Sequence[Token], at: int, verb: str) -> Place | None:
    """Parse the words before a verb from right to left; None if the grid has no such frame."""
    left = _over_adverbs(line, at - 1)
    if left < 0:
        return _asked(line, at, verb)
    low = line[left].low
    if low == "to":
        return _after_to(line, left)
    helper = _over_adverbs(line, left - 1) if low in words.NOT else left
    if helper >= 0:
        found = _after_helper(line, at, helper)
        if found is not None or line[helper].low in _CARRIERS:
            return found
    return _after_subject(line, at, left, verb) or _asked(line, at, verb)


def joined(line: Sequence[Token], at: int, before: Place | None) -> Place | None:
    """Return the place of a verb that shares the subject of the previous verb: *he came home and eated*.

    Only if both must agree: after *to*, *have* or *didn't* the second verb may begin its own statement.
    """
    left = _over_adverbs(line, at - 1)
    if before is None or before.bare or left < 0 or line[left].low not in {"and", "or", "but"}:
        return None
    if (
        is_noun_too(line[at].low)
        or line[at - 1].low == "so"
        or not set(before.tenses) <= {grid.PRESENT, grid.PAST, grid.FUTURE}
    ):
        return None
    return Place(before.subject, before.tenses, shared=True)


def _after_to(line: Sequence[Token], to: int) -> Place | None:
    """Parse *to* with an infinitive, after a subject and a verb that takes an infinitive."""
    matrix = _over_adverbs(line, _over_not(line, to - 1))
    if matrix < 0 or line[matrix].low not in words.MATRIX:
        return None
    left = _over_helpers(line, matrix - 1)
    subject = subjects.before(line, left) if left >= 0 else None
    if subject is None or _helper_missing(line, subject):
        return None
    return Place(subject, (grid.INFINITIVE,))


def _after_helper(line: Sequence[Token], at: int, helper: int) -> Place | None:
    """Parse a verb directly after *will*, *do* or *have*, with the subject before the helper."""
    low = line[helper].low
    left = _over_adverbs(line, helper - 1)
    subject = subjects.before(line, left) if left >= 0 else None
    if subject is None:
        return None
    return _helped(line, at, low, helper, subject)


def _helped(line: Sequence[Token], at: int, low: str, helper: int, subject: Subject) -> Place | None:
    """Return the tense that a helper gives its verb."""
    if low in words.WILL:
        return Place(subject, (grid.FUTURE,))
    if low in words.DO and verb_of()[line[at].low] != "be":
        tense = grid.PAST if low == "did" else grid.PRESENT
        return Place(subject, (tense,), bare=True, helper=None if low == "did" else helper)
    if low in words.HAVE or (low == "'s" and line[at].low in _participles() and subject.person == "3sg"):
        own = helper if low in {"have", "has"} else None
        return Place(subject, (grid.PARTICIPLE,), helper=own)
    return None


def _after_subject(line: Sequence[Token], at: int, left: int, verb: str) -> Place | None:
    """Parse a verb directly after its subject: a statement, or a question whose helper precedes the subject."""
    if left != at - 1 and line[at - 1].low == "not":
        return None
    subject = subjects.before(line, left)
    if subject is None or is_noun_here(line, at) or is_preposition(line, at):
        return None
    if line[subject.last].low in words.LEADS and verb not in _OF_TIME:
        return None  # *every day do your homework*
    asked = _over_not(line, subject.first - 1)
    low = line[asked].low if asked >= 0 else ""
    begins = asked >= 0 and _begins_question(line, asked)
    if low in _HELPERS and begins:
        if low == "will" and not _is_question(line):
            return None  # *Will Smith has a car*
        found = _helped(line, at, low, asked, subject)
        return msgspec.structs.replace(found, asked=asked) if found else None
    if low == "or" and _is_question(line):
        return None  # *does Tom or Ana work?*
    if low in _OTHER_HELPERS or low in _HELPERS:
        return None  # a tense outside the grid, or an inversion such as *not only does he work*
    if _helper_missing(line, subject) or is_wish(line, subject, line[at].low):
        return None
    if verb in {"have", "do"} and _is_auxiliary(line, at, verb):
        return None
    return Place(subject, (grid.PRESENT, grid.PAST))


def _asked(line: Sequence[Token], at: int, verb: str) -> Place | None:
    """Parse a form of *be* before its subject (*is he*, *there is*), or the helper of a verb outside the grid."""
    if verb not in {"be", "do", "have"}:
        return None
    there = at > 0 and line[at - 1].low == "there" and verb == "be"
    if not there and (not _is_question(line) or (not starts(line, at) and not _after_asking(line, at))):
        return None
    first = at + 2 if at + 1 < len(line) and line[at + 1].low == "n't" else at + 1
    subject = subjects.after(line, first) if first < len(line) else None
    if subject is None:
        return None
    if verb == "be":
        return Place(subject, (grid.PRESENT, grid.PAST), asked=at)
    # The helper of a verb in the grid is part of that verb's clause.
    if any(token.low in verb_of() for token in takewhile(lambda token: token.word, line[first + 1 :])):
        return None
    after = over_adverbs_right(line, subject.last + 1)
    helps = after < len(line) and line[after].word and line[after].low not in words.FUNCTION_WORDS
    # A verb outside the grid may have been parsed as the last word of the subject.
    return Place(subject, (grid.PRESENT,), asked=at) if helps or subject.last > subject.first + 1 else None


def starts(line: Sequence[Token], at: int) -> bool:
    """Whether a word begins its sentence or follows punctuation."""
    return at == 0 or line[at].sentence_start or not line[at - 1].word


def _begins_question(line: Sequence[Token], at: int) -> bool:
    """Whether a helper begins a question: it starts a clause or follows a question word, and no subject precedes it."""
    if starts(line, at) or _after_asking(line, at):
        return True
    left = _over_adverbs(line, at - 1)
    return subjects.clause_start(line, at) and (left < 0 or subjects.before(line, left) is None)


def _after_asking(line: Sequence[Token], at: int) -> bool:
    """Whether a question word (*where*, *how many books*) begins the sentence directly before a token."""
    return any(line[n].low in words.ASKING and starts(line, n) for n in range(max(0, at - 3), at))


def _helper_missing(line: Sequence[Token], subject: Subject) -> bool:
    """Whether a question word directly precedes the subject and a helper is missing, as in *Where he go?*."""
    asking = subject.first - 1
    return _is_question(line) and asking >= 0 and line[asking].low in words.ASKING and starts(line, asking)


def _is_question(line: Sequence[Token]) -> bool:
    """Whether the sentence ends with a question mark, ignoring quotes and other punctuation after it."""
    return any(token.low == "?" for token in line[-5:])


def after_to(line: Sequence[Token], at: int, before: Place | None) -> Place | None:
    """Parse an inflected verb after *to* in any context (*I came to saw you*), with the clause's subject."""
    low = line[at].low
    inflected = low != verb_of()[low] and not is_noun_too(low)
    fits = before is not None and inflected and at > 0 and line[at - 1].low == "to"
    return Place(before.subject, (grid.INFINITIVE,)) if fits and before is not None else None


def _is_auxiliary(line: Sequence[Token], at: int, verb: str) -> bool:
    """Whether *have* or *do* is the helper of a following verb, which is then the verb to check."""
    after = over_adverbs_right(line, at + 1)
    if after == at + 1 and verb == "do":
        return False
    if after >= len(line):
        return False
    low = line[after].low
    if verb == "do":
        return low in verb_of()
    # *have to* takes an infinitive; after plain *have*, a form that can be a noun is an object (*I have work*).
    if low in _participles():
        return True
    return low in verb_of() and not is_noun_too(low)


def _over_adverbs(line: Sequence[Token], at: int) -> int:
    """Return the index to the left of adverbs."""
    while at >= 0 and (line[at].low in words.ADVERBS or is_adverb(line[at])):
        at -= 1
    return at


def _over_not(line: Sequence[Token], at: int) -> int:
    """Return the index to the left of *not*."""
    return at - 1 if at >= 0 and line[at].low in words.NOT else at


def _over_helpers(line: Sequence[Token], at: int) -> int:
    """Return the index to the left of adverbs, *not* and a helper (*she doesn't really want to*, *I'd like to*)."""
    at = _over_adverbs(line, at)
    at = _over_not(line, at)
    at = _over_adverbs(line, at)
    if at >= 0 and line[at].low in words.DO | words.WILL | words.HAVE | {"'d", "would"}:
        at -= 1
    return _over_adverbs(line, at)


@cache
def _participles() -> frozenset[str]:
    """Return every verb form that may follow *have* or *has*, correct or wrong."""
    return frozenset(
        word
        for verb in VERBS
        for word in (
            mistakes.right_form(verb, grid.PARTICIPLE, "3sg"),
            *mistakes.wrong_forms(verb, grid.PARTICIPLE, "3sg"),
        )
    )
