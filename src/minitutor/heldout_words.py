"""People, places, times and surrounding texts of the held-out sentences, and the seeded choices among them.

Lists are separated by ``|``. In surrounding texts ``{N}`` and ``{n}`` are names, ``{k}`` is the clause under test,
``{K}`` the same with a capital, ``{q}`` and ``{Q}`` the question under test.
"""

from __future__ import annotations

import random
from typing import Final, TypeVar

import msgspec

Item = TypeVar("Item")

WOMEN: Final = (
    "Zoë|Ngọc|Aoife|Siobhán|Agnieszka|Chloé|Ayşe|Inés|Márta|Freya|Yuki|Amara|Leïla|Fatima|Ingrid|Nina|Bożena|"
    "Mei-Ling|Mrs Okafor|Ms D'Angelo|Renée|Þóra"
)
MEN: Final = (
    "Łukasz|José|Jürgen|Björn|Otto|Kwame|Dmitri|Paweł|Søren|Raúl|Tomáš|Ahmed|Hiroshi|Luca|Thiago|Noël|Jean-Luc|"
    "Mr O'Brien|Dr Nguyễn|Çağan|Oisín|Štefan"
)
TOWNS: Final = (
    "Kraków|Zürich|Lisbon|São Paulo|Reykjavík|Malmö|Galway|Łódź|Đà Nẵng|Stratford-upon-Avon|Kyoto|Valparaíso|"
    "Eskişehir|Dunmorley|Port Vessel|King's Cross|Aix-en-Provence|Córdoba"
)
SINGULAR: Final = {
    "his": "my brother|the old baker|the new student|our Spanish teacher|the man from the kiosk|Zoë's uncle|"
    "my father-in-law|the taxi driver|my best friend|the boy in room 12",
    "her": "my flatmate|our neighbour|my sister-in-law|the girl with the red bag|my older sister|the tall waitress|"
    "Björn's wife|the woman from flat 3B|my mother",
}
PLURAL: Final = (
    "my parents|the twins|our neighbours|the students|two of my colleagues|my cousins|Björn's friends|"
    "the people next door|the girls from our class|my sisters|the two nurses|the boys from flat 3B"
)
CHILDREN: Final = "the children|the kids from our street"
CHILD_VERBS: Final = frozenset({"play", "watch", "eat", "listen", "like", "walk"})

HABIT_END: Final = "every Saturday|on Fridays|at the weekend|most days|twice a week|every other Tuesday|in winter"
HABIT_FRONT: Final = "Every Saturday|On Fridays|At the weekend|In winter|Most days|Twice a week"
HABIT_LOOSE: Final = "on Fridays|at the weekend|these days|in winter|during the week"
HABIT_NOT: Final = "on Fridays|at the weekend|in winter|anymore|these days|"
STATE_END: Final = {
    "": "now|these days|nowadays",
    "like": "these days|now|nowadays",
    "want": "now|these days|this year|at the moment",
    "have": "now|these days|this year|at the moment",
    "look": "now|these days|at the moment",
    "be": "at the moment|right now|today|now",
}
STATE_FRONT: Final = {
    "": "These days|Nowadays",
    "want": "These days|This year|At the moment",
    "have": "These days|This year|At the moment",
    "look": "These days|At the moment",
    "be": "At the moment|Right now|Today",
}
STATE_NOT: Final = "anymore|these days||"
PAST_END: Final = {
    "": "yesterday|last Friday|last weekend|two days ago|on 14 March|last Tuesday|the day before yesterday|"
    "last week|on Thursday 3 May|three weeks ago",
    "want": "last year|back then|in 2019|two years ago|before the move",
    "like": "at first|back then|in those days|last year",
}
PAST_FRONT: Final = {
    "": "Yesterday|Last Friday|Last weekend|Two days ago|On 14 March|Last Tuesday|A week ago|On the last day of May",
    "want": "Last year|Back then|In 2019|Two years ago",
    "like": "At first|Back then|In those days|Last year",
}
FUTURE_END: Final = {
    "": "tomorrow|next Friday|next weekend|on 14 March|the day after tomorrow|next week|next month|on Saturday",
    "want": "soon|in a year or two|sooner or later|one day",
    "like": "in the end|after a while|sooner or later|",
}
FUTURE_FRONT: Final = {
    "": "Tomorrow|Next Friday|On Saturday|Next week|In a few days|On 14 March",
    "want": "One day|In a year or two|Sooner or later",
    "like": "In the end|After a while|Sooner or later",
}
LONG_SINCE: Final = "since 2019|for ten years|for almost six years|since last year|for a long time|since 14 March 2016"
SHORT_SINCE: Final = "since Monday|for three days|since last Thursday|for a week|since 14 March"
TO_FRONT: Final = "This year|One day|Next summer"

