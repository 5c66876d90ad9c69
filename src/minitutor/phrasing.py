"""Writes a row's sentence and its correction: draws subject, open words, a second clause and punctuation.

Everything is drawn before the two verb forms are filled in, so that sentence and correction differ only in the verb.
"""

from __future__ import annotations

import re
from typing import Final

from minitutor import templates
from minitutor.frame_lists import TAILS
from minitutor.grid import Cell
from minitutor.templates import Template
from minitutor.vocabulary import Vocabulary

TAIL_SHARE: Final = 0.15
"""Share of sentences with a second clause after the one with the verb under correction."""
_EXTRA_SHARE: Final = 0.12
_EXTRAS: Final = (" {clock}", " in {city}", " with {name}", " near the {place}", " (with {name})", ", {name} says")
_AN: Final = re.compile(r"\ba(?= [aeiou])")
_MARK_SHARE: Final = 0.08
_MARKS: Final = ("“{}”", '"{}"', "({})", "- {}", "{}!", "{}..", "Well, {}", "{} :)", "*{}*", "<b>{}</b>")
_LOWERED: Final = frozenset(
    ("he", "she", "it", "you", "we", "they", "the", "my", "his", "her", "our", "their", "your", "yesterday", "every")
)
_SUBJECTS: Final = {
    "1sg": (("I", 1.0),),
    "2sg": (
        ("you", 0.34), ("we", 0.14), ("they", 0.16), ("{people}", 0.24), ("{name} and {name}", 0.05),
        ("{name} and I", 0.03), ("{person} and {person}", 0.04),
    ),
    "3sg": (
        ("he", 0.2), ("she", 0.2), ("it", 0.05), ("{name}", 0.22), ("{person}", 0.28), ("everybody", 0.03),
        ("the {thing}", 0.02),
    ),
}  # fmt: skip
"""The subjects of each person of the grid, with their weights."""


def sentence_pair(
    words: Vocabulary, cell: Cell, template: Template, complement: str, *, form: str, right: str
) -> tuple[str, str]:
    """Return a sentence with ``form`` and the same sentence with ``right``."""
    subject = words.filled(_subject(words, cell.person))
    filled = _AN.sub("an", words.filled(complement))
    if complement and words.draw.random() < _EXTRA_SHARE and not template.asks:
        filled += words.filled(words.one_of(_EXTRAS))
    pattern = words.filled(template.pattern)
    tail = words.one_of(TAILS[cell.tense]) if words.draw.random() < TAIL_SHARE else None
    mark = words.one_of(_MARKS) if words.draw.random() < _MARK_SHARE else "{}"

    def written(word: str) -> str:
        text = templates.fill(
            pattern, verb=cell.verb, form=word, subject=subject, person=cell.person, complement=filled, tail=tail
        )
        if mark.startswith("Well, ") and not text.startswith(("I ", "I'")) and text.split(" ")[0].lower() in _LOWERED:
            text = text[0].lower() + text[1:]
        if mark == "{}!":
            text = text.removesuffix(".")
        return mark.replace("{}", text)

    return written(form), written(right)


def _subject(words: Vocabulary, person: str) -> str:
    """Draw the pattern of a subject."""
    share = words.draw.random()
    for pattern, weight in _SUBJECTS[person]:
        share -= weight
        if share < 0:
            return pattern
    return _SUBJECTS[person][0][0]
