"""The sentence frames of each tense, and how a cell, a subject and a complement fill one.

A template's words fix its tense; a tail is a second clause whose subject is never a pronoun, so that the
clause under correction stays the only one. It does not know mistakes: the verb form is handed in.
"""

from __future__ import annotations

from typing import Final

import msgspec

from minitutor import grid

# {s}/{S}: subject; {v}: the form; {o}: complement; {h}: have/has; [word]: an adverb, which stands after *be*.
FRAMES: Final = {
    grid.INFINITIVE: (
        "{S} {want} to {v} {o}.",
        "{S} {need} to {v} {o} today.",
        "{S} {hope} to {v} {o} tomorrow.",
        "Today {s} {need} to {v} {o}.",
        "{S} {plan} to {v} {o} next week.",
        "{S} really {want} to {v} {o}.",
        "{S} {try} to {v} {o} every day.",
        "{S} would like to {v} {o}.",
        "{S} {h} to {v} {o} now.",
        "On Sundays {s} {like} to {v} {o}.",
        "When the weather is good, {s} {want} to {v} {o}.",
        "{S} always {want} to {v} {o} again.",
        "Next year {s} {hope} to {v} {o}.",
    ),
    grid.PRESENT: (
        "Every day {s} {v} {o}.",
        "{S} [always] {v} {o}.",
        "{S} {v} {o}.",
        "{S} [usually] {v} {o} in the morning.",
        "On Mondays {s} {v} {o}.",
        "{S} {v} {o} every week.",
        "{S} [often] {v} {o}.",
        "{S} [never] {v} {o} on Sundays.",
        "In summer {s} [sometimes] {v} {o}.",
        "When the weather is bad, {s} {v} {o}.",
        "{S} {v} {o} every evening.",
        "Every morning {s} {v} {o} before the bus comes.",
        "If the shop is closed, {s} [usually] {v} {o}.",
    ),
    grid.PAST: (
        "Yesterday {s} {v} {o}.",
        "Last week {s} {v} {o}.",
        "{S} {v} {o}.",
        "{S} {v} {o} yesterday.",
        "Two days ago {s} {v} {o}.",
        "{S} {v} {o} last night.",
        "Last summer {s} [often] {v} {o}.",
        "{S} [never] {v} {o} last year.",
        "When the rain stopped, {s} {v} {o}.",
        "Last Friday {s} {v} {o} before the shop closed.",
        "{S} {v} {o} two weeks ago.",
        "After the lesson ended, {s} {v} {o}.",
        "Yesterday morning {s} {v} {o}.",
    ),
    grid.PARTICIPLE: (
        "{S} {h} {v} {o}.",
        "{S} {h} already {v} {o}.",
        "{S} {h} just {v} {o}.",
        "{S} {h} never {v} {o} before.",
        "{S} {h} {v} {o} many times.",
        "Today {s} {h} {v} {o}.",
        "This week {s} {h} often {v} {o}.",
        "{S} {h} always {v} {o}.",
        "Since Monday {s} {h} {v} {o} twice.",
        "{S} {h} {v} {o} since the summer ended.",
        "So far {s} {h} {v} {o}.",
        "{S} {h} {v} {o} this year.",
        "Now that the rain is over, {s} {h} {v} {o} again.",
    ),
    grid.FUTURE: (
        "Tomorrow {s} will {v} {o}.",
        "{S} will {v} {o}.",
        "Next week {s} will {v} {o}.",
        "{S} will {v} {o} tomorrow.",
        "{S} will probably {v} {o} tonight.",
        "Soon {s} will {v} {o}.",
        "{S} will never {v} {o} again.",
        "If the weather is good, {s} will {v} {o}.",
        "When the lesson ends, {s} will {v} {o}.",
        "{S} will {v} {o} next year.",
        "{S}'ll {v} {o} later.",
        "Next summer {s} will often {v} {o}.",
        "Tonight {s} will also {v} {o}.",
    ),
}

WEEKEND: Final = "weekend"
WEEKEND_FRAMES: Final = (
    "This weekend {s} will {v} {o}.",
    "{S} will {v} {o} this weekend.",
    "On Saturday {s} will {v} {o}.",
    "{S} will {v} {o} on Sunday evening.",
    "On Saturday night {s}'ll {v} {o}.",
    "{S} will {v} {o} at the weekend.",
    "At the weekend {s} will {v} {o}.",
    "{S} will probably {v} {o} on Saturday.",
)
"""Plans for the weekend, in the future: no other corpus and no eval set has a sentence of these."""

TAILS: Final = {
    grid.INFINITIVE: ("because the day is long", "but the weather is bad", "and my sister agrees"),
    grid.PRESENT: ("because the mornings are quiet", "but my sister stays here", "and the neighbours laugh"),
    grid.PAST: ("because the bus was late", "but my brother stayed here", "and the neighbours laughed"),
    grid.PARTICIPLE: ("because the day was long", "but my brother is still here", "and the teacher knows it"),
    grid.FUTURE: ("because the bus is late", "but my brother can help", "and my sister will wait"),
}

_MATRIX: Final = {"want": "wants", "need": "needs", "hope": "hopes", "plan": "plans", "try": "tries", "like": "likes"}


class Template(msgspec.Struct, frozen=True):
    """A frame of one tense, known by its place in the table."""

    id: str
    tense: str
    pattern: str


def templates(tense: str) -> tuple[Template, ...]:
    """Every template of a tense."""
    return tuple(Template(f"{tense}-{n:02d}", tense, pattern) for n, pattern in enumerate(FRAMES[tense]))


def weekend_templates(tense: str) -> tuple[Template, ...]:
    """Every template of the weekend; only the future has any."""
    frames = WEEKEND_FRAMES if tense == grid.FUTURE else ()
    return tuple(Template(f"{WEEKEND}-{n:02d}", tense, pattern) for n, pattern in enumerate(frames))


def fill(template: Template, *, verb: str, form: str, subject: str, complement: str, tail: str | None) -> str:
    """The sentence a template gives for these words; ``subject`` is I, you, he or she."""
    third = grid.PERSON_OF[subject] == "3sg"
    pattern = template.pattern
    if "[" in pattern:
        adverb = pattern[pattern.index("[") + 1 : pattern.index("]")]
        pair = f"{{v}} {adverb}" if verb == "be" else f"{adverb} {{v}}"
        pattern = pattern.replace(f"[{adverb}] {{v}}", pair)
    words = {base: (inflected if third else base) for base, inflected in _MATRIX.items()}
    text = pattern.format(
        s=subject, S=subject[0].upper() + subject[1:], v=form, o=complement, h="has" if third else "have", **words
    )
    return text if tail is None else f"{text[:-1]} {tail}."