NOT: Final = "n't|n't| not"
WILL_NOT: Final = "won't|won't|will not"
BEFORE_TO: Final = {
    "w": "want|would like",
    "v": "want",
    "p": "plan|hope",
    "d": "need|have",
    "l": "like|love",
    "t": "try",
    "s": "seem",
}
ADVERB_TO: Final = {"w": "really", "v": "really", "p": "still", "d": "also", "l": "also", "t": "always", "s": "always"}

REPORTS: Final = "{N} says that {k}.|{N} is sure that {k}.|My teacher thinks that {k}.|Everybody knows that {k}."
ASIDES: Final = {
    "1sg": "of course|on the other hand|however",
    "2sg": "who live on the third floor|who speak four languages|as {n} says",
    "3sg": "who lives on the third floor|who speaks four languages|a friend of {n}'s",
}
DASHES: Final = "believe it or not|and this is true|and I am not joking"
QUOTES: Final = (
    '"{K}," said {N}.|"{K}," {N} explained.|{N} wrote: "{K}."|“{K}”, says the note on the fridge.|{N} answered: “{K}!”|'
    "‘{K},’ {N} told the others.|On page 3, it says: “{K}.”"
)
ASK_QUOTES: Final = '{N} asked: "{Q}?"|“{Q}?” {N} wanted to know.|The first question in the email was: “{Q}?”'
CALLS: Final = "{N}, {q}?|Excuse me, {q}?|Sorry, {q}?|One more question: {q}?"
BRACKETS: Final = {
    "past_simple": "({K}.)|The story is short ({k}).|Here is the news from our street ({k}).",
    "": "({K}.)|One more thing ({k}).|{N} knows all about it ({k}).",
}
TAILS: Final = {
    "past_simple": "{K}, but nobody told {N}.|{K}, but {N} only heard about it later.|{K}, and {N} was not surprised.|"
    "{K}, but the others didn't know that.|{K} and never told {N} about it.|{K}, and {N} wrote about it in an email.|"
    "{K}, but it didn't help.",
    "present_simple": "{K}, and nobody minds.|{K}, but {N} doesn't know that.|{K}, and {N} thinks it is funny.|"
    "{K}, but that is not a problem for {N}.|{K}, and {N} likes that.|{K}, but it doesn't help.",
    "simple_future": "{K}, but nobody knows it yet.|{K}, and {N} is already excited.|{K}, but {N} doesn't mind.|"
    "{K}, and {N} wants to know why.|{K}, but it won't help.",
    "past_participle": "{K}, and {N} knows it.|{K}, but {N} doesn't believe it.|{K}, so {N} is happy.|"
    "{K}, and {N} finds that strange.|{K}, but it doesn't help.",
    "infinitive": "{K}, but {N} doesn't understand why.|{K}, and {N} knows it.|{K}, and {N} finds it strange.|"
    "{K}, but {N} has other plans.",
}
BECAUSES: Final = {
    "past_simple": "{N} was surprised because {k}.|The others were a bit worried because {k}.|"
    "{N} was in a bad mood because {k}.",
    "": "{N} is surprised because {k}.|The others are a bit worried because {k}.|{N} laughs because {k}.",
}
OPENERS: Final = {
    "past_simple": "When the buses were on strike, {k}.|While {N} was abroad, {k}.|When {N} was away, {k}.|It was "
    "late, but {k}.",
    "present_simple": "When {N} is away, {k}.|Although {N} finds it strange, {k}.|If {N} is busy, {k}.|It sounds "
    "strange, but {k}.",
    "simple_future": "If the weather is good, {k}.|When {N} gets back, {k}.|As soon as the exams are over, {k}.|"
    "If {N} agrees, {k}.",
    "": "If {N} is right, {k}.|It sounds strange, but {k}.|Although nobody believes it, {k}.|As {N} knows, {k}.",
}
NOT_TAILS: Final = {
    "past_simple": "{K}, and nobody knew why.|{K}, so {N} was surprised.",
    "": "{K}, and nobody knows why.|{K}, so {N} is surprised.",
}
_EMAIL: Final = (
    "At the end of a very long email about the rent, the broken lift and the 24 new bicycles in the yard, {N} gives us "
    "the most important news of the month in one short sentence: {k}, and that is the whole truth."
)
LONGS: Final = {
    "past_simple": "Our trip was a disaster: the hotel was full, the taxi cost £60, two of the suitcases never "
    "arrived, "
    "and then, although {N} said it was a terrible idea, {k}.|It was the strangest week of the year – snow in May, no "
    "buses for three days, and a cat asleep in the post office – so nobody asked any questions about the news: {k}, "
    "and "
    "{N} knew about it from the beginning.|In the years before the new bridge was built and the rents became so high, "
    "when {N} still lived in the flat above the bakery, {k}, but nobody in the house, not even the caretaker on the "
    "ground floor, knew anything about it.",
    "present_simple": "Now that the new tram line is open and a single ticket costs only £2, {k}, and although {N} – a "
    "very patient person – finds it a bit strange, nobody else in the building is surprised.|{N} (the caretaker of "
    "our building, a friendly person with a very loud voice) says that life is full of small surprises, because {k}, "
    "and nobody can explain it.|" + _EMAIL,
    "simple_future": "If the weather is good and the 7:40 train is on time for once, {k}, and when the others finally "
    "arrive at the hotel with all the bags, the maps and the dog, they won't believe it.|The plan on the kitchen wall "
    "is very clear, even if {N} doesn't agree with every part of it (there are 14 points): {k}, and after that nobody "
    "will ask any more questions.|" + _EMAIL,
    "past_participle": "I don't know how to explain this to {N}, who is a very strict person and hates surprises of "
    "any "
    "kind, but {k}, and the people at the office (there are only seven of them) are already making jokes about it.|"
    + _EMAIL,
    "infinitive": "It is not a secret in our street, and even the man at the kiosk, who usually knows nothing, told "
    "{N} "
    "about it last week: {k}, and nobody in the building, except perhaps the old lady on the second floor, "
    "understands why.|" + _EMAIL,
}


