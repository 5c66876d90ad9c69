"""The parser: finds the verbs of a text that the lesson covers, their position and their correct form.

It parses frames (subject, helpers, verb), not meanings. A verb is skipped if its frame is not in the grid, or if its
sentence is contradictory about the tense. The parser decides what may be corrected; the model decides how. This module
does not know models.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from minitutor import grid, mistakes, words
from minitutor.frames import Place, after_to, joined, place_of, starts
from minitutor.grid import Cell
from minitutor.homographs import is_followed_by_a_wrong_verb, is_glued, is_noun_too, verb_of
from minitutor.subjects import Subject
from minitutor.word_tokens import Token, sentence_spans, word_tokens

_PAST_WORDS: Final = re.compile(r"\b(?:yesterday|last (?:week|night|year|summer|month|\w+day)|ago)\b", re.IGNORECASE)
_FUTURE_WORDS: Final = re.compile(r"\b(?:tomorrow|next (?:week|year|month|summer|\w+day))\b", re.IGNORECASE)
_PRESENT_WORDS: Final = re.compile(r"\b(?:every (?:day|week|morning|evening)|on (?:Mondays|Sundays))\b", re.IGNORECASE)


_JOINS: Final = words.CONJUNCTIONS - words.ADVERBS


_TIMES: Final = words.LEADS | words.CALENDAR | {"last", "next", "every", "ago"}


class Parsed(msgspec.Struct, frozen=True):
    """A verb the lesson covers: its cell and subject, the written word and its position, and the correct word."""

    cell: Cell
    subject: str
    person: str
    """The grammatical person, here with the plural: 1sg, 2sg, 3sg, 1pl or 3pl."""
    form: str
    right: str
    at: int
    error_type: str
    owner: tuple[int, int]
    """Begin and end of the subject in the text."""
    asked: int | None = None
    """In a question, where the helper or verb before the subject begins."""
    shared: bool = False
    """Whether it shares the subject of the previous verb: *he came home and ate*."""
    times: tuple[str, ...] = ()
    """The words of time of its clause, in lower case."""
    helper: bool = False
    """Whether a following verb is the main one: the *do* of *don't go*, the *want* of *want to go*."""

    @property
    def end(self) -> int:
        """The position after the written word."""
        return self.at + len(self.form)


# One answer asks for the same text several times: for the places, the features, the grade and the words to monitor.
@functools.lru_cache(maxsize=256)
def clauses(text: str) -> tuple[Parsed, ...]:
    """Return every verb of a text that the lesson covers, in order."""
    found = [clause for begin, end in sentence_spans(text) for clause in _sentence(text, begin, end)]
    return tuple(sorted(found, key=lambda clause: clause.at))


def parse(text: str) -> Parsed | None:
    """Return the main verb of a text: the first wrong one, else the first that is not a helper."""
    return chosen(clauses(text))


def chosen(found: Sequence[Parsed]) -> Parsed | None:
    """Return the main verb among those of a text: the first wrong one, else the first that is not a helper."""
    wrong = [clause for clause in found if clause.error_type != mistakes.NONE]
    right = [clause for clause in found if not clause.helper]
    return next(iter(wrong or right or found), None)


def oracle(text: str) -> str | None:
    """Return the text with every covered verb corrected; None if it has none."""
    found = clauses(text)
    for clause in reversed(found):
        text = text[: clause.at] + clause.right + text[clause.end :]
    return text if found else None


def _sentence(text: str, begin: int, end: int) -> list[Parsed]:
    """Return the verbs of one sentence that the lesson covers."""
    found: list[Parsed] = []
    before: Place | None = None
    line = word_tokens(text, begin, end)
    for at, token in enumerate(line):
        verb = verb_of().get(token.low)
        if (
            verb is None
            or is_glued(line, at)
            or not (token.raw.islower() or (token.raw.istitle() and starts(line, at)))
        ):
            continue
        place = place_of(line, at, verb) or joined(line, at, before) or after_to(line, at, before)
        if verb == "be" and is_followed_by_a_wrong_verb(line, at):
            place = None
        clause = _clause(line, at, verb, place) if place else None
        if place is None or clause is None:
            # After a skipped verb the following ones may depend on it: *he wants them to go home and eat*.
            before = before if is_noun_too(token.low) else None
            continue
        found.append(clause)
        before = place
        helper = _disagreeing(line, place)
        if helper is not None and all(one.at != helper.at for one in found):
            found.append(helper)
    return found


