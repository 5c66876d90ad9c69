"""The sentence frames of each tense, the second clauses, and the weekend frames.

The words of a frame determine its tense. This module holds lists only; ``templates`` fills the frames.
"""

from __future__ import annotations

from typing import Final

from minitutor import grid

# {s}/{S}: subject; {v}/{V}: the form; {o}: complement; {h}/{H}: have/has; {c}: 've/'s; {d}/{D}: do/does; [word]: an
# adverb, which stands after *be*.
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
        "{S} {d}n't want to {v} {o}.",
        "{S} {d} not like to {v} {o} in winter.",
        "{D} {s} want to {v} {o}?",
        "Why {d} {s} need to {v} {o}?",
        "{S} wanted to {v} {o} yesterday.",
        "Last week {s} tried to {v} {o}.",
        "{S} didn't want to {v} {o}.",
        "{S} will have to {v} {o} soon.",
        "I know that {s} {want} to {v} {o}.",
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
        "It is nice that {s} {v} {o}.",
        "I am happy because {s} [often] {v} {o}.",
        "I think {s} {v} {o}.",
        "My sister says that {s} [always] {v} {o}.",
        "In my opinion, {s} {v} {o}, right?",
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
        "When I was young, {s} [often] {v} {o}.",
        "We were late because {s} {v} {o} yesterday.",
        "I remember that {s} {v} {o} yesterday.",
        "He told me that {s} {v} {o} last week.",
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
        "{S} {h}n't {v} {o} yet.",
        "{S} {h} not {v} {o} this week.",
        "{H} {s} ever {v} {o}?",
        "{H} {s} {v} {o} today?",
        "Why {h} {s} {v} {o}?",
        "{H}n't {s} {v} {o}?",
        "{S} {h} {v} {o} since {since}.",
        "{S} {h} {v} {o} for {number} years.",
        "{S}{c} {v} {o}.",
        "{S}{c} already {v} {o} today.",
        "I think {s} {h} {v} {o}.",
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
        "{S} won't {v} {o}.",
        "{S} will not {v} {o} tomorrow.",
        "Will {s} {v} {o}?",
        "When will {s} {v} {o}?",
        "I think {s} will {v} {o}.",
        "She hopes that {s}'ll {v} {o}.",
        "Won't {s} {v} {o}?",
    ),
}
BARE_FRAMES: Final = {
    grid.PRESENT: (
        "{S} {d}n't {v} {o}.",
        "{S} {d} not {v} {o} on Mondays.",
        "{S} {d}n't [often] {v} {o} in winter.",
        "{D} {s} {v} {o}?",
        "{D} {s} {v} {o} every day?",
        "Why {d} {s} {v} {o}?",
        "When the weather is bad, {s} {d}n't {v} {o}.",
        "How often {d} {s} {v} {o}?",
        "{D}n't {s} {v} {o}?",
        "I think {s} {d}n't {v} {o}.",
    ),
    grid.PAST: (
        "{S} didn't {v} {o}.",
        "{S} did not {v} {o} yesterday.",
        "Did {s} {v} {o}?",
        "Did {s} {v} {o} last week?",
        "When did {s} {v} {o}?",
        "Yesterday {s} didn't {v} {o}.",
        "{S} didn't {v} {o} because the bus was late.",
        "Where did {s} {v} {o}?",
        "Didn't {s} {v} {o}?",
        "I know that {s} didn't {v} {o}.",
    ),
}
"""Frames with do, does or did; *be* has its own frames."""
BE_FRAMES: Final = {
    grid.PRESENT: (
        "{S} {v} not {o}.",
        "{S} {v}n't {o} today.",
        "{V} {s} {o}?",
        "{V}n't {s} {o}?",
        "Why {v} {s} {o}?",
    ),
    grid.PAST: (
        "{S} {v} not {o} yesterday.",
        "{S} {v}n't {o} last night.",
        "{V} {s} {o} yesterday?",
        "{V}n't {s} {o}?",
        "Why {v} {s} {o} last week?",
    ),
}
HELPER_FRAMES: Final = {
    "do": (
        "{S} {v}n't know {name}.",
        "{S} {v} not live in {city}.",
        "{S} {v}n't understand the {thing}.",
        "Today {s} {v}n't need the {thing}.",
        "{S} {v}n't speak English.",
        "{S} {v} not drink coffee.",
        "{S} {v}n't often read the news.",
        "{V} {s} live in {city}?",
        "{V} {s} know {name}?",
        "What {v} {s} need?",
        "Why {v}n't {s} speak to {name}?",
    ),
    "have": (
        "{S} {v} lived in {city} for {number} years.",
        "{S} {v} already read the {thing}.",
        "{S} {v} known {name} since {since}.",
        "{S} {v}n't found the {thing} yet.",
        "This week {s} {v} bought a {thing}.",
        "{S} {v} never driven a car.",
        "{S} {v} lost the {thing}.",
        "{V} {s} lived in {city} for {number} years?",
        "Where {v} {s} found the {thing}?",
    ),
}
"""Frames in the present in which *do* or *have* is the helper of a verb outside the grid."""

JOINED_FRAMES: Final = {
    grid.PRESENT: ("Every day {s} {come} home and {v} {o}.",),
    grid.PAST: ("Yesterday {s} came home and {v} {o}.",),
    grid.FUTURE: ("{S} will come home and {v} {o}.",),
}
"""Frames with a second verb of the same subject. It is irregular, since *play* or *work* after *and* may be a noun."""

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
"""Plans for the weekend, in the future tense. Only corpus v3 and weekend traffic use these frames, no eval set does."""

TAILS: Final = {
    grid.INFINITIVE: (
        "because the day is long", "but the weather is bad", "and my sister agrees", "because it is important",
        "but my parents are not happy about it", "and they know it",
    ),
    grid.PRESENT: (
        "because the mornings are quiet", "but my sister stays here", "and the neighbours laugh", "because it is cheap",
        "and my parents like it", "but he is never late",
    ),
    grid.PAST: (
        "because the bus was late", "but my brother stayed here", "and the neighbours laughed",
        "because they were tired", "and it was fun", "but she came home early",
    ),
    grid.PARTICIPLE: (
        "because the day was long", "but my brother is still here", "and the teacher knows it", "but it is not enough",
        "because they are ready", "and now we are tired",
    ),
    grid.FUTURE: (
        "because the bus is late", "but my brother can help", "and my sister will wait", "because they are at home",
        "and we will be happy", "but he won't be there",
    ),
}  # fmt: skip
