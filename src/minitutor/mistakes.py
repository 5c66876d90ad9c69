"""The closed taxonomy: six mistakes, and which wrong words each makes of a cell.

It does not know sentences. A cell no mistake fits (a regular verb's past) only has right rows.
"""

from __future__ import annotations

from typing import Final

from minitutor import conjugation, grid
from minitutor.conjugation import BE_PAST, BE_PRESENT, IRREGULAR
from minitutor.grid import Cell

NONE: Final = "none"
OVER_REGULARISED: Final = "over_regularised"
MISSING_S: Final = "missing_s"
EXTRA_S: Final = "extra_s"
PAST_FOR_PARTICIPLE: Final = "past_for_participle"
INFLECTED: Final = "inflected_after_will_to"
WRONG_BE: Final = "wrong_be_form"
MISTAKES: Final = (OVER_REGULARISED, MISSING_S, EXTRA_S, PAST_FOR_PARTICIPLE, INFLECTED, WRONG_BE)


def wrong_forms(cell: Cell) -> list[tuple[str, str]]:
    """Every (mistake, wrong word) of a cell, in a fixed order; empty where none fits."""
    verb, tense = cell.verb, cell.tense
    if tense == grid.PRESENT:
        return _in_present(cell)
    if tense == grid.PAST:
        if verb == "be":
            return [(WRONG_BE, word) for word in sorted(set(BE_PAST.values())) if word != cell.form]
        return [(OVER_REGULARISED, conjugation.with_ed(verb))] if verb in IRREGULAR else []
    if tense == grid.PARTICIPLE:
        words = sorted({conjugation.past(verb, person) for person in BE_PAST})
        return [(PAST_FOR_PARTICIPLE, word) for word in words if word != cell.form]
    inflected = {conjugation.third_person(verb), conjugation.past(verb, "3sg")}
    return [(INFLECTED, word) for word in sorted(inflected)]


def _in_present(cell: Cell) -> list[tuple[str, str]]:
    if cell.verb == "be":
        return [(WRONG_BE, word) for word in sorted(BE_PRESENT.values()) if word != cell.form]
    if cell.person == "3sg":
        return [(MISSING_S, cell.verb)]
    return [(EXTRA_S, conjugation.third_person(cell.verb))]
