"""The grid: 20 verbs × 5 tenses × 3 persons = 300 cells, each with its correct form and Spanish translation.

It does not know sentences or mistakes.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec

from minitutor import conjugation
from minitutor.conjugation import PERSONS, VERBS

INFINITIVE: Final = "infinitive"
PRESENT: Final = "present_simple"
PAST: Final = "past_simple"
PARTICIPLE: Final = "past_participle"
FUTURE: Final = "simple_future"
TENSES: Final = (INFINITIVE, PRESENT, PAST, PARTICIPLE, FUTURE)
SUBJECTS: Final = {"1sg": ("I",), "2sg": ("you",), "3sg": ("he", "she")}


class Cell(msgspec.Struct, frozen=True):
    """One verb in one tense with one person."""

    verb: str
    tense: str
    person: str
    form: str
    spanish: str
    regularity: str


def form(verb: str, tense: str, person: str) -> str:
    """Return the correct word of a cell, without its helper (``gone``, not ``has gone``)."""
    if tense == PRESENT:
        return conjugation.present(verb, person)
    if tense == PAST:
        return conjugation.past(verb, person)
    return conjugation.participle(verb) if tense == PARTICIPLE else verb


@cache
def cells() -> dict[tuple[str, str, str], Cell]:
    """Return every cell by (verb, tense, person), in the grid's order."""
    return {
        (verb, tense, person): Cell(
            verb,
            tense,
            person,
            form(verb, tense, person),
            conjugation.spanish(verb, tense, person),
            conjugation.regularity(verb),
        )
        for verb in VERBS
        for tense in TENSES
        for person in PERSONS
    }
