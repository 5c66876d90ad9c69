"""Builds the clause under test of a held-out sentence: subject, verb group with a gap, complement, expressions of time.

The gap is written ``@``. This module does not know the text around the clause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from minitutor import conjugation, grid, mistakes
from minitutor import heldout_verbs as verbs
from minitutor import heldout_words as words
from minitutor.heldout_words import Dice, Subject

Wrong = tuple[str, str]
PLAIN: Final = "plain"
ADVERB: Final = "adverb"
NOT: Final = "not"
ASK: Final = "ask"
WHY: Final = "why"
TIMED: Final = "timed"
GAP: Final = "gap"
STATIVE: Final = frozenset({"like", "want"})


class Clause(msgspec.Struct, frozen=True):
    """A clause without its end: ``head`` contains subject, helpers and the gap in their order."""

    head: str
    complement: str
    right: str
    wrongs: tuple[Wrong, ...]
    ends: str = ""
    fronts: str = ""
    state: bool = False


def coded(dice: Dice, listed: str, codes: str) -> tuple[str, str] | None:
    """Pick a (code, phrase) from a list of phrases with codes, with one of the given codes."""
    found = [
        (code, entry.partition(":")[2])
        for entry in listed.split("|")
        for code in entry.partition(":")[0]
        if code in codes
    ]
    return dice.pick(found) if found else None


def base_wrongs(verb: str, person: str, *, past: bool = True, third: bool = True) -> tuple[Wrong, ...]:
    """Return the inflected words that learners write instead of the base form."""
    inflected = [conjugation.third_person(verb)] if third else []
    inflected += [conjugation.past(verb, person)] if past else []
    return tuple((mistakes.INFLECTED, word) for word in inflected)


def finite_wrongs(verb: str, tense: str, person: str, tail: str = "") -> tuple[Wrong, ...]:
    """Return the wrong words of a statement; with a tail (*n't*), only those that can take it."""
    unusual = {*conjugation.naive_third(verb), *([conjugation.with_ed(verb)] if tense == grid.PARTICIPLE else [])}
    wrong = mistakes.wrong_forms(verb, tense, person).items()
    return tuple((kind, word + tail) for word, kind in wrong if word not in unusual and not (tail and word == "am"))


def _verb_group(dice: Dice, who: Subject, verb: str, tense: str, person: str, mode: str, adverb: str) -> Clause:
    """Build subject and verb of a present or past clause, with *do* except for *be*."""
    asks, right = mode in {ASK, WHY, GAP}, grid.form(verb, tense, person)
    if verb == "be":
        tail = "n't" if mode == NOT and right != "am" and dice.chance(0.7) else ""
        wrongs = finite_wrongs(verb, tense, person, tail)
        if asks or not who.pronoun:  # learners do not write *my cousins am*
            wrongs = tuple(wrong for wrong in wrongs if wrong[1] != "am")
        not_ = "not" if mode == NOT and not tail else ""
        head = f"@ {who.text} {adverb}" if asks else f"{who.text} @ {not_} {adverb}"
        return Clause(head, "", right + tail, wrongs)
    if asks or mode == NOT:
        helper = "did" if tense == grid.PAST else "does" if person == "3sg" else "do"
        wrongs = base_wrongs(verb, person, past=tense == grid.PAST, third=tense == grid.PRESENT or dice.chance(0.3))
        not_ = dice.word(words.NOT)
        head = f"{helper} {who.text} {adverb} @" if asks else f"{who.text} {helper}{not_} {adverb} @"
        return Clause(head, "", verb, wrongs)
    return Clause(f"{who.text} {adverb} @", "", right, finite_wrongs(verb, tense, person))


def _completed(dice: Dice, clause: Clause, who: Subject, phrase: str, **more: str | bool) -> Clause:
    """Return the clause with its complement and expressions of time."""
    return msgspec.structs.replace(clause, complement=dice.fill(phrase, who.possessive), **more)


def _present(dice: Dice, who: Subject, verb: str, person: str, mode: str) -> Clause | None:
    habits, be = verbs.HABIT[verb], verb == "be"
    state = not habits or dice.chance(0.4)
    adverb = ""
    if mode == ADVERB:
        adverb = dice.word("also|really" if verb in STATIVE else "still" if be else "also")
        adverb = adverb if state else dice.word("always|often|usually|sometimes")
    elif mode == WHY and not state:
        adverb = "always"
    phrase = dice.word(verbs.STATE[verb] if state else habits)
    group = _verb_group(dice, who, verb, grid.PRESENT, person, mode, adverb)
    if mode == WHY:
        group = msgspec.structs.replace(group, head=f"why {group.head}")
        return _completed(dice, group, who, phrase)
    if mode in {NOT, ASK}:
        loose = words.STATE_END["be"] if be else words.STATE_NOT
        ends = loose if state else words.HABIT_NOT if mode == NOT else words.HABIT_LOOSE
        ends = ends.replace("anymore", "") if mode == ASK else ends
        return _completed(dice, group, who, phrase, ends=ends, state=state)
    if not state:
        ends = words.HABIT_LOOSE if mode == ADVERB or be else words.HABIT_END
        return _completed(dice, group, who, phrase, ends=ends, fronts=words.HABIT_FRONT)
    ends, fronts = (table.get(verb, table[""]) for table in (words.STATE_END, words.STATE_FRONT))
    return _completed(dice, group, who, phrase, ends=ends, fronts=fronts, state=True)


def _past(dice: Dice, who: Subject, verb: str, person: str, mode: str) -> Clause | None:
    group = _verb_group(dice, who, verb, grid.PAST, person, mode, "also" if mode == ADVERB else "")
    ends, fronts = (table.get(verb, table[""]) for table in (words.PAST_END, words.PAST_FRONT))
    if mode == WHY:
        group = msgspec.structs.replace(group, head=f"why {group.head}")
    if verb == "like" and mode in {NOT, ASK, WHY}:
        ends = "" if mode == WHY else "at first"
    return _completed(dice, group, who, dice.word(verbs.EVENT[verb]), ends=ends, fronts=fronts, state=verb in STATIVE)


def _future(dice: Dice, who: Subject, verb: str, person: str, mode: str) -> Clause | None:
    ends, fronts = (table.get(verb, table[""]) for table in (words.FUTURE_END, words.FUTURE_FRONT))
    if verb in STATIVE and mode in {NOT, WHY}:
        ends = ""
    head = f"{who.text} will @"
    if mode == ADVERB:
        head = f"{who.text} will {dice.word('probably|also|certainly')} @"
    elif mode == NOT:
        head = f"{who.text} {dice.word(words.WILL_NOT)} @"
    elif mode == WHY:
        asked = ("when will", "") if verb not in STATIVE and dice.chance(0.5) else ("why won't", ends)
        head, ends = f"{asked[0]} {who.text} @", asked[1]
    elif mode in {ASK, GAP}:
        head = f"will {who.text} @"
    elif who.pronoun and dice.chance(0.5):
        head = f"{who.text}'ll @"
    group = Clause(head, "", verb, base_wrongs(verb, person))
    return _completed(dice, group, who, dice.word(verbs.EVENT[verb]), ends=ends, fronts=fronts, state=verb in STATIVE)


def _since(dice: Dice, code: str) -> str:
    return dice.word(words.SHORT_SINCE if code == "r" else words.LONG_SINCE)


def _perfect_head(dice: Dice, who: Subject, person: str, mode: str, code: str) -> tuple[str, str, str]:
    """Return head, end and front of a present perfect clause with a phrase of this code."""
    have, text = "has" if person == "3sg" else "have", who.text
    said = f"{text}'ve" if who.pronoun and person != "3sg" and dice.chance(0.5) else f"{text} {have}"
    lower = code.lower()
    if mode in {ASK, WHY}:
        if lower in "sr":
            return f"how long {have} {text} @", "", ""
        if mode == WHY:
            return f"why {have} {text} {'never' if lower == 'n' else ''} @", "", ""
        return f"{have} {text} {'ever' if lower == 'n' else ''} @", "" if lower == "n" else "yet", ""
    if lower == "z" or mode == NOT:
        end = dice.word(words.LONG_SINCE) if lower == "z" else "yet"
        return f"{text} {have}{dice.word(words.NOT)} @", end, ""
    if lower == "a":
        return f"{said} {dice.word('already|just')} @", "", ""
    if lower == "n":
        return f"{said} never @", "", ""
    since = _since(dice, code) if lower in "sr" else ""
    return f"{said} @", since, since[:1].upper() + since[1:]


def _perfect(dice: Dice, who: Subject, verb: str, person: str, mode: str) -> Clause | None:
    codes = {PLAIN: "pppsran", ADVERB: "an", NOT: "az", ASK: "nasr", WHY: "nsr", TIMED: "srz"}[mode]
    codes = "n" if mode == WHY and person == "1sg" else codes
    codes += "A" if who.third and "a" in codes else ""
    found = coded(dice, verbs.AFTER_HAVE[verb], codes)
    if found is None:
        return None
    head, end, front = _perfect_head(dice, who, person, mode, found[0])
    wrongs = finite_wrongs(verb, grid.PARTICIPLE, person)
    if verb == "be":
        wrongs = tuple(wrong for wrong in wrongs if wrong[1] == conjugation.past(verb, person))
    group = Clause(head, "", conjugation.participle(verb), wrongs)
    return _completed(dice, group, who, found[1], ends=end, fronts=front)


def _matrix(dice: Dice, who: Subject, person: str, mode: str, code: str) -> str:
    """Return the words before *to* and the infinitive, including the subject."""
    third = person == "3sg"
    verb, text = dice.word(words.BEFORE_TO[code]), who.text
    verb = "like" if verb == "love" and mode in {NOT, ASK} else verb
    does = "does" if third else "do"
    if mode in {ASK, WHY, GAP}:
        front = "why " if mode == WHY else ""
        if verb.startswith("would"):
            return f"{front}would {text} like to @"
        return f"{front}{dice.pick([does, does, 'did']) if code in 'wvd' else does} {text} {verb} to @"
    if verb.startswith("would"):
        would = " wouldn't" if mode == NOT else "'d" if who.pronoun and dice.chance(0.6) else " would"
        return f"{text}{would} {'really' if mode == ADVERB else ''} like to @"
    if mode == NOT:
        helper = "didn't" if code in "wvd" and dice.chance(0.3) else f"{does}n't"
        return f"{text} {helper} {verb} to @"
    if mode == ADVERB:
        return f"{text} {words.ADVERB_TO[code]} {conjugation.present(verb, person)} to @"
    if code in "wvdt" and dice.chance(0.3):
        return f"{text} {conjugation.past(verb, person)} to @"
    return f"{text} {conjugation.present(verb, person)} to @"


def _infinitive(dice: Dice, who: Subject, verb: str, person: str, mode: str) -> Clause | None:
    codes = {PLAIN: "wvpdlts", ADVERB: "wvpdlts", NOT: "wvdls", ASK: "wvdl", WHY: "wvdl", TIMED: "p"}[mode]
    found = coded(dice, verbs.AFTER_TO[verb], codes)
    if found is None:
        return None
    group = Clause(_matrix(dice, who, person, mode, found[0]), "", verb, base_wrongs(verb, person))
    return _completed(dice, group, who, found[1], fronts=words.TO_FRONT if found[0] == "p" else "")


def gap(dice: Dice, who: Subject, verb: str, tense: str, person: str) -> Clause | None:
    """Build a question about a part of the clause, such as *Where did she go?*."""
    code = {grid.PRESENT: "p", grid.PAST: "a", grid.FUTURE: "f", grid.PARTICIPLE: "x", grid.INFINITIVE: "i"}[tense]
    found = coded(dice, verbs.GAPS[verb], code + ("X" if code == "x" and who.third else ""))
    if found is None:
        return None
    word, _, rest = found[1].partition(":")
    right, wrongs, ends = verb, base_wrongs(verb, person), ""
    if tense == grid.PARTICIPLE:
        head = f"{'has' if person == '3sg' else 'have'} {who.text} @"
        right, wrongs = conjugation.participle(verb), finite_wrongs(verb, tense, person)
        wrongs = tuple(wrong for wrong in wrongs if verb != "be" or wrong[1] == conjugation.past(verb, person))
    elif tense == grid.INFINITIVE:
        head = _matrix(dice, who, person, GAP, dice.pick(["w", "d", "p"]))
    elif tense == grid.FUTURE:
        head = f"will {who.text} @"
        ends = "" if word == "When" or verb in STATIVE else "tomorrow|next Friday|"
    else:
        group = _verb_group(dice, who, verb, tense, person, GAP, "")
        head, right, wrongs = group.head, group.right, group.wrongs
        timed = tense == grid.PAST and word != "When" and verb not in STATIVE
        ends = "yesterday|last Friday|on Tuesday" if timed else ""
    group = Clause(f"{word} {head}", "", right, wrongs, "" if " first" in rest or " after " in rest else ends)
    return _completed(dice, group, who, rest)


_BUILDERS: Final[dict[str, Callable[[Dice, Subject, str, str, str], Clause | None]]] = {
    grid.PRESENT: _present,
    grid.PAST: _past,
    grid.FUTURE: _future,
    grid.PARTICIPLE: _perfect,
    grid.INFINITIVE: _infinitive,
}


def clause(dice: Dice, who: Subject, cell: tuple[str, str, str], mode: str) -> Clause | None:
    """Build a clause of a (verb, tense, person) in a mode; None if no phrase fits."""
    verb, tense, person = cell
    if mode == GAP:
        return gap(dice, who, verb, tense, person)
    return _BUILDERS[tense](dice, who, verb, person, mode)


def thing(dice: Dice, verb: str, tense: str, person: str, *, asks: bool) -> Clause | None:
    """Build a clause whose subject is a thing, such as *The film starts at 8:30*."""
    if verb not in verbs.THINGS or person == "1sg" or tense not in {grid.PRESENT, grid.PAST, grid.FUTURE}:
        return None
    one, several, complements = verbs.THINGS[verb]
    who = Subject(dice.word(one if person == "3sg" else several), "", pronoun=False, third=True)
    if tense == grid.FUTURE:
        head = f"will {who.text} @" if asks else f"{who.text} will @"
        group = Clause(head, "", verb, base_wrongs(verb, person), "tomorrow|next Friday|on Sunday")
    else:
        group = _verb_group(dice, who, verb, tense, person, ASK if asks else PLAIN, "")
        ends = "yesterday|last Friday|on Monday" if tense == grid.PAST else "on Sundays|in winter|these days"
        group = msgspec.structs.replace(group, ends=ends)
    return _completed(dice, group, who, dice.word(complements))
