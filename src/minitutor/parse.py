"""The grid's reader: which verbs of a text the lesson covers, what each should be, and where each stands.

It reads frames (a subject, helpers, a verb), not meanings. A verb whose frame is not one of the grid's, or whose
sentence contradicts itself about its tense, is not read. It decides what may be corrected; what is
put there is decided by the model. It does not know models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from minitutor import grid, mistakes, words
from minitutor.frames import Place, after_to, joined, place_of, starts
from minitutor.grid import Cell
from minitutor.homographs import is_followed_by_a_wrong_verb, is_glued, is_noun_too, verb_of
from minitutor.subjects import Subject
from minitutor.tokens import Token, sentences, tokens

_PAST_WORDS: Final = re.compile(r"\b(?:yesterday|last (?:week|night|year|summer|month|\w+day)|ago)\b", re.IGNORECASE)
_FUTURE_WORDS: Final = re.compile(r"\b(?:tomorrow|next (?:week|year|month|summer|\w+day))\b", re.IGNORECASE)
_PRESENT_WORDS: Final = re.compile(r"\b(?:every (?:day|week|morning|evening)|on (?:Mondays|Sundays))\b", re.IGNORECASE)


_JOINS: Final = words.CONJUNCTIONS - words.ADVERBS


_TIMES: Final = words.LEADS | words.CALENDAR | {"last", "next", "every", "ago"}


class Parsed(msgspec.Struct, frozen=True):
    """A verb the lesson covers: its cell and subject, what stands there and where, and what belongs there."""

    cell: Cell
    subject: str
    person: str
    """The grammatical person, plural ones apart: 1sg, 2sg, 3sg, 1pl or 3pl."""
    form: str
    right: str
    at: int
    error_type: str
    owner: tuple[int, int]
    """Where the subject begins and ends in the text."""
    asked: int | None = None
    """Where the helper or verb of a question begins that stands before the subject."""
    shared: bool = False
    """Whether the subject is that of the verb before: *he came home and ate*."""
    times: tuple[str, ...] = ()
    """The words of time of its clause, in lower case."""
    helper: bool = False
    """Whether the text is rather about the verb that follows it: the *do* of *don't go*, the *want* of *want to go*."""

    @property
    def end(self) -> int:
        """Where the word ends."""
        return self.at + len(self.form)


def clauses(text: str) -> list[Parsed]:
    """Every verb of a text that the lesson covers, in the order of their places."""
    found = [clause for begin, end in sentences(text) for clause in _sentence(text, begin, end)]
    return sorted(found, key=lambda clause: clause.at)


def parse(text: str) -> Parsed | None:
    """The verb a text is about: the first wrong one, else the first that is no helper of another."""
    return chosen(clauses(text))


def chosen(found: Sequence[Parsed]) -> Parsed | None:
    """Of the verbs of a text, the one it is about: the first wrong one, else the first that is no helper."""
    wrong = [clause for clause in found if clause.error_type != mistakes.NONE]
    right = [clause for clause in found if not clause.helper]
    return next(iter(wrong or right or found), None)


def oracle(text: str) -> str | None:
    """The text with every verb of the grid put right; None where it has none."""
    found = clauses(text)
    for clause in reversed(found):
        text = text[: clause.at] + clause.right + text[clause.end :]
    return text if found else None


def _sentence(text: str, begin: int, end: int) -> list[Parsed]:
    """The verbs of one sentence that are in the grid."""
    found: list[Parsed] = []
    before: Place | None = None
    line = tokens(text, begin, end)
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
            # A verb that was not read may own what follows it: *he wants them to go home and eat*.
            before = before if is_noun_too(token.low) else None
            continue
        found.append(clause)
        before = place
        helper = _disagreeing(line, place)
        if helper is not None and all(one.at != helper.at for one in found):
            found.append(helper)
    return found


def _clause(line: Sequence[Token], at: int, verb: str, place: Place, *, helper: bool = False) -> Parsed | None:
    """The verb as one of the grid, in the first of its possible tenses that knows the word."""
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
            return None  # there is no *amn't* to put there
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
    """A verb's helper where it does not fit the subject (*he have gone*, *she don't go*): a verb of the grid itself."""
    if place.helper is None:
        return None
    verb = verb_of()[line[place.helper].low]
    own = msgspec.structs.replace(place, tenses=(grid.PRESENT,), bare=False, helper=None)
    found = _clause(line, place.helper, verb, own, helper=True)
    return found if found is not None and found.error_type != mistakes.NONE else None


def _around(line: Sequence[Token], at: int) -> str:
    """The part of the sentence whose words of time speak about a verb: up to the next conjunctions."""
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
    """Whether no word of the text says that it is another tense."""
    past, future, present = (found.search(text) for found in (_PAST_WORDS, _FUTURE_WORDS, _PRESENT_WORDS))
    if tense == grid.PRESENT:
        return not past and not future
    if tense == grid.PAST:
        return not future and not (present and not past)
    if tense == grid.PARTICIPLE:
        return not past and not future
    return tense != grid.FUTURE or not past


def _written(line: Sequence[Token], subject: Subject) -> str:
    """The subject as it is written."""
    parts = [line[subject.first].raw]
    for token in line[subject.first + 1 : subject.last + 1]:
        parts += [token.gap, token.raw]
    return "".join(parts)


def _grammatical(line: Sequence[Token], subject: Subject) -> str:
    """1pl for *we* and whatever is joined with *I*, 3pl for other plurals but *you*, else the grid's person."""
    if not subject.plural:
        return subject.person
    held = {token.low for token in line[subject.first : subject.last + 1]}
    if held & {"we", "i"}:
        return "1pl"
    return "2sg" if "you" in held else "3pl"


def cased(word: str, like: str) -> str:
    """A word with a capital where the other has one."""
    return word[0].upper() + word[1:] if like[:1].isupper() else word