def _clause(line: Sequence[Token], at: int, verb: str, place: Place, *, helper: bool = False) -> Parsed | None:
    """Return the verb with its cell, in the first possible tense in which the written word occurs."""
    token, subject = line[at], place.subject
    around = _around(line, at)
    for tense in place.tenses:
        if not _agrees(tense, around):
            continue
        right = mistakes.right_form(verb, tense, subject.person, bare=place.bare)
        wrong = mistakes.wrong_forms(verb, tense, subject.person, bare=place.bare)
        if token.low != right and token.low not in wrong:
            continue
        if verb == "be" and at + 1 < len(line) and line[at + 1].low == "n't" and right == "am":
            return None  # there is no *amn't* to correct it to
        return Parsed(
            cell=grid.cells()[verb, tense, subject.person],
            subject=_written(line, subject),
            person=_grammatical(line, subject),
            form=token.raw,
            right=cased(right, token.raw),
            at=token.begin,
            error_type=wrong.get(token.low, mistakes.NONE),
            owner=(line[subject.first].begin, line[subject.last].end),
            asked=None if place.asked is None else line[place.asked].begin,
            shared=place.shared,
            times=tuple(word for word in around.split() if word in _TIMES),
            helper=helper or (at + 1 < len(line) and line[at + 1].low == "to" and token.low in words.MATRIX),
        )
    return None


def _disagreeing(line: Sequence[Token], place: Place) -> Parsed | None:
    """Return a verb's helper, itself a verb of the grid, if it disagrees with the subject: *he have gone*."""
    if place.helper is None:
        return None
    verb = verb_of()[line[place.helper].low]
    own = msgspec.structs.replace(place, tenses=(grid.PRESENT,), bare=False, helper=None)
    found = _clause(line, place.helper, verb, own, helper=True)
    return found if found is not None and found.error_type != mistakes.NONE else None


def _around(line: Sequence[Token], at: int) -> str:
    """Return the part of the sentence whose words of time apply to a verb: up to the nearest conjunctions."""
    first, last = at, at
    while first > 0 and line[first - 1].low not in _JOINS:
        first -= 1
    while last + 1 < len(line) and line[last + 1].low not in _JOINS:
        last += 1
    if first > 0 and line[first - 1].low in words.SUBORDINATE:
        comma = next((n for n in range(first, last) if line[n].low == ","), None)
        if comma is not None:
            first, last = (first, comma) if at < comma else (comma, last)
    return " ".join(token.low for token in line[first : last + 1])


def _agrees(tense: str, text: str) -> bool:
    """Whether no word of time in the text contradicts the tense."""
    past, future, present = (found.search(text) for found in (_PAST_WORDS, _FUTURE_WORDS, _PRESENT_WORDS))
    if tense == grid.PRESENT:
        return not past and not future
    if tense == grid.PAST:
        return not future and not (present and not past)
    if tense == grid.PARTICIPLE:
        return not past and not future
    return tense != grid.FUTURE or not past


def _written(line: Sequence[Token], subject: Subject) -> str:
    """Return the subject as written."""
    parts = [line[subject.first].raw]
    for token in line[subject.first + 1 : subject.last + 1]:
        parts += [token.gap, token.raw]
    return "".join(parts)


def _grammatical(line: Sequence[Token], subject: Subject) -> str:
    """Return 1pl for *we* and subjects joined with *I*, 3pl for plurals other than *you*, else the grid's person."""
    if not subject.plural:
        return subject.person
    held = {token.low for token in line[subject.first : subject.last + 1]}
    if held & {"we", "i"}:
        return "1pl"
    return "2sg" if "you" in held else "3pl"


def cased(word: str, like: str) -> str:
    """Return a word with an initial capital if the other word has one."""
    return word[0].upper() + word[1:] if like[:1].isupper() else word
