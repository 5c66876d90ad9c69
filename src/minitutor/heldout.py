"""The held-out sentences: about two thousand, correct or with one wrong verb, from their own words and frames.

They share only the verbs, the cells and the taxonomy of mistakes with the corpora, so they test whether a model has
learned the grammar and not the sentences.
"""

from __future__ import annotations

from typing import Final

import msgspec

from minitutor import grid, mistakes
from minitutor import heldout_clauses as clauses
from minitutor import heldout_words as words
from minitutor.conjugation import IRREGULAR
from minitutor.heldout_clauses import ADVERB, ASK, GAP, NOT, PLAIN, TIMED, WHY, Clause
from minitutor.heldout_words import Dice, Subject

WRONG_SHARE: Final = 0.65
FULL_CELL: Final = ("go", grid.PAST)
FULL_CELL_ITEMS: Final = 20  # per person: 60 plain statements of the cell
FULL_CELL_WRONG: Final = 17
_QUESTIONS: Final = {
    "question": (ASK, 3),
    "question_gap": (GAP, 3),
    "question_why": (WHY, 2),
    "question_quoted": (ASK, 1),
    "question_call": (ASK, 2),
    "question_thing": (ASK, 5),
}
_STATEMENTS: Final = {
    "plain_end": (PLAIN, 3),
    "plain_front": (TIMED, 3),
    "adverb": (ADVERB, 3),
    "negation": (NOT, 3),
    "negation_clause": (NOT, 2),
    "exclaimed": (PLAIN, 1),
    "trailing": (PLAIN, 1),
    "quoted": (PLAIN, 2),
    "bracketed": (PLAIN, 1),
    "aside": (PLAIN, 2),
    "dashed": (PLAIN, 1),
    "two_clauses": (PLAIN, 2),
    "because": (PLAIN, 2),
    "opener": (PLAIN, 2),
    "reported": (PLAIN, 2),
    "long": (PLAIN, 2),
    "thing": (PLAIN, 6),
    "since_for": (TIMED, 8),
}
_MODES: Final = {frame: mode for frame, (mode, _) in (_STATEMENTS | _QUESTIONS).items()}
_WEIGHTS: Final = {frame: weight for frame, (_, weight) in (_STATEMENTS | _QUESTIONS).items()}
_PLAIN_ONLY: Final = (*("plain_end",) * 6, *("plain_front",) * 5, "exclaimed", "trailing", "quoted", "two_clauses")
_SURROUNDINGS: Final = {
    "quoted": words.QUOTES,
    "reported": words.REPORTS,
    "question_quoted": words.ASK_QUOTES,
    "question_call": words.CALLS,
}
_BY_TENSE: Final = {
    "bracketed": words.BRACKETS,
    "two_clauses": words.TAILS,
    "because": words.BECAUSES,
    "opener": words.OPENERS,
    "negation_clause": words.NOT_TAILS,
    "long": words.LONGS,
}


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence, its correction and its mistake; text and correction differ in at most one word."""

    text: str
    correction: str
    written: str
    correct_form: str
    verb: str
    tense: str
    person: str
    error_type: str
    frame: str
    complement: str


class _Draft(msgspec.Struct, frozen=True):
    """A sentence with a gap for the verb, and the words that may fill it."""

    text: str
    clause: Clause
    frame: str


def heldout_sentences() -> list[Sentence]:
    """Return every held-out sentence, cell by cell in the grid's order; the same list each time."""
    made: list[Sentence] = []
    seen: set[str] = set()
    for cell in grid.cells():
        dice = Dice("|".join(cell))
        items = _items(cell)
        drafts = _drafts(dice, cell, _frames(dice), items, seen)
        made += _labelled(dice, cell, drafts, round(WRONG_SHARE * items))
        if cell[:2] == FULL_CELL:
            frames = [dice.pick(list(_PLAIN_ONLY)) for _ in range(FULL_CELL_ITEMS * 4)]
            drafts = _drafts(dice, cell, frames, FULL_CELL_ITEMS, seen)
            made += _labelled(dice, cell, drafts, FULL_CELL_WRONG)
    return made


def _items(cell: tuple[str, str, str]) -> int:
    """Return the number of sentences of a cell: more if only this cell has its mistake or the verb is irregular."""
    verb, tense, person = cell
    if verb == "be" and tense in {grid.PRESENT, grid.PAST}:
        return 12
    return 8 if (tense, person) == (grid.PRESENT, "3sg") else 7 if verb in IRREGULAR else 6


def _frames(dice: Dice) -> list[str]:
    """Return every frame in a random order weighted by frequency; a cell uses the first ones that fit."""
    bag = [frame for frame, weight in _WEIGHTS.items() for _ in range(weight)]
    return list(dict.fromkeys(dice.shuffled(bag)))


