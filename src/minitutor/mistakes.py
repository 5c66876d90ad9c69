"""The taxonomy of six mistakes, and the wrong words that each produces in a cell of the grid.

A cell in which no mistake is possible (a regular verb's past) has only correct rows. This module does not know
sentences.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from minitutor import conjugation, grid
from minitutor.conjugation import BE_PAST, BE_PRESENT, IRREGULAR

NONE: Final = "none"
OVER_REGULARISED: Final = "over_regularised"
MISSING_S: Final = "missing_s"
EXTRA_S: Final = "extra_s"
PAST_FOR_PARTICIPLE: Final = "past_for_participle"
INFLECTED: Final = "inflected_after_will_to"
WRONG_BE: Final = "wrong_be_form"
MISTAKES: Final = (OVER_REGULARISED, MISSING_S, EXTRA_S, PAST_FOR_PARTICIPLE, INFLECTED, WRONG_BE)


def right_form(verb: str, tense: str, person: str, *, bare: bool = False) -> str:
    """Return the correct word; ``bare`` after do, does or did, which carry the tense themselves."""
    return verb if bare else grid.form(verb, tense, person)


@cache
def wrong_forms(verb: str, tense: str, person: str, *, bare: bool = False) -> dict[str, str]:
    """Return every wrong word of a cell with its mistake, in a fixed order; empty if no mistake is possible."""
    right = right_form(verb, tense, person, bare=bare)
    found = dict.fromkeys(_inflected(verb), INFLECTED) if bare else _wrong(verb, tense, person)
    return {word: mistake for word, mistake in found.items() if word != right}


def _wrong(verb: str, tense: str, person: str) -> dict[str, str]:
    if tense == grid.PRESENT:
        return _in_present(verb, person)
    if tense == grid.PAST:
        if verb == "be":
            return dict.fromkeys(sorted(set(BE_PAST.values())), WRONG_BE)
        return {conjugation.with_ed(verb): OVER_REGULARISED} if verb in IRREGULAR else {}
    if tense == grid.PARTICIPLE:
        words = sorted({conjugation.past(verb, person) for person in BE_PAST})
        regular = {conjugation.with_ed(verb): OVER_REGULARISED} if verb in IRREGULAR and verb != "be" else {}
        return regular | dict.fromkeys(words, PAST_FOR_PARTICIPLE)
    return dict.fromkeys(_inflected(verb), INFLECTED)


def _in_present(verb: str, person: str) -> dict[str, str]:
    if verb == "be":
        return dict.fromkeys(sorted(BE_PRESENT.values()), WRONG_BE)
    if person == "3sg":
        return {verb: MISSING_S} | dict.fromkeys(conjugation.naive_third(verb), OVER_REGULARISED)
    return dict.fromkeys([conjugation.third_person(verb), *conjugation.naive_third(verb)], EXTRA_S)


def _inflected(verb: str) -> list[str]:
    """Return the words of a verb that are wrong after *will*, *to*, *do*, *does* or *did*: all but its base."""
    return [word for word in conjugation.forms(verb) if word != verb]
