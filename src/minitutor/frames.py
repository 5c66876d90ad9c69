"""Frames: what stands before a verb, read leftwards to the subject of its clause.

It knows the order of English words in statements, negations and questions, and no tense: which form belongs in a
frame is the grid's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from typing import Final

import msgspec

from minitutor import conjugation, grid, mistakes, subjects, words
from minitutor.conjugation import VERBS
from minitutor.subjects import Subject
from minitutor.tokens import Token

_NOUNS: Final = frozenset(
    [
        "work",
        "works",
        "play",
        "plays",
        "walk",
        "walks",
        "talk",
        "talks",
        "watch",
        "watches",
        "study",
        "studies",
        "finish",
        "start",
        "starts",
        "look",
        "looks",
        "want",
        "wants",
        "like",
        "likes",
    ]
)
"""Words of a verb that are nouns too."""
_LY: Final = frozenset({"family", "reply", "fly", "jelly", "bully", "ally", "lily"})
"""Words in *-ly* that are no adverbs."""


class Place(msgspec.Struct, frozen=True):
    """What stands before a verb: its subject, the tense its helper gives, and whether the verb is bare after it."""

    subject: Subject
    tenses: tuple[str, ...]
    bare: bool = False
    helper: int | None = None
    """The token of the helper, where it may disagree with the subject."""


def place_of(line: Sequence[Token], at: int, verb: str) -> Place | None:
    """What stands before a verb, read leftwards; None where the grid has no such frame."""
    left = _over_adverbs(line, at - 1)
    if left < 0:
        return _asked(line, at, verb)
    low = line[left].low
    if low == "to":
        return _after_to(line, left)
    helper = _over_adverbs(line, left - 1) if low in words.NOT else left
    if helper >= 0:
        found = _after_helper(line, at, helper)
        if found is not None or line[helper].low in words.WILL | words.DO | words.MODALS:
            return found
    return _after_subject(line, at, left, verb) or _asked(line, at, verb)


def joined(line: Sequence[Token], at: int, before: Place | None) -> Place | None:
    """A verb that shares the subject of the one before it: *he came home and eated*.

    Only where both must agree: after *to*, *have* or *didn't* the second verb may begin a statement of its own.
    """
    left = _over_adverbs(line, at - 1)
    if before is None or before.bare or left < 0 or line[left].low not in {"and", "or", "but"}:
        return None
    if line[at].low in _NOUNS or not set(before.tenses) <= {grid.PRESENT, grid.PAST, grid.FUTURE}:
        return None
    return Place(before.subject, before.tenses)


def _after_to(line: Sequence[Token], to: int) -> Place | None:
    """*to* and an infinitive, after a verb that takes one and a subject."""
    matrix = _over_adverbs(line, _over_not(line, to - 1))
    if matrix < 0 or line[matrix].low not in words.MATRIX:
        return None
    left = _over_helpers(line, matrix - 1)
    subject = subjects.before(line, left) if left >= 0 else None
    if subject is None or _helper_missing(line, subject):
        return None
    return Place(subject, (grid.INFINITIVE,))


def _after_helper(line: Sequence[Token], at: int, helper: int) -> Place | None:
    """A verb right after *will*, *do* or *have*, the subject before the helper."""
    low = line[helper].low
    left = _over_adverbs(line, helper - 1)
    subject = subjects.before(line, left) if left >= 0 else None
    if subject is None:
        return None
    return _helped(line, at, low, helper, subject)


def _helped(line: Sequence[Token], at: int, low: str, helper: int, subject: Subject) -> Place | None:
    """The tense a helper gives its verb."""
    if low in words.WILL:
        return Place(subject, (grid.FUTURE,))
    if low in words.DO:
        tense = grid.PAST if low == "did" else grid.PRESENT
        return Place(subject, (tense,), bare=True, helper=None if low == "did" else helper)
    if low in words.HAVE or (low == "'s" and line[at].low in _participles() and subject.person == "3sg"):
        own = helper if low in {"have", "has"} else None
        return Place(subject, (grid.PARTICIPLE,), helper=own)
    return None


def _after_subject(line: Sequence[Token], at: int, left: int, verb: str) -> Place | None:
    """A verb right after its subject: a statement, or a question whose helper stands before the subject."""
    if left != at - 1 and line[at - 1].low == "not":
        return None
    subject = subjects.before(line, left)
    if subject is None or _is_noun_here(line, at):
        return None
    asked = _over_not(line, subject.first - 1)
    low = line[asked].low if asked >= 0 else ""
    begins = asked >= 0 and _begins_question(line, asked)
    if low in words.WILL | words.DO | words.HAVE and begins:
        return _helped(line, at, low, asked, subject)
    if low in words.MODALS | words.BE | {"had"}:
        return None
    if _helper_missing(line, subject) or _is_wish(line, subject, line[at].low):
        return None
    if verb in {"have", "do"} and _helps(line, at, verb):
        return None
    return Place(subject, (grid.PRESENT, grid.PAST))


def _asked(line: Sequence[Token], at: int, verb: str) -> Place | None:
    """A form of *be* before its subject, or a helper of a verb that is not in the grid, as questions have them."""
    if verb not in {"be", "do", "have"} or not _is_question(line):
        return None
    if not starts(line, at) and not _after_asking(line, at):
        return None
    first = at + 2 if at + 1 < len(line) and line[at + 1].low == "n't" else at + 1
    subject = subjects.after(line, first) if first < len(line) else None
    if subject is None:
        return None
    if verb == "be":
        return Place(subject, (grid.PRESENT, grid.PAST))
    # The helper of a verb of the grid is that verb's to speak of.
    if any(token.low in verb_of() for token in takewhile(lambda token: token.word, line[first + 1 :])):
        return None
    after = _over_adverbs_right(line, subject.last + 1)
    helps = after < len(line) and line[after].word and line[after].low not in words.FUNCTION_WORDS
    return Place(subject, (grid.PRESENT,)) if helps else None


def starts(line: Sequence[Token], at: int) -> bool:
    """Whether a word begins its sentence, or what stands after a mark in it."""
    return at == 0 or line[at].sentence_start or not line[at - 1].word


def _begins_question(line: Sequence[Token], at: int) -> bool:
    """Whether a helper begins a question: where a clause can begin or after a question word, and after no subject."""
    if starts(line, at) or _after_asking(line, at):
        return True
    left = _over_adverbs(line, at - 1)
    return subjects.clause_start(line, at) and (left < 0 or subjects.before(line, left) is None)


def _after_asking(line: Sequence[Token], at: int) -> bool:
    """Whether a question word (*where*, *how many books*) begins a sentence right before a token."""
    return any(line[n].low in words.ASKING and starts(line, n) for n in range(max(0, at - 3), at))


def _helper_missing(line: Sequence[Token], subject: Subject) -> bool:
    """Whether a question word stands right before the subject: *Where he go?* lacks a helper."""
    asking = subject.first - 1
    return _is_question(line) and asking >= 0 and line[asking].low in words.ASKING and starts(line, asking)


def _is_question(line: Sequence[Token]) -> bool:
    """Whether a question mark ends the sentence, whatever quotes or marks follow it."""
    return any(token.low == "?" for token in line[-5:])


def _is_wish(line: Sequence[Token], subject: Subject, low: str) -> bool:
    """*if I were you*, *I wish it were*: a mood that the grid has no cell for."""
    return low in {"were", "was"} and subject.first > 0 and line[subject.first - 1].low in {"if", "wish", "though"}


def _is_noun_here(line: Sequence[Token], at: int) -> bool:
    """Whether a word that can be a noun is one: another finite verb follows it (*the school play was good*)."""
    if line[at].low not in _NOUNS or at + 1 >= len(line):
        return False
    after = line[at + 1].low
    return after in words.WILL | words.BE | words.MODALS | words.HAVE | {"does", "did", "had"}


def _helps(line: Sequence[Token], at: int, verb: str) -> bool:
    """Whether *have* or *do* is the helper of a verb that follows, which the clause is then about."""
    after = _over_adverbs_right(line, at + 1)
    if after == at + 1 and verb == "do":
        return False
    if after >= len(line):
        return False
    low = line[after].low
    if verb == "do":
        return low in verb_of()
    # *have to*: the matrix of an infinitive; a form that can be a noun is an object (*I have work*).
    if low in _participles():
        return True
    return low in verb_of() and low not in _NOUNS


def _over_adverbs(line: Sequence[Token], at: int) -> int:
    """The place left of adverbs."""
    while at >= 0 and (line[at].low in words.ADVERBS or _is_adverb(line[at])):
        at -= 1
    return at


def _over_adverbs_right(line: Sequence[Token], at: int) -> int:
    """The place right of adverbs and *not*."""
    while at < len(line) and (line[at].low in words.ADVERBS or line[at].low in words.NOT):
        at += 1
    return at


def _is_adverb(token: Token) -> bool:
    return token.word and token.raw.islower() and token.low.endswith("ly") and token.low not in _LY


def _over_not(line: Sequence[Token], at: int) -> int:
    """The place left of *not*."""
    return at - 1 if at >= 0 and line[at].low in words.NOT else at


def _over_helpers(line: Sequence[Token], at: int) -> int:
    """The place left of adverbs, *not* and a helper (*she doesn't really want to*, *I'd like to*)."""
    at = _over_adverbs(line, at)
    at = _over_not(line, at)
    at = _over_adverbs(line, at)
    if at >= 0 and line[at].low in words.DO | words.WILL | words.HAVE | {"'d", "would"}:
        at -= 1
    return _over_adverbs(line, at)


@cache
def verb_of() -> dict[str, str]:
    """Every word of the twenty verbs, right or made by rule, with its verb."""
    return {word: verb for verb in VERBS for word in conjugation.forms(verb)}


@cache
def _participles() -> frozenset[str]:
    """Every word that may stand after *have* or *has* as a verb, right or wrong."""
    return frozenset(
        word
        for verb in VERBS
        for word in (
            mistakes.right_form(verb, grid.PARTICIPLE, "3sg"),
            *mistakes.wrong_forms(verb, grid.PARTICIPLE, "3sg"),
        )
    )
