"""Finds the subject of a clause: its position and its person in the grid.

It recognises pronouns, names and noun phrases with a determiner, also two of them joined by *and*. A noun phrase is
accepted only where a clause can begin, so that an object or the noun after a preposition is never taken for a subject.
If the subject is unclear, the result is None. This module does not know tenses.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec

from minitutor import words
from minitutor.conjugation import VERBS, forms
from minitutor.word_tokens import Token

_MOST_MODIFIERS: Final = 3
_MOST_NAMES: Final = 3
_LONGEST_NOUN_IN_ED: Final = 4
_SHORTEST_PAIR: Final = 4
"""Fewest tokens of a pair under one determiner: *my mother and father*."""
_SHORTEST_WITH_PREDICATE: Final = 3
"""Fewest tokens of a determiner, a noun and a predicate."""
_MOST_AFTER_VERB: Final = 6
"""Most tokens of a subject that follows its verb."""
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
    """Return the subject that ends with token ``last``, or None."""
    for own in _singles(tokens, last):
        joined = _joined(tokens, own)
        if joined is not None:
            return joined
        if _may_begin(tokens, own):
            return own
    return _paired(tokens, last)


def after(tokens: Sequence[Token], first: int) -> Subject | None:
    """Return the subject that begins with token ``first``, as in a question with *be*, or None.

    The predicate after it (*are the old men happy*) may look like a noun. So the first plural noun is taken as the
    head; without one, the last word is taken as the predicate and the rest as the subject.
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
    """Whether a clause can begin with this token: after punctuation, a conjunction, or words of time."""
    if at == 0:
        return True
    before = tokens[at - 1]
    if not before.word:
        return before.low not in {"'", "’", "-", "/", "%", "$", "€", "£", "&"} or bool(tokens[at].gap)
    return before.low in _OPENS or before.low.isdigit()


def _singles(tokens: Sequence[Token], last: int) -> list[Subject]:
    """Return the possible readings of a pronoun, noun phrase or name that ends with a token."""
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
    """Parse a determiner, at most three modifiers (including a possessive *'s*), and a noun."""
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
    """Extend a noun phrase by determiners before its own: *the two boys*, *all my friends*."""
    if own is None:
        return None
    first = own.first
    while first > 0 and tokens[first - 1].low in words.DETERMINERS - words.SINGULAR_DETERMINERS:
        first -= 1
    return msgspec.structs.replace(own, first=first)


def _with_number(tokens: Sequence[Token], first: int, last: int) -> Subject | None:
    """Return the noun phrase with its number; None if determiner and noun disagree or leave it open."""
    determiner, head = tokens[first].low, tokens[last].low
    plural = is_plural(head)
    if head in words.COLLECTIVES or head in words.INVARIANT or (plural and tokens[last].raw[0].isupper()):
        return None  # *my family is* and *are*; *the Netherlands is*, *the Simpsons are*
    if head in words.UNITS and (determiner in words.PLURAL_DETERMINERS or determiner.isdigit()):
        return None
    possessive = any(token.low == "'s" for token in tokens[first:last])
    # The possessor's determiner does not fix the number of the noun: *a friend's parents*.
    if determiner in words.SINGULAR_DETERMINERS and not possessive:
        # *this news* is singular; *every children* is a mistake outside the taxonomy.
        return None if plural else Subject(first, last, "3sg", plural=False)
    if (determiner in words.PLURAL_DETERMINERS or (determiner.isdigit() and determiner != "1")) and not possessive:
        return Subject(first, last, "2sg", plural=True) if plural else None
    return Subject(first, last, "2sg" if plural else "3sg", plural)


def is_plural(noun: str) -> bool:
    """Whether a noun is plural, by its ending or the list of irregular plurals."""
    noun = noun.split("-", maxsplit=1)[0] if noun.endswith(("-in-law", "-by")) else noun.rsplit("-", 1)[-1]
    if noun in words.IRREGULAR_PLURALS:
        return True
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and noun not in words.SINGULAR_IN_S


def _name(tokens: Sequence[Token], last: int) -> Subject | None:
    """Parse a name: one to three words with capitals or of a script without them; or *Children* at the start."""
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
        # At the start of a sentence a plural noun and a name in *s* look alike: *Dogs like …*, *James likes …*.
        return None
    return Subject(first, last, "3sg", plural=False)


def _joined(tokens: Sequence[Token], own: Subject, begin: int | None = None) -> Subject | None:
    """Parse two subjects joined by *and*, of which the first begins a clause (or is at ``begin``)."""
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
    """Parse two nouns under one determiner: *my mother and father*."""
    if last < _SHORTEST_PAIR - 1 or tokens[last - 1].low != "and" or not _is_noun(tokens[last]):
        return None
    first = _noun_phrase(tokens, last - 2)
    return Subject(first.first, last, "2sg", plural=True) if first and _begins(tokens, first.first) else None


def _begins(tokens: Sequence[Token], at: int) -> bool:
    """Whether two joined subjects can begin with this token: at a clause's start, or after a question's helper."""
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
    """Whether a noun is a possessor: *the boys' room*, *the children's room*."""
    return at + 1 < len(tokens) and not tokens[at + 1].gap and tokens[at + 1].low in {"'s", "'", "’"}


def _may_begin(tokens: Sequence[Token], own: Subject) -> bool:
    """Whether a subject is possible at its position; *I*, *he* and *they* are unless they follow a preposition."""
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
