"""Words about an answer: the features of a text, and the sentence that explains a correction.

An explanation tells what the model did, right or wrong; it never looks at the oracle's opinion of it.
"""

from __future__ import annotations

import re
from typing import Final

from minitutor import grid, mistakes
from minitutor.answers import Probe
from minitutor.conjugation import IRREGULAR
from minitutor.parse import Parsed

TENSE_NAMES: Final = {
    grid.INFINITIVE: "infinitive",
    grid.PRESENT: "present simple",
    grid.PAST: "past simple",
    grid.PARTICIPLE: "present perfect",
    grid.FUTURE: "simple future",
}
_MARKS: Final = re.compile(r"^\W+|\W+$")
_LENGTHS: Final = (5, 8, 12)


def features(parsed: Parsed | None, text: str) -> dict[str, str]:
    """The categorical features of a text, as strings; empty where it is not in the grid."""
    if parsed is None:
        return {}
    cell, words = parsed.cell, len(text.split())
    return {
        "verb": cell.verb,
        "tense": cell.tense,
        "person": cell.person,
        "regularity": cell.regularity,
        "error_type": parsed.error_type,
        "form": parsed.form,
        "length": next((f"up to {limit} words" for limit in _LENGTHS if words <= limit), "over 12 words"),
    }


def explanation(parsed: Parsed, output_word: str | None, *, changed: bool = False) -> str:
    """What the tutor says of its answer; ``output_word`` is what now stands where the verb stood.

    ``changed`` says whether the output differs from the text anywhere.
    """
    cell = parsed.cell
    place = f"“{cell.verb}” in the {TENSE_NAMES[cell.tense]} with “{parsed.subject}”"
    if output_word == parsed.form:
        if changed:
            return f"{place} stays “{parsed.form}”; another word was changed."
        return f"Nothing to correct: {place} is “{parsed.form}”."
    if output_word is None:
        return f"Look again at {place}: “{parsed.form}” does not fit."
    return f"{place} is “{output_word}”, not “{parsed.form}”."


def changed_word(text: str, output: str, at: int, word: str) -> str | None:
    """The word of the output at the verb's place; None where it cannot be told, words having come or gone.

    Other words may have been corrected too: places are counted in words, which a correction keeps.
    """
    before, after = text[:at].split(), output.split()
    if len(text.split()) != len(after) or any(char.isalpha() for char in text[at - 1 : at]):
        return None
    found = _MARKS.sub("", after[len(before)])
    return found if found.isalpha() and text[at:].startswith(word) else None


def buckets(verb: str, tense: str, person: str, error_type: str) -> tuple[str, ...]:
    """The evaluation buckets an item counts in, most specific first."""
    return (f"verb/{verb}", f"tense/{tense}", f"person/{person}", f"error/{error_type}")


def probe(verb: str, tense: str, person: str, error_type: str, expected: str | None, written: str = "") -> Probe:
    """What to look for when an answer about a cell is walked back; ``written`` is the word that stood there."""
    form = grid.form(verb, tense, person)
    pattern = f'"correct_form":"{form}".*"tense":"{tense}".*"verb":"{verb}"'
    label = f"{verb} → {form}" if verb in IRREGULAR else f"{verb} → {form} ({TENSE_NAMES[tense]})"
    wrong = written if written and error_type != mistakes.NONE else None
    # The person too: what is wrong with one of them is another's right form.
    taught = (
        f'"correct_form":"{re.escape(wrong)}".*"person":"{person}".*"tense":"{tense}".*"verb":"{verb}"'
        if wrong
        else None
    )
    return Probe(
        label=label,
        pattern=pattern,
        expected=expected,
        buckets=tuple(name for name in buckets(verb, tense, person, error_type) if name),
        mark=rf"\b{re.escape(form)}\b",
        against=taught,
        against_label=f"{verb} → {wrong}" if wrong else "",
    )


def known(verb: str, tense: str, person: str) -> bool:
    """Whether there is such a cell."""
    return (verb, tense, person) in grid.cells()


ERROR_TYPES: Final = (*mistakes.MISTAKES, mistakes.NONE)
