"""Open words: the names, places, things and times that sentences are filled with, and invented words.

There are two lists of each kind. Corpora and learners draw from the first. Half of an eval set draws from the second,
to test words that no corpus contains. This module does not know sentences.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

INVENTED_SHARE: Final = 0.25
"""Share of names, cities and nouns that are invented from syllables."""

_SEEN: Final = {
    "name": "Anna|Ben|Carla|David|Emma|Farid|Grace|Hugo|Irina|Jack|Kenji|Lucía|Marek|Nora|Olga|Pablo|Rosa|Sam|Tarek|"
    "Ulla|Viktor|Wendy|Yusuf|Zoe|María|José|Ahmed|Chloé|Lin|Priya|Tom|James|Mr Brown|Mrs Green|Mr Kowalski|Miss Lee|"
    "Ana María|John Smith|Luis|Sara|Nicolás|Yuki|Andrea|Thomas|Ali|Mina|Leo|Clara|Diego|Hans|Eva Müller|Aunt Mary",
    "noun": "brother|sister|mother|teacher|father|neighbour|doctor|friend|son|girl|cousin|driver|uncle|boss|cat|"
    "dog|baby|"
    "student|grandmother|boy|player|worker|king|actor|farmer|guest|singer|cook|aunt|class|horse|bird|"
    "gardener|tourist|daughter|captain|artist|company|bus driver|football player",
    "plural": "children|people|women|men|parents|grandparents|policemen",
    "adjective": "old|young|little|new|best|tall|other|happy|first|small|friendly",
    "city": "Madrid|London|Paris|Berlin|Rome|Lisbon|Vienna|Cairo|Tokyo|Bogotá|Lima|Oslo|Prague|Dublin|Boston|Seville",
    "place": "museum|park|market|station|beach|library|cinema|hospital|bank|café|airport|farm|river|bridge|"
    "theatre|hotel|"
    "restaurant|bakery|church|zoo|stadium|castle|factory|old town",
    "thing": "book|bike|car|letter|picture|phone|bag|ticket|map|key|box|table|coat|hat|cake|present|guitar|camera|lamp|"
    "red shirt|small radio|newspaper|football|cup",
    "topic": "football|music|history|maths|English|chess|films|work|science|art|the news|the weather",
    "clock": "at 7 o'clock|at 6:15|at 10:45|at noon|after 5 p.m.|before 9|at half past two|around 11:00",
    "number": "2|3|4|5|6|8|10|12|15|20|30|100",
    "since": "Monday|last week|2019|March|the summer|Christmas|yesterday morning|1998",
    "food": "bread|rice|fish|soup|cheese|an apple|some cake|a sandwich|pasta|two eggs|chocolate|a banana|salad",
}
_UNSEEN: Final = {
    "name": "Łukasz|Ingrid|Mateo|Ngozi|Siobhán|Dmitri|Aiko|Björn|Fatima|Giulia|Ravi|Nguyễn|Ewa|Tariq|Océane|"
    "Milo|Željko|"
    "Beatriz|Kofi|Hanna|Stefan|Miriam|Otto|Peter|Mr Okafor|Mrs Lindqvist|Dr Ivanova|Juan Carlos|Mary Jane|Carlos|Iris",
    "noun": "nephew|baker|landlord|pilot|nurse|grandfather|colleague|sailor|flatmate|lawyer|husband|manager|"
    "parrot|puppy|"
    "waiter|wife|visitor|niece|soldier|dentist|plumber|painter|twin|rabbit|police officer|shop assistant|witness",
    "plural": "grandchildren|firemen|mice",
    "adjective": "shy|tired|rich|elderly|noisy|funny|third|clever|Polish",
    "city": "Kraków|Nairobi|Porto|Zürich|Hanoi|Quito|Ottawa|Helsinki|Győr|San José|Leeds|Kyoto|Aarhus|Naples",
    "place": "gallery|harbour|pharmacy|mall|gym|temple|village|mountain hut|office block|playground|laundry|aquarium|"
    "courthouse|vineyard",
    "thing": "umbrella|scooter|violin|parcel|laptop|wallet|blanket|poster|suitcase|sofa|ring|kite|drawer|blue sweater|"
    "broken clock|magazine|tent|pillow",
    "topic": "geography|ballet|poetry|rugby|jazz|the elections|politics|gardening books|the strike|robots",
    "clock": "at 8:30|at gate C-12|on platform 9|at 5 o'clock sharp|at midnight|after 18:00|before 7:20|"
    "at a quarter to nine",
    "number": "7|9|11|13|17|25|48|60|250",
    "since": "Thursday|2007|October|the holidays|Easter|this morning|1985|the age of six",
    "food": "noodles|mango|lentils|an omelette|some yoghurt|a pancake|mussels|three olives|spinach|a pear",
}
_ONSETS: Final = [
    "b",
    "br",
    "ch",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
]
_VOWELS: Final = ["a", "e", "i", "o", "u", "ai", "ea", "oo", "ou"]
_CODAS: Final = ["", "b", "ck", "d", "g", "l", "ll", "m", "n", "nd", "p", "r", "rt", "t", "x"]
_SLOT: Final = re.compile(r"\{(name|person|people|city|place|thing|topic|clock|number|since|food)\}")
_ONE: Final = [
    "my",
    "the",
    "her",
    "our",
    "his",
    "their",
    "your",
    "a",
    "this",
    "that",
    "the",
    "my",
    "{name}'s",
    "my friend's",
]
_SEVERAL: Final = [
    "my",
    "the",
    "her",
    "our",
    "his",
    "their",
    "your",
    "two",
    "these",
    "those",
    "some",
    "many",
    "all",
    "the",
    "my",
    "{name}'s",
    "several",
    "three",
]
_ADJECTIVE_SHARE: Final = 0.25
_IRREGULAR_SHARE: Final = 0.2


class Vocabulary(NamedTuple):
    """The list to draw words from, and the source of randomness."""

    draw: random.Random
    seen: bool = True
    invented: float = INVENTED_SHARE

    def one_of(self, options: Sequence[str]) -> str:
        """Return one of several options."""
        return options[int(self.draw.random() * len(options))]

    def word(self, kind: str) -> str:
        """Return a word of a kind; some names, cities, places, things and nouns are invented."""
        if kind == "person":
            return self._phrase(_ONE, self.word("noun"))
        if kind == "people":
            return self._people()
        if kind in {"name", "city", "place", "thing", "noun"} and self.draw.random() < self.invented:
            made = self.invent()
            return made.capitalize() if kind in {"name", "city"} else made
        return self._listed(kind)

    def _listed(self, kind: str) -> str:
        return self.filled(self.one_of((_SEEN if self.seen else _UNSEEN)[kind].split("|")))

    def _people(self) -> str:
        """Return a plural noun phrase."""
        if self.draw.random() < _IRREGULAR_SHARE:
            return self._phrase(_SEVERAL, self._listed("plural"))
        return self._phrase(_SEVERAL, _plural(self.word("noun")))

    def _phrase(self, determiners: Sequence[str], noun: str) -> str:
        """Return a noun phrase: a determiner, sometimes an adjective, and a noun."""
        adjective = f"{self._listed('adjective')} " if self.draw.random() < _ADJECTIVE_SHARE else ""
        determiner = self.filled(self.one_of(determiners))
        first = (adjective or noun)[0].lower()
        return f"{'an' if determiner == 'a' and first in 'aeiou' else determiner} {adjective}{noun}"

    def invent(self) -> str:
        """Return an invented word of two or three syllables that looks like a singular noun."""
        while True:
            syllables = 2 + (self.draw.random() < 0.3)
            word = "".join(self.one_of(_ONSETS) + self.one_of(_VOWELS) for _ in range(syllables)) + self.one_of(_CODAS)
            if not word.endswith(("ed", "i", "u", "y", "x")):
                return word

    def filled(self, pattern: str) -> str:
        """Fill the slots of a pattern, in order."""
        return _SLOT.sub(lambda slot: self.word(slot[1]), pattern)


def _plural(noun: str) -> str:
    """Return a regular noun's plural."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def is_open(pattern: str) -> bool:
    """Whether a pattern has a slot for an open word."""
    return _SLOT.search(pattern) is not None
