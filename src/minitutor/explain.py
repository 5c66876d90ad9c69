"""Describes an answer: the features of a text, the explanation and the Spanish translation, and probes for evidence.

An explanation describes what the model did, right or wrong, and does not consult the oracle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from minitutor import conjugation, grid, mistakes
from minitutor.answers import Probe
from minitutor.conjugation import IRREGULAR
from minitutor.grid import Cell
from minitutor.lattice import Edit
from minitutor.parse import Parsed

TENSE_NAMES: Final = {
    grid.INFINITIVE: "infinitive",
    grid.PRESENT: "present simple",
    grid.PAST: "past simple",
    grid.PARTICIPLE: "present perfect",
    grid.FUTURE: "simple future",
}
_LENGTHS: Final = (5, 8, 12)


def features(parsed: Parsed | None, text: str, edits: Sequence[Edit] = ()) -> dict[str, str]:
    """Return the categorical features of a text; empty if it is not in the grid.

    ``form`` is the word written in the verb's place. ``answer_edits``, present only if the answer changed something,
    lists every replaced verb with its replacement.
    """
    if parsed is None:
        return {}
    cell, words = parsed.cell, len(text.split())
    found = {
        "verb": cell.verb,
        "tense": cell.tense,
        "person": cell.person,
        "regularity": cell.regularity,
        "error_type": parsed.error_type,
        "form": parsed.form,
        "length": next((f"up to {limit} words" for limit in _LENGTHS if words <= limit), "over 12 words"),
    }
    if edits:
        found["answer_edits"] = "; ".join(f"{edit.before} → {edit.after}" for edit in edits)
    return found


def explanation(parsed: Parsed, output_word: str, *, others: bool = False) -> str:
    """Return the explanation shown to the learner.

    ``output_word`` is the answer's word in the verb's place; ``others`` says whether other verbs were replaced.
    """
    cell = parsed.cell
    place = f"“{cell.verb}” in the {TENSE_NAMES[cell.tense]} with “{parsed.subject}”"
    if output_word == parsed.form:
        if others:
            return f"{place} stays “{parsed.form}”; another verb was corrected."
        return f"Nothing to correct: {place} is “{parsed.form}”."
    return f"{place} is “{output_word}”, not “{parsed.form}”."


def spanish(parsed: Parsed) -> str:
    """Return the verb in Spanish in the subject's grammatical person, because *we* and *they* have their own forms."""
    return conjugation.spanish(parsed.cell.verb, parsed.cell.tense, parsed.person)


def buckets(verb: str, tense: str, person: str, error_type: str) -> tuple[str, ...]:
    """Return the evaluation buckets of an item, most specific first."""
    return (f"verb/{verb}", f"tense/{tense}", f"person/{person}", f"error/{error_type}")


def probe(parsed: Parsed, expected: str | None) -> Probe:
    """Return what to search the corpora for when an answer about this verb is investigated."""
    cell = parsed.cell
    return _probe(cell, parsed.error_type, expected, parsed.form.lower(), parsed.right.lower())


def probe_of_features(features: Mapping[str, str]) -> Probe | None:
    """Return the probe from a text's features alone; None if they name no cell."""
    cell = grid.cells().get((features.get("verb", ""), features.get("tense", ""), features.get("person", "")))
    if cell is None:
        return None
    error = features.get("error_type", "")
    written = features.get("form", "").lower()
    right = mistakes.right_form(cell.verb, cell.tense, cell.person, bare=_is_bare(cell, error))
    right = written if written and error == mistakes.NONE else right
    return _probe(cell, error if error in ERROR_TYPES else mistakes.NONE, None, features.get("form", "").lower(), right)


def _probe(cell: Cell, error_type: str, expected: str | None, written: str, form: str) -> Probe:
    """Return the probe of a cell; ``written`` is the word in the text, ``form`` the correct one."""
    pattern = f'"correct_form":"{form}".*"tense":"{cell.tense}".*"verb":"{cell.verb}"'
    told_apart = cell.verb in IRREGULAR and form != cell.verb
    label = f"{cell.verb} → {form}" if told_apart else f"{cell.verb} → {form} ({TENSE_NAMES[cell.tense]})"
    wrong = written if written and error_type != mistakes.NONE else None
    # The person must match too, since a form that is wrong for one person is correct for another.
    taught = (
        f'"correct_form":"{re.escape(wrong)}".*"person":"{cell.person}".*"tense":"{cell.tense}".*"verb":"{cell.verb}"'
        if wrong
        else None
    )
    return Probe(
        label=label,
        pattern=pattern,
        expected=expected,
        buckets=buckets(cell.verb, cell.tense, cell.person, error_type),
        mark=rf"\b{re.escape(form)}\b",
        against=taught,
        against_label=f"{cell.verb} → {wrong}{_where(cell, error_type, wrong)}" if wrong else "",
    )


def _where(cell: Cell, error_type: str, wrong: str) -> str:
    """Return where a wrong word is wrong, if it is right elsewhere: *went* is, and *will went* is not."""
    if wrong not in {grid.form(cell.verb, tense, person) for tense in grid.TENSES for person in conjugation.PERSONS}:
        return ""
    if _is_bare(cell, error_type):
        return " (after do)"
    if wrong in {grid.form(cell.verb, cell.tense, person) for person in conjugation.PERSONS}:
        return f" ({TENSE_NAMES[cell.tense]} with {grid.SUBJECTS[cell.person][0]})"
    return f" ({TENSE_NAMES[cell.tense]})"


def _is_bare(cell: Cell, error_type: str) -> bool:
    """Return whether a mistake stands after do, does or did: there it can only be an inflected verb."""
    return error_type == mistakes.INFLECTED and cell.tense in {grid.PRESENT, grid.PAST}


ERROR_TYPES: Final = (*mistakes.MISTAKES, mistakes.NONE)