class Subject(msgspec.Struct, frozen=True):
    """The subject of a clause; ``third`` if it is neither the speaker nor the person addressed."""

    text: str
    possessive: str
    pronoun: bool
    third: bool


class Dice:
    """Seeded random choices for one cell; remembers the names and towns used in the current sentence."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"minitutor.heldout|{seed}")  # noqa: S311 - not secret
        self._used: set[str] = set()

    def forget(self) -> None:
        """Start a new sentence, in which every name may be used again."""
        self._used.clear()

    def pick(self, items: list[Item]) -> Item:
        """Return one of the items."""
        return items[int(self._random.random() * len(items))]

    def word(self, listed: str) -> str:
        """Return one phrase of a ``|`` list; empty for an empty list."""
        return self.pick(listed.split("|"))

    def chance(self, share: float) -> bool:
        """Return True with the given probability."""
        return self._random.random() < share

    def shuffled(self, items: list[Item]) -> list[Item]:
        """Return the items in random order."""
        return [item for _, _, item in sorted((self._random.random(), at, item) for at, item in enumerate(items))]

    def fresh(self, listed: str) -> str:
        """Return a name or town that the current sentence does not contain yet."""
        word = self.pick([word for word in listed.split("|") if word not in self._used])
        self._used.add(word)
        return word

    def relative(self, listed: str) -> str:
        """Return a noun phrase; a name in it (*Zoë's uncle*) counts as used."""
        phrase = self.word(listed)
        self._used.add(phrase.partition("'s ")[0])
        return phrase

    def fill(self, text: str, possessive: str = "") -> str:
        """Fill in the names, towns and possessive of a text."""
        text = text.replace("{p}", possessive)
        names = f"{WOMEN}|{MEN}"
        for slot, listed in (("n", names), ("N", names), ("c", TOWNS)):
            while f"{{{slot}}}" in text:
                text = text.replace(f"{{{slot}}}", self.fresh(listed), 1)
        return text


def subject(dice: Dice, verb: str, person: str) -> Subject:
    """Return a subject of this grammatical person: a pronoun, name or noun phrase."""
    if person == "1sg":
        return Subject("I", "my", pronoun=True, third=False)
    if person == "2sg":
        if dice.chance(0.55):
            text, possessive = dice.pick([("you", "your"), ("we", "our"), ("they", "their")])
            return Subject(text, possessive, pronoun=True, third=text == "they")
        if dice.chance(0.3):
            return Subject(dice.fill("{n} and {n}"), "their", pronoun=False, third=True)
        child = verb in CHILD_VERBS and dice.chance(0.4)
        return Subject(dice.relative(CHILDREN if child else PLURAL), "their", pronoun=False, third=True)
    possessive = dice.pick(["his", "her"])
    if dice.chance(0.45):
        return Subject({"his": "he", "her": "she"}[possessive], possessive, pronoun=True, third=True)
    if dice.chance(0.5):
        return Subject(dice.fresh(MEN if possessive == "his" else WOMEN), possessive, False, True)
    return Subject(dice.relative(SINGULAR[possessive]), possessive, pronoun=False, third=True)
