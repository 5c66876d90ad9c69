"""What each verb can be followed by: the complements the sentences are filled with.

Complements hold no pronoun and no second verb, so a sentence has one verb that can be right or wrong.
"""

from __future__ import annotations

from typing import Final

_PLACES: Final = "at home|in the garden|with my friends|after lunch|in the city"

_COMPLEMENTS: Final = {
    "work": "at the office|in a hospital|for a small company|on the farm|with my brother|at the airport|in a shop|"
    "very hard|as a nurse|on a new project|from home|in the kitchen",
    "play": "football|the piano|with the dog|in the park|chess|tennis|with the children|the guitar|cards|basketball|"
    "outside|in a band",
    "walk": "to school|in the park|along the beach|to the station|with the dog|home|to the market|in the rain|"
    "up the hill|through the forest|to the office|very slowly",
    "talk": "to the teacher|about the weather|with my sister|on the phone|to my parents|about music|in class|"
    "with the doctor|about the film|very fast|to the children|about football",
    "listen": "to music|to the radio|to the teacher|to the news|to my parents|to the birds|to the story|carefully|"
    "to a podcast|to the rain|to old songs|in class",
    "watch": "a film|the news|television|the birds|a football match|the children|the sunset|a cartoon|the match|"
    "the sea|a play|old films",
    "study": "English|history|in the library|for the test|maths|at night|with my sister|the map|very hard|Spanish|"
    "for the exam|biology",
    "finish": "the homework|the book|the project|lunch|the letter|the race|the report|early|the soup|the painting|"
    "the exam|the game",
    "start": "a new book|the lesson|work|the car|a new job|early|the race|the project|the game|a new course|"
    "the engine|dinner",
    "look": "at the stars|at the map|out of the window|happy|for the keys|at the picture|tired|at the clock|"
    "for a job|at the sea|very nice|at the menu",
    "want": "a new bike|some water|a cup of tea|more time|a dog|the red coat|a sandwich|a quiet room|new shoes|"
    "a bigger house|an answer|some help",
    "like": "this song|hot coffee|the new teacher|the film|the sea|cold milk|the red coat|old songs|this town|"
    "the soup|the story|football",
    "be": "happy|at school|tired|ready|in the kitchen|late|very busy|at work|ill|hungry|in bed|at the station",
    "have": "a dog|lunch|a cold|a meeting|a lot of work|breakfast|a new bike|two brothers|time|a good idea|"
    "a headache|an English lesson",
    "do": "the homework|the dishes|the shopping|some exercise|a good job|the laundry|the work|yoga|a puzzle|"
    "the exercise|the cooking|nothing",
    "go": "to school|to the beach|home|to the market|to work|to the doctor|to bed early|to the cinema|by bus|"
    "to the station|to the park|to Madrid|to the library|to church",
    "come": "home|to the party|by train|to class|with my parents|late|to the office|from Spain|to dinner|by car|"
    "to the meeting|back early",
    "see": "the doctor|a film|the sea|the mountains|my parents|a bird|the teacher|the stars|an old friend|"
    "a rainbow|the problem|the match",
    "eat": "an apple|breakfast|some bread|fish|at a restaurant|lunch|too much|a sandwich|rice|the soup|"
    "chocolate|in the kitchen",
    "write": "a letter|an email|a story|to my parents|in the notebook|a poem|a long text|a report|the answer|"
    "about music|a song|the list",
}


def complements(verb: str) -> tuple[str, ...]:
    """Every complement of a verb, in a fixed order, the general ones last where they fit it."""
    general = () if verb in {"want", "like", "have", "finish", "start"} else tuple(_PLACES.split("|"))
    return tuple(dict.fromkeys((*_COMPLEMENTS[verb].split("|"), *general)))
