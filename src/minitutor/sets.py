"""The corpora and eval sets of the project: the path of each, and how its rows are generated.

There are two generators. The second one makes the held-out set and shares neither frames nor words with the corpora.
The held-out set is never used to choose between models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from minitutor import corpus, grid, heldout, mistakes
from minitutor.corpus import Row

HELD_OUT_PATH: Final = "data/held_out.jsonl"


class Source(msgspec.Struct, frozen=True):
    """One file of rows; an eval set is never used for training."""

    name: str
    path: str
    is_eval_set: bool
    make: Callable[[], Sequence[Row]]


def held_out_rows() -> list[Row]:
    """Return the rows of the held-out set, without the few sentences that also occur in a corpus."""
    known = {text for row in corpus.rows(corpus.V3) for text in (row.text, row.correction)}
    found = (_row(n, sentence) for n, sentence in enumerate(heldout.heldout_sentences()))
    return [row for row in found if known.isdisjoint((row.text, row.correction))]


def _row(number: int, sentence: heldout.Sentence) -> Row:
    cell = grid.cells()[sentence.verb, sentence.tense, sentence.person]
    right = sentence.text == sentence.correction
    template = f"heldout-{sentence.frame}"
    return Row(
        id=f"h.{sentence.verb}.{sentence.tense}.{sentence.person}.{number:04d}",
        text=sentence.text,
        correction=sentence.correction,
        correct_form=sentence.correct_form.lower().removesuffix("n't"),
        label="correct" if right else "mis_conjugated",
        error_type=mistakes.NONE if right else sentence.error_type,
        verb=cell.verb,
        tense=cell.tense,
        person=cell.person,
        regularity=cell.regularity,
        spanish=cell.spanish,
        template=template,
        complement=sentence.complement,
        vocabulary=corpus.UNSEEN,
        fingerprint=corpus.fingerprint(template, cell.verb, sentence.complement),
    )


SOURCES: Final = (
    *(Source(design.name, design.path, design.held_out, partial(corpus.rows, design)) for design in corpus.DESIGNS),
    Source("held_out", HELD_OUT_PATH, is_eval_set=True, make=held_out_rows),
)
