"""Templates: the sentence frames of a cell, and how a frame is filled with words.

A tail is a second clause, which is always correct. This module does not know mistakes: the caller passes the verb form.
"""

from __future__ import annotations

from typing import Final

import msgspec

from minitutor import grid
from minitutor.conjugation import IRREGULAR
from minitutor.frame_lists import (
    BARE_FRAMES,
    BE_FRAMES,
    FRAMES,
    HELPER_FRAMES,
    JOINED_FRAMES,
    WEEKEND,
    WEEKEND_FRAMES,
)

_MATRIX: Final = {
    "want": "wants",
    "need": "needs",
    "hope": "hopes",
    "plan": "plans",
    "try": "tries",
    "like": "likes",
    "come": "comes",
}


class Template(msgspec.Struct, frozen=True):
    """A frame of one tense, identified by its position in the table."""

    id: str
    tense: str
    pattern: str
    bare: bool = False
    """Whether a helper carries the tense, so that the verb is in its base form."""

    @property
    def asks(self) -> bool:
        """Whether it is a question."""
        return self.pattern.endswith("?")

    @property
    def whole(self) -> bool:
        """Whether it has a complement of its own."""
        return "{o}" not in self.pattern


def templates(tense: str, verb: str, *, plain: bool = False) -> tuple[Template, ...]:
    """Return every template of a tense for a verb; ``plain`` leaves out negations, questions and helpers."""
    found = [Template(f"{tense}-{n:02d}", tense, pattern) for n, pattern in enumerate(FRAMES[tense])]
    if plain:
        return tuple(found)
    more = (BE_FRAMES if verb == "be" else BARE_FRAMES).get(tense, ())
    kind = "be" if verb == "be" else "bare"
    found += [Template(f"{tense}-{kind}-{n}", tense, pattern, bare=kind == "bare") for n, pattern in enumerate(more)]
    if verb in IRREGULAR:
        shared = JOINED_FRAMES.get(tense, ())
        found += [Template(f"{tense}-joined-{n}", tense, pattern) for n, pattern in enumerate(shared)]
    if tense == grid.PRESENT:
        helpers = HELPER_FRAMES.get(verb, ())
        found += [Template(f"{tense}-{verb}-{n}", tense, pattern) for n, pattern in enumerate(helpers)]
    return tuple(found)


def weekend_templates(tense: str) -> tuple[Template, ...]:
    """Return every weekend template; only the future tense has any."""
    frames = WEEKEND_FRAMES if tense == grid.FUTURE else ()
    return tuple(Template(f"{WEEKEND}-{n:02d}", tense, pattern) for n, pattern in enumerate(frames))


def takes(template: Template, word: str) -> bool:
    """Whether a template is valid English with a word: there is no *amn't*."""
    return word != "am" or ("{v}n't" not in template.pattern and "{V}n't" not in template.pattern)


def fill(pattern: str, *, verb: str, form: str, subject: str, person: str, complement: str, tail: str | None) -> str:
    """Return the sentence that a template's pattern gives with these words; a question gets no tail."""
    third = person == "3sg"
    if "[" in pattern:
        adverb = pattern[pattern.index("[") + 1 : pattern.index("]")]
        pair = f"{{v}} {adverb}" if verb == "be" else f"{adverb} {{v}}"
        pattern = pattern.replace(f"[{adverb}] {{v}}", pair)
    words = {base: (inflected if third else base) for base, inflected in _MATRIX.items()}
    have, do = ("has", "does") if third else ("have", "do")
    short = "'s" if third else "'ve"
    text = pattern.format(
        s=subject, S=_capital(subject), v=form, V=_capital(form), o=complement,
        h=have, H=_capital(have), c=short, d=do, D=_capital(do), **words,
    )  # fmt: skip
    return text if tail is None or text.endswith("?") else f"{text[:-1]} {tail}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
