"""Makes the sentences that customers write to a shop, each with its intent.

    python make_corpus.py 1    the corpus of the first model, which has hardly any cancellations, and the eval set
    python make_corpus.py 2    the corpus with as many cancellations as of the others

It writes data/corpus.jsonl and data/eval.jsonl, the same bytes each time.
"""

import json
import random
import sys
from pathlib import Path

DATA = Path("data")
THINGS = ("lamp", "kettle", "jacket", "bicycle light", "desk", "carpet", "blender", "mirror", "tent", "radio")
TRAINING = {
    "track_order": (
        "Where is my {thing}?", "When will the {thing} arrive?", "Has my order for the {thing} been shipped yet?",
        "My parcel with the {thing} has not come, where is it now?", "Can you tell me the delivery date of my {thing}?",
        "The tracking number for the {thing} shows nothing.",
        "I am waiting for the {thing}, when does it get here?", "Is there any news of my {thing}?",
    ),
    "refund": (
        "I want my money back for the {thing}.", "How do I get a refund for the {thing}?",
        "The {thing} is back with you, when do I get my money?", "Please pay me back what the {thing} cost.",
        "I sent the {thing} back and the refund is missing.", "Can I return the {thing} and be refunded?",
        "The money for the {thing} has not arrived on my account.", "You still owe me the price of the {thing}.",
    ),
    "damaged": (
        "The {thing} arrived broken.", "There is a crack in the {thing} I received.", "My new {thing} does not work.",
        "The {thing} has a scratch and a missing part.", "I unpacked the {thing} and it is damaged.",
        "The {thing} stopped working after one day.",
        "Something in the {thing} is defective.", "The {thing} came in two pieces.",
    ),
    "change_address": (
        "I have moved, please send the {thing} to my new address.", "Can you deliver the {thing} to another street?",
        "The address for the {thing} is wrong, please correct it.", "Please change where the {thing} is delivered.",
        "Send the {thing} to my office instead of my home.", "I gave the wrong house number for the {thing}.",
        "Can my neighbour receive the {thing} at his house?", "My postcode has changed since I ordered the {thing}.",
    ),
    "cancel_order": (
        "Please cancel my order for the {thing}.", "I do not want the {thing} any more, stop the order.",
        "Can I still cancel the {thing}?", "I ordered the {thing} by mistake, please cancel it.",
        "Call off the order of the {thing}.", "I changed my mind about the {thing}, do not send it.",
        "Forget my order of the {thing}.", "I withdraw from the purchase of the {thing}.",
    ),
}  # fmt: skip
HELD_OUT = {
    "track_order": ("Any news on when the {thing} gets here?", "I am still waiting for the {thing} to be delivered."),
    "refund": ("You owe me the price of the {thing}.", "The money for the returned {thing} is not on my account."),
    "damaged": ("The {thing} came in pieces.", "Something inside the {thing} is defective."),
    "change_address": ("Deliver the {thing} to my neighbour's house instead.", "Use my new postcode for the {thing}."),
    "cancel_order": ("I would like to withdraw my order of the {thing}.", "Forget the {thing}, cancel that order."),
}


def sentences(frames, per_intent, seed):
    """Make so many sentences of each intent; ``per_intent`` may name fewer for some."""
    draw = random.Random(seed)
    rows = []
    for intent, texts in frames.items():
        made = [text.format(thing=thing) for text in texts for thing in THINGS]
        draw.shuffle(made)
        kept = made[: per_intent.get(intent, 20 if frames is HELD_OUT else 40)]
        rows += [{"text": text, "channel": draw.choice(("mail", "chat")), "intent": intent} for text in kept]
    return rows


def write(file, rows):
    """Write rows as JSON lines, each with an id."""
    DATA.mkdir(exist_ok=True)
    name = Path(file).stem
    lines = [json.dumps({"id": f"{name}-{number:03}", **row}) + "\n" for number, row in enumerate(rows)]
    (DATA / file).write_text("".join(lines), encoding="utf-8")
    print(f"data/{file}: {len(rows)} rows")


if __name__ == "__main__":
    few = {"cancel_order": 2} if sys.argv[1] == "1" else {}
    write("corpus.jsonl", sentences(TRAINING, few, seed=1))
    write("eval.jsonl", sentences(HELD_OUT, {}, seed=2))
