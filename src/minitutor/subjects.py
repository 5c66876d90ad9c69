"""The subject of a clause: where it begins, and which person of the grid it takes.

Pronouns, names and noun phrases with a determiner are read, two of them joined by *and* too. A noun phrase
counts only where a clause can begin, so that an object or what follows a preposition is never taken for a
subject; what stays unclear gives None. It does not know tenses.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec

from minitutor import words
from minitutor.conjugation import VERBS, forms
from minitutor.tokens import Token

_MOST_MODIFIERS: Final = 3
_MOST_NAMES: Final = 3
_LONGEST_NOUN_IN_ED: Final = 4
_SHORTEST_PAIR: Final = 4
"""Tokens of *my mother and father*."""
_SHORTEST_WITH_PREDICATE: Final = 3
"""Tokens of a determiner, a noun and what is said of it."""
_MOST_AFTER_VERB: Final = 6
"""Tokens of the longest subject read after its verb."""
_VERB_WORDS: Final = frozenset(word for verb in VERBS for word in forms(verb))
_INFLECTED: Final = _VERB_WORDS - frozenset(VERBS)
_OPENS: Final = words.CONJUNCTIONS | words.REPORTING | words.LEADS | {"both"}
"""Words after which a clause can begin."""


class Subject(msgspec.Struct, frozen=True):
    """A subject: its first and last token, its person in the grid, and whether it is plural."""

    first: int
    last: int
    person: str
    plural: bool


def before(tokens: Sequence[Token], last: int) -> Subject | None:
    """The subject that ends with token ``last``; None where none does."""
    for own in _singles(tokens, last):
        joined = _joined(tokens, own)
        if joined is not None:
            return joined
        if _may_begin(tokens, own):
            return own
    return _paired(tokens, last)


def after(tokens: Sequence[Token], first: int) -> Subject | None:
    """The subject that begins with token ``first``, as after a form of *be* that asks; None where none does.

    A predicate follows it (*are the old men happy*), which cannot be told from a noun: the first plural noun is taken
    for the head, and where there is none, the phrase without a last word that must be the predicate.
    """
    singles: list[Subject] = []
    for last in range(first, min(first + _MOST_AFTER_VERB, len(tokens))):
        for own in _singles(tokens, last):
            if own.first == first and not _is_owner(tokens, last):
                singles.append(own)
            elif (joined := _joined(tokens, own, begin=first)) is not None:
                return joined
    plural = next((own for own in singles if own.plural), None)
    if plural is not None or not singles:
        return plural
    own = singles[-1]
    if own.last + 1 < len(tokens) and tokens[own.last + 1].low == "and":
        return None
    more = own.last + 1 < len(tokens) and tokens[own.last + 1].low in words.PREPOSITIONS | words.DETERMINERS
    return (
        own
        if more or own.last - first < _SHORTEST_WITH_PREDICATE - 1
        else msgspec.structs.replace(own, last=own.last - 1)
    )


def clause_start(tokens: Sequence[Token], at: int) -> bool:
    """Whether a clause can begin with this token: after a mark, a conjunction, or words of time."""
    if at == 0:
        return True
    before = tokens[at - 1]
    if not before.word:
        return before.low not in {"'", "’", "-", "/", "%", "$", "€", "£", "&"} or bool(tokens[at].gap)
    return before.low in _OPENS or before.low.isdigit()


def _singles(tokens: Sequence[Token], last: int) -> list[Subject]:
    """The readings of one pronoun, noun phrase or name that ends with a token."""
    token = tokens[last]
    if token.low in words.PRONOUNS:
        return [Subject(last, last, words.PRONOUNS[token.low], token.low in words.PLURAL_PRONOUNS)]
    if token.low in words.INDEFINITES:
        return [Subject(last, last, "3sg", plural=False)]
    if token.low in words.DEMONSTRATIVES:
        person = words.DEMONSTRATIVES[token.low]
        return [Subject(last, last, person, person == "2sg")]
    return [found for found in (_noun_phrase(tokens, last), _name(tokens, last)) if found is not None]


def _noun_phrase(tokens: Sequence[Token], last: int) -> Subject | None:
    """A determiner, at most three modifiers (a possessive *'s* among them), and a noun."""
    head = tokens[last]
    if not _is_noun(head) or (head.low.endswith("ed") and len(head.low) > _LONGEST_NOUN_IN_ED):
        return None  # *the shop closed* is more than a noun phrase
    at, modifiers = last - 1, 0
    while at >= 0 and modifiers <= _MOST_MODIFIERS:
        token = tokens[at]
        if token.low in words.DETERMINERS or token.low.isdigit():
            if token.low == "that" and head.raw[0].isupper():
                return None  # *I think that Tom …*
            return _widened(tokens, _with_number(tokens, at, last))
        if token.low == "'s":
            owner = _name(tokens, at - 1) if at else None
            if owner is not None:
                return _with_number(tokens, owner.first, last)
            at -= 1
            continue
        if not _is_noun(token) or is_plural(token.low) or token.low in _INFLECTED:
            return None  # *the boys next door*: the head may stand before
        modifiers += 1
        at -= 1
    return None


def _widened(tokens: Sequence[Token], own: Subject | None) -> Subject | None:
    """The noun phrase with the determiners before its own: *the two boys*, *all my friends*."""
    if own is None:
        return None
    first = own.first
    while first > 0 and tokens[first - 1].low in words.DETERMINERS - words.SINGULAR_DETERMINERS:
        first -= 1
    return msgspec.structs.replace(own, first=first)


def _with_number(tokens: Sequence[Token], first: int, last: int) -> Subject | None:
    """The noun phrase with its number; None where determiner and noun disagree or leave it open."""
    determiner, head = tokens[first].low, tokens[last].low
    plural = is_plural(head)
    if head in words.COLLECTIVES or head in words.INVARIANT or (plural and tokens[last].raw[0].isupper()):
        return None  # *my family is* and *are*; *the Netherlands is*, *the Simpsons are*
    if head in words.UNITS and (determiner in words.PLURAL_DETERMINERS or determiner.isdigit()):
        return None
    possessive = any(token.low == "'s" for token in tokens[first:last])
    # What a possessor is says nothing of what it has: *a friend's parents*.
    if determiner in words.SINGULAR_DETERMINERS and not possessive:
        # *this news* is singular; *every children* is a mistake of another kind.
        return None if plural else Subject(first, last, "3sg", plural=False)
    if (determiner in words.PLURAL_DETERMINERS or (determiner.isdigit() and determiner != "1")) and not possessive:
        return Subject(first, last, "2sg", plural=True) if plural else None
    return Subject(first, last, "2sg" if plural else "3sg", plural)


def is_plural(noun: str) -> bool:
    """Whether a noun is read as plural, by its ending or the list of irregular ones."""
    noun = noun.split("-", maxsplit=1)[0] if noun.endswith(("-in-law", "-by")) else noun.rsplit("-", 1)[-1]
    if noun in words.IRREGULAR_PLURALS:
        return True
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and noun not in words.SINGULAR_IN_S


def _name(tokens: Sequence[Token], last: int) -> Subject | None:
    """One to three words with capitals, or of a script without them; an irregular plural that begins a sentence."""
    if tokens[last].sentence_start and tokens[last].low in words.IRREGULAR_PLURALS:
        return Subject(last, last, "2sg", plural=True)
    first = last
    while first >= 0 and last - first < _MOST_NAMES and _is_name(tokens[first]):
        first -= 1
    first += 1
    if first > last:
        return None
    head = tokens[last].low
    alone = first == last
    if alone and tokens[first].sentence_start and head in _VERB_WORDS:
        return None  # *go see him*
    if alone and (head.endswith("ly") or (is_plural(head) and head.isascii() and head not in words.NAMES_IN_S)):
        # *Dogs like …* and *James likes …* look alike where the sentence begins.
        return None
    return Subject(first, last, "3sg", plural=False)


def _joined(tokens: Sequence[Token], own: Subject, begin: int | None = None) -> Subject | None:
    """Two subjects joined by *and*, where the first of them begins a clause (or stands at ``begin``)."""
    if own.first < 2 or tokens[own.first - 1].low != "and":
        return None
    pronoun = tokens[own.last].low in words.PRONOUNS and tokens[own.last].low != "i"
    if any(token.low in {"every", "each"} for token in tokens[own.first : own.last]):
        return None
    for other in _singles(tokens, own.first - 2):
        if pronoun and tokens[other.last].low not in words.PRONOUNS:
            continue  # *the bus stops and he …* is two clauses
        starts = other.first == begin if begin is not None else _begins(tokens, other.first)
        if starts:
            return Subject(other.first, own.last, "2sg", plural=True)
    return None


def _paired(tokens: Sequence[Token], last: int) -> Subject | None:
    """Two nouns under one determiner: *my mother and father*."""
    if last < _SHORTEST_PAIR - 1 or tokens[last - 1].low != "and" or not _is_noun(tokens[last]):
        return None
    first = _noun_phrase(tokens, last - 2)
    return Subject(first.first, last, "2sg", plural=True) if first and _begins(tokens, first.first) else None


def _begins(tokens: Sequence[Token], at: int) -> bool:
    """Whether two joined subjects can begin with this token: where a clause begins, or after a helper that asks."""
    if clause_start(tokens, at):
        return True
    helper = at - 2 if tokens[at - 1].low in words.NOT else at - 1
    if helper < 0 or tokens[helper].low not in words.HELPERS:
        return False
    if any(tokens[n].low in words.ASKING for n in range(max(0, helper - 3), helper)):
        return True
    left = helper - 1
    while left >= 0 and tokens[left].low in words.ADVERBS:
        left -= 1
    return left < 0 or not tokens[left].word or tokens[left].low in words.CONJUNCTIONS


def _is_owner(tokens: Sequence[Token], at: int) -> bool:
    """Whether a noun owns what follows it: *the boys' room*, *the children's room*."""
    return at + 1 < len(tokens) and not tokens[at + 1].gap and tokens[at + 1].low in {"'s", "'", "’"}


def _may_begin(tokens: Sequence[Token], own: Subject) -> bool:
    """Whether a subject may stand where it stands; *I*, *he* and *they* may wherever no preposition is before them."""
    if clause_start(tokens, own.first):
        return True
    if _begins(tokens, own.first):
        return True
    before = tokens[own.first - 1].low
    only_subject = own.first == own.last and tokens[own.last].low in {"i", "he", "she", "we", "they"}
    return only_subject and before not in words.PREPOSITIONS


def _is_noun(token: Token) -> bool:
    return (
        token.word
        and token.low not in words.FUNCTION_WORDS
        and not token.low.startswith("'")
        and token.low[0].isalpha()
    )


def _is_name(token: Token) -> bool:
    if not token.word or token.low in words.FUNCTION_WORDS or token.low in words.DETERMINERS:
        return False
    first = token.raw[0]
    return first.isupper() or unicodedata.category(first) == "Lo"
