"""The complements of each verb, with which sentences are filled.

A complement contains no verb, so that exactly one verb of a sentence is under correction. A slot such as ``{place}`` is
filled from ``vocabulary``.
"""

from __future__ import annotations

from typing import Final

_PLACES: Final = "at home|in the garden|with my friends|after lunch|in {city}|near the {place}|with {name}"

_COMPLEMENTS: Final = {
    "work": "at the office|in a {place}|for a small company|on the farm|with {name}|at the {place}|in {city}|"
    "very hard|as a nurse|on a new {thing}|from home|in the kitchen|with {person}|{number} hours",
    "play": "football|the piano|with the dog|in the {place}|chess|tennis|with {people}|the guitar|cards|basketball|"
    "outside|in a band|with {name}|with a {thing}",
    "walk": "to school|in the {place}|along the beach|to the {place}|with the dog|home|to the market|in the rain|"
    "up the hill|through {city}|to the office|very slowly|with {person}|{number} kilometres",
    "talk": "to {person}|about the weather|with {name}|on the phone|to my parents|about {topic}|in class|"
    "with the doctor|about the {thing}|very fast|to {people}|about {city}",
    "listen": "to music|to the radio|to {person}|to the news|to {name}|to the birds|to the story|carefully|"
    "to a podcast|to the rain|to {people}|in class|to songs from {city}",
    "watch": "a film|the news|television|the birds|a football match|{people}|the sunset|a cartoon|the match|"
    "the sea|a film about {city}|old films|the {thing}|{name}",
    "study": "English|{topic}|in the {place}|for the test|maths|at night|with {name}|the map of {city}|"
    "very hard|Spanish|"
    "for the exam|biology|in {city}",
    "finish": "the homework|the {thing}|the project|lunch|the letter|the race|the report|early|the soup|the painting|"
    "the exam|the game|the {food}|the book about {city}",
    "start": "a new {thing}|the lesson|a club in {city}|the car|a new job|early|the race|the project|the game|"
    "a new course|"
    "the engine|dinner|a letter to {name}|a {place}",
    "look": "at the stars|at the {thing}|out of the window|happy|for the keys|at {name}|tired|at the clock|"
    "for a {thing}|at the sea|very nice|at the menu|for {person}|at the map of {city}",
    "want": "a new {thing}|some water|a cup of tea|more time|a dog|the red coat|{food}|a quiet room|new shoes|"
    "a bigger house|an answer|some help|a house in {city}|{number} tickets",
    "like": "this {thing}|hot coffee|{person}|the film|the sea|cold milk|{food}|old songs|{city}|"
    "the soup|the story|football|{name}|the {place}",
    "be": "happy|at school|tired|ready|in the {place}|late|very busy|at work|ill|hungry|in bed|at the {place}|"
    "in {city}|"
    "with {name}|near {city}|angry",
    "have": "a dog|lunch|a cold|a meeting|a lot of friends|breakfast|a new {thing}|two brothers|time|a good idea|"
    "a headache|an English lesson|{number} tickets|a house in {city}",
    "do": "the homework|the dishes|the shopping|some exercise|a good job|the laundry|{number} exercises|yoga|a puzzle|"
    "the exercise|the cooking|nothing|a course in {city}|a lot for {name}",
    "go": "to school|to the beach|home|to the {place}|to the shop|to the doctor|to bed early|to the cinema|by bus|"
    "to the station|to the park|to {city}|to the library|to church|to a {place} in {city}|with {name}",
    "come": "home|to the party|by train|to class|with {people}|late|to the office|from {city}|to dinner|by car|"
    "to the {place}|back early|with {name}|to {city}",
    "see": "the doctor|a film|the sea|the mountains|{person}|a bird|the {thing}|the stars|an old friend|"
    "a rainbow|the problem|the match|{name}|the {place}|{people}",
    "eat": "an apple|breakfast|some bread|{food}|at a restaurant|lunch|too much|a sandwich|rice|the soup|"
    "chocolate|in the kitchen|in a {place}|{food} with {name}",
    "write": "a letter|an email|a story|to {person}|in the notebook|a poem|a long text|a report|the answer|"
    "about {topic}|a song|the list|to {name}|about {city}|{number} letters",
}


def complements(verb: str) -> tuple[str, ...]:
    """Return every complement of a verb in a fixed order, with the general ones that fit it last."""
    general = () if verb in {"want", "like", "have", "finish", "start"} else tuple(_PLACES.split("|"))
    return tuple(dict.fromkeys((*_COMPLEMENTS[verb].split("|"), *general)))
