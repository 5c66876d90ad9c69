"""The grid's oracle: which cell a sentence speaks of, and what its verb should be.

It reads frames (subject, helpers, verb), not meanings: a sentence outside the grid's frames, or with words
that contradict each other about its tense, is none of its business and gives ``None``. It does not know models.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import msgspec

from minitutor import grid, mistakes
from minitutor.conjugation import VERBS
from minitutor.grid import Cell

_ADVERBS: Final = "always|usually|often|never|sometimes|really|also|just|already|probably|still|soon|now"
_FRAME: Final = re.compile(
    rf"(?<![\w'’-])(?P<subject>I|[Yy]ou|[Hh]e|[Ss]he)"
    rf"(?P<helper>(?:'ll| will| would like to"
    rf"|(?: (?:{_ADVERBS}))? (?:wants?|needs?|hopes?|plans?|likes?|try|tries|have|has) to"
    rf"| have| has)?)"
    rf"(?P<adverbs>(?: (?:{_ADVERBS}))*) (?P<form>[a-z]+)(?![\w'’-])"
)
_BARE: Final = re.compile(r"(?P<subject>\w+)(?P<helper>) (?P<form>[a-z]+)(?![\w'’-])")
"""The same place read without a helper: *have* is then the verb, as in "I have breakfast"."""
_SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")
_PAST_WORDS: Final = re.compile(r"\b(?:yesterday|last (?:week|night|year|summer|month|\w+day)|ago)\b", re.IGNORECASE)
_FUTURE_WORDS: Final = re.compile(r"\b(?:tomorrow|next (?:week|year|month|summer))\b", re.IGNORECASE)
_PRESENT_WORDS: Final = re.compile(r"\b(?:every (?:day|week|morning|evening)|on (?:Mondays|Sundays))\b", re.IGNORECASE)
_NOT: Final = re.compile(r" not\b")
_ASKING: Final = re.compile(
    r"(?:^|[^\w'’])(?:do|does|did|will|would|can|could|shall|should|may|might|must|have|has|had|am|is|are|was|were)"
    r"(?:n['’]t)? $",
    re.IGNORECASE,
)
"""A helper before its subject: a question, whose verb is another form than a statement's."""
_LEAD: Final = 12
"""Characters before a subject that may hold such a helper."""


class Parsed(msgspec.Struct, frozen=True):
    """A clause the grid knows: its cell, its subject, the word that stands there and where."""

    cell: Cell
    subject: str
    form: str
    at: int
    error_type: str


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends, its mark with it and the space before it not."""
    found = []
    for match in _SENTENCE.finditer(text):
        lead = len(match[0]) - len(match[0].lstrip())
        if lead < len(match[0]):
            found.append((match.start() + lead, match.end()))
    return found


def parse(text: str) -> Parsed | None:
    """The clause of a text that is in the grid: the first wrong one, else the first."""
    clauses = [clause for begin, end in sentences(text) for clause in _clauses(text, begin, end)]
    return next((clause for clause in clauses if clause.error_type != mistakes.NONE), next(iter(clauses), None))


def oracle(text: str) -> str | None:
    """The text with every clause of the grid put right; None where it has none."""
    clauses = [clause for begin, end in sentences(text) for clause in _clauses(text, begin, end)]
    for clause in reversed(clauses):
        text = text[: clause.at] + clause.cell.form + text[clause.at + len(clause.form) :]
    return text if clauses else None


def _clauses(text: str, begin: int, end: int) -> list[Parsed]:
    """The clauses of one sentence that are in the grid."""
    found = []
    for match in _FRAME.finditer(text, begin, end):
        clause = _clause(match, text[begin:end])
        if clause is None and match["helper"] in {" have", " has"}:
            bare = _BARE.match(text, match.start())
            clause = _clause(bare, text[begin:end]) if bare and match["form"] not in _participles() else None
        if clause is not None:
            found.append(clause)
    return found


def _clause(match: re.Match[str], sentence: str) -> Parsed | None:
    subject, form = match["subject"], match["form"]
    person = grid.PERSON_OF[subject if subject == "I" else subject.lower()]
    lead = match.string[max(0, match.start() - _LEAD) : match.start()]
    if _NOT.match(match.string, match.end()) or _ASKING.search(lead):
        return None
    for tense in _tenses(match["helper"], person):
        if not _agrees(tense, sentence):
            continue
        for verb in VERBS:
            error = _words(verb, tense, person).get(form)
            if error is not None:
                return Parsed(grid.cells()[verb, tense, person], subject, form, match.start("form"), error)
    return None


def _tenses(helper: str, person: str) -> tuple[str, ...]:
    """The tenses a helper allows; none where it does not fit the person (*he have gone*)."""
    words = helper.split()
    if not words:
        return (grid.PRESENT, grid.PAST)
    if words[-1] in {"will", "'ll"}:
        return (grid.FUTURE,)
    if words[-1] == "to":
        right = words[0] == "would" or words[-2].endswith("s") == (person == "3sg")
        return (grid.INFINITIVE,) if right else ()
    right = (words[-1] == "has") == (person == "3sg")
    return (grid.PARTICIPLE,) if right else ()


def _agrees(tense: str, text: str) -> bool:
    """Whether no word of the text says that it is another tense."""
    past, future, present = (words.search(text) for words in (_PAST_WORDS, _FUTURE_WORDS, _PRESENT_WORDS))
    if tense == grid.PRESENT:
        return not past and not future
    if tense == grid.PAST:
        return not future and not (present and not past)
    if tense == grid.PARTICIPLE:
        return not past and not future
    return not past


@cache
def _words(verb: str, tense: str, person: str) -> dict[str, str]:
    """Each word a cell knows, right or wrong, with its error type."""
    cell = grid.cells()[verb, tense, person]
    return {word: error for error, word in mistakes.wrong_forms(cell)} | {cell.form: mistakes.NONE}


@cache
def _participles() -> frozenset[str]:
    """Every word that may stand after *have* or *has* as a verb, right or wrong."""
    verbs = (_words(verb, grid.PARTICIPLE, "3sg") for verb in VERBS)
    return frozenset(word for words in verbs for word in words)
