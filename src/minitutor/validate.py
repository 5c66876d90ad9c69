"""Validates the corpora before their hashes are accepted.

It knows the rules, not how rows are generated. Each problem is one line that names the first row concerned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from minitutor import corpus, grid, mistakes, parse, sets
from minitutor.conjugation import VERBS
from minitutor.corpus import Design, Row
from minitutor.frame_lists import WEEKEND

EVAL_ITEMS: Final = 3000
LEAST_PER_VERB: Final = 100
LEAST_PER_VOCABULARY: Final = 1400
_LABELS: Final = {True: "correct", False: "mis_conjugated"}


def problems(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Return everything wrong with the corpora; empty if they are valid."""
    found = [problem for design in corpus.DESIGNS for problem in _of_corpus(design, rows[design.name])]
    training = [source for source in sets.SOURCES if not source.is_eval_set]
    for tested in (source for source in sets.SOURCES if source.is_eval_set):
        for source in training:
            found += [f"{source.name}: {leak}" for leak in leaks(rows[source.name], rows[tested.name])]
    return found + _of_eval(rows[corpus.EVAL.name])


def leaks(training: Sequence[Row], held_out: Sequence[Row]) -> list[str]:
    """Return eval rows that also occur in training: as a sentence, a combination, or a template with its complement."""
    sentences = {text for row in training for text in (row.text, row.correction)}
    combinations = {row.fingerprint for row in training}
    pairs = {(row.template, row.complement) for row in training}
    return [
        f"{row.id} also occurs in training"
        for row in held_out
        if {row.text, row.correction} & sentences
        or row.fingerprint in combinations
        or (row.template, row.complement) in pairs
    ]


@cache
def of_row(row: Row) -> str | None:
    """Return what is wrong with one row; None if it is valid."""
    cell = grid.cells().get((row.verb, row.tense, row.person))
    if cell is None:
        return "no such cell"
    if (row.regularity, row.spanish) != (cell.regularity, cell.spanish):
        return "its regularity or Spanish does not match the cell"
    if row.error_type not in (*mistakes.MISTAKES, mistakes.NONE) or row.label not in _LABELS.values():
        return "an error type or label outside the taxonomy"
    right = row.text == row.correction
    if row.label != _LABELS[right] or (row.error_type == mistakes.NONE) != right:
        return "label, error type and text disagree"
    if row.vocabulary not in {corpus.SEEN, corpus.UNSEEN}:
        return "its vocabulary is neither 'seen' nor 'unseen'"
    if row.fingerprint != corpus.fingerprint(row.template, row.verb, row.complement):
        return "its fingerprint does not match its combination"
    clauses = parse.clauses(row.text)
    read = [one for one in clauses if one.cell == cell and one.error_type == row.error_type]
    if not read or (not right and parse.chosen(clauses) not in read):
        return "the oracle finds another cell or mistake"
    if row.correct_form not in {one.right.lower() for one in read}:
        return "its form is not the correct one"
    return None if parse.oracle(row.text) == row.correction else "the oracle corrects it differently"


def _of_corpus(design: Design, rows: Sequence[Row]) -> list[str]:
    # An uncorrected batch contains wrong rows on purpose.
    checked = (row for row in rows if not (design.as_written and row.template.startswith(WEEKEND)))
    found = [f"{row.id} {problem}" for row in checked if (problem := of_row(row)) is not None]
    for what, values in (("id", [row.id for row in rows]), ("text", [row.text for row in rows])):
        if len(set(values)) != len(values):
            found.append(f"{design.name}: {what} {Counter(values).most_common(1)[0][0]!r} occurs twice")
    cells = {(row.verb, row.tense, row.person) for row in rows}
    wanted = {key for key in grid.cells() if key[:2] != design.hole}
    if cells != wanted:
        found.append(f"{design.name}: cell {min(cells ^ wanted)} is missing, or should be")
    return found


def _of_eval(rows: Sequence[Row]) -> list[str]:
    counts = Counter(row.verb for row in rows)
    halves = Counter(row.vocabulary for row in rows)
    found = [f"eval: {verb} has {counts[verb]} items" for verb in VERBS if counts[verb] < LEAST_PER_VERB]
    if min(halves[half] for half in (corpus.SEEN, corpus.UNSEEN)) < LEAST_PER_VOCABULARY:
        found.append(f"eval: its vocabulary is {dict(halves)}")
    if len(rows) != EVAL_ITEMS:
        found.append(f"eval: {len(rows)} items, not {EVAL_ITEMS}")
    return found