def _drafts(dice: Dice, cell: tuple[str, str, str], frames: list[str], count: int, seen: set[str]) -> list[_Draft]:
    """Return up to ``count`` distinct sentences from the frames; each frame has three attempts."""
    made: list[_Draft] = []
    for frame in frames:
        for _ in range(3):
            draft = _draft(dice, cell, frame) if len(made) < count else None
            if draft is not None and draft.text not in seen:
                seen.add(draft.text)
                made.append(draft)
                break
    return made


def _draft(dice: Dice, cell: tuple[str, str, str], frame: str) -> _Draft | None:
    """Return one sentence of a frame with its gap still open; None if the frame does not fit the cell."""
    dice.forget()
    verb, tense, person = cell
    if frame.endswith("_thing") or frame == "thing":
        clause = clauses.thing(dice, verb, tense, person, asks=frame != "thing")
    elif not _fits(cell, frame):
        clause = None
    else:
        who = _with_aside(dice, words.subject(dice, verb, person), person, frame)
        clause = clauses.clause(dice, who, cell, _MODES[frame])
    if clause is None or (frame == "plain_front" and not clause.fronts):
        return None
    text = _capital(" ".join(_surrounded(dice, clause, tense, frame).split()))
    for sign in (".", ",", "?", "!", "…"):
        text = text.replace(f" {sign}", sign)
    return _Draft(text, clause, frame)


def _fits(cell: tuple[str, str, str], frame: str) -> bool:
    """Whether a frame suits a cell: first-person questions are rare, and only the perfect takes *since*."""
    _, tense, person = cell
    if frame == "since_for":
        return tense == grid.PARTICIPLE
    if person == "1sg" and frame in {"question", "question_call", "question_gap", "question_quoted"}:
        return frame == "question" and tense == grid.FUTURE
    return True


def _with_aside(dice: Dice, who: Subject, person: str, frame: str) -> Subject:
    """Return the subject, with an aside before the verb in the frames that have one."""
    if frame == "aside":
        said = dice.fill(dice.word(words.ASIDES["1sg" if who.pronoun else person]))
        return Subject(f"{who.text}, {said},", who.possessive, pronoun=False, third=who.third)
    if frame == "dashed":
        said = dice.fill(dice.word(words.DASHES))
        return Subject(f"{who.text} – {said} –", who.possessive, pronoun=False, third=who.third)
    return who


def _surrounded(dice: Dice, clause: Clause, tense: str, frame: str) -> str:
    """Return the clause with its time and the surrounding text."""
    untimed = frame == "long" or (frame == "opener" and not clause.state) or (frame == "because" and tense == grid.PAST)
    end = "" if untimed and tense != grid.PARTICIPLE else dice.word(clause.ends)
    said = f"{clause.head} {clause.complement}".strip()
    if frame == "plain_front":
        return f"{dice.word(clause.fronts)}, {said}."
    listed = _SURROUNDINGS.get(frame, "{k}?" if frame.startswith("question") else "{k}.")
    listed = {"exclaimed": "{k}!", "trailing": "{k}…"}.get(frame, listed)
    if frame in _BY_TENSE:
        table = _BY_TENSE[frame]
        general = frame == "opener" and clause.state
        listed = table.get("" if general else tense, table.get("", ""))
        if frame == "long" and tense in {grid.PAST, grid.FUTURE}:  # only the last of these suits *like* and *want*
            others, _, last = listed.rpartition("|")
            listed = last if clause.state else others
    said = f"{said} {end}".strip()
    around = dice.fill(dice.word(listed))
    for slot, text in (("k", said), ("K", _capital(said)), ("q", said), ("Q", _capital(said))):
        around = around.replace(f"{{{slot}}}", text)
    return around


def _capital(text: str) -> str:
    """Return the text with an initial capital; a gap at the start becomes ``^``, to be filled with a capital."""
    return ("^" if text[0] == "@" else text[0].upper()) + text[1:]


def _labelled(dice: Dice, cell: tuple[str, str, str], drafts: list[_Draft], wrong: int) -> list[Sentence]:
    """Return the drafts as sentences, up to ``wrong`` of them with a mistake."""
    able = [at for at, draft in enumerate(drafts) if draft.clause.wrongs]
    chosen = set(dice.shuffled(able)[:wrong])
    made = []
    for at, draft in enumerate(drafts):
        kind, written = dice.pick(list(draft.clause.wrongs)) if at in chosen else (mistakes.NONE, draft.clause.right)
        right = draft.clause.right
        if "^" in draft.text:
            written, right = _capital(written), _capital(right)
        text, correction = (draft.text.replace("^", "@").replace("@", word) for word in (written, right))
        verb, tense, person = cell
        made.append(
            Sentence(
                text=text,
                correction=correction,
                written=written,
                correct_form=right,
                verb=verb,
                tense=tense,
                person=person,
                error_type=kind,
                frame=draft.frame,
                complement=draft.clause.complement,
            )
        )
    return made
