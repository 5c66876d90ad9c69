"""Recognises words that look like one of the twenty verbs, or like another word class, but are not in their context.

It looks at single positions of a sentence; ``frames`` parses the frame of a verb.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from minitutor import conjugation, grid, mistakes, words
from minitutor.conjugation import REGULAR, VERBS
from minitutor.subjects import Subject
from minitutor.word_tokens import Token

_NOUNS: Final = frozenset(
    word for verb in REGULAR if verb != "listen" for word in (verb, conjugation.third_person(verb))
) - {"finishes"}
"""Verb forms that can also be nouns."""
_GLUE: Final = frozenset("_/@\\#=&%+~^|")
_NOT_ADVERBS: Final = frozenset({"family", "reply", "fly", "jelly", "bully", "ally", "lily"})
"""Words in *-ly* that are not adverbs."""
_FINITE: Final = words.MODALS | words.BE | words.WILL | {"had"}


def is_wish(line: Sequence[Token], subject: Subject, low: str) -> bool:
    """Whether a verb is subjunctive, which the grid does not cover: *if I were you*, *I suggest that he go*."""
    first = subject.first
    if first > 1 and line[first - 1].low == "that" and line[first - 2].low in words.MANDATIVE:
        return True
    return low in {"were", "was"} and first > 0 and line[first - 1].low in {"if", "wish", "though"}


def is_noun_here(line: Sequence[Token], at: int) -> bool:
    """Whether a word that can be a noun is one, because a finite verb follows it (*the school play was good*)."""
    if line[at].low not in _NOUNS or at + 1 >= len(line):
        return False
    after = line[at + 1].low
    if after in verb_of() and after != verb_of()[after] and after not in words.BE:
        return True  # *this watch looks nice*
    return after in words.WILL | words.BE | words.MODALS | words.HAVE | {"does", "did", "had"}


def is_preposition(line: Sequence[Token], at: int) -> bool:
    """Whether *like* is a preposition, because a finite verb follows its object (*a man like him works here*)."""
    if line[at].low != "like" or at + 2 >= len(line):
        return False
    if line[at - 1].low in words.INDEFINITES and line[at + 1].low in words.OBJECTS | {"you"}:
        return True
    for n, token in enumerate(line[at + 2 :], at + 2):
        if not token.word or token.low in words.CONJUNCTIONS:
            return False
        inflected = token.low in verb_of() and token.low != verb_of()[token.low]
        finite = inflected and (token.low not in _NOUNS or line[n - 1].low in words.OBJECTS)
        if line[n - 1].low not in {"to", "who", "which"} and (finite or token.low in _FINITE):
            return True
    return False


def is_noun_too(low: str) -> bool:
    """Whether a verb form can also be a noun."""
    return low in _NOUNS


def is_glued(line: Sequence[Token], at: int) -> bool:
    """Whether a word is part of something longer that is not a verb form (*go's*, *goed_x*, *go2*, *goed.com*)."""
    if at and not line[at].gap and (line[at - 1].low[-1].isdigit() or line[at - 1].low in _GLUE):
        return True
    if at + 1 >= len(line) or line[at + 1].gap:
        return False
    after = line[at + 1]
    if after.word:
        return after.low != "n't"
    return after.low in _GLUE or (
        after.low == "." and at + 2 < len(line) and line[at + 2].word and not line[at + 2].gap
    )


def is_followed_by_a_wrong_verb(line: Sequence[Token], at: int) -> bool:
    """Whether a form of *be* precedes a verb form that cannot follow it: *I am go*, *it was wrote*."""
    after = over_adverbs_right(line, at + 1)
    if after >= len(line):
        return False
    low = line[after].low
    verb = verb_of().get(low)
    return verb is not None and low not in _NOUNS and low != mistakes.right_form(verb, grid.PARTICIPLE, "3sg")


def over_adverbs_right(line: Sequence[Token], at: int) -> int:
    """Return the index to the right of adverbs and *not*."""
    while at < len(line) and (line[at].low in words.ADVERBS or line[at].low in words.NOT or is_adverb(line[at])):
        at += 1
    return at


def is_adverb(token: Token) -> bool:
    """Whether a word's ending marks it as an adverb."""
    return token.word and token.raw.islower() and token.low.endswith("ly") and token.low not in _NOT_ADVERBS


@cache
def verb_of() -> dict[str, str]:
    """Return every form of the twenty verbs, correct or over-regularised, with its verb."""
    return {word: verb for verb in VERBS for word in conjugation.forms(verb)}
