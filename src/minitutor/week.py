"""A week of learners, simulated: a good model comes in step by step, a weekend is another thing, a bad one ends itself.

Every step is skipped where the ledger or the traces say that it is done. It decides nothing about models or
arms: the gate and the server do.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from typing import Final, NamedTuple

from minitutor.facts import Facts, answered, facts
from minitutor.steps import say, step

INCIDENT: Final = "Yesterday he goed to school."
"""What the learner who complains had written."""
LADDER: Final = "data/ladder.toml"
PLANS: Final = 0.5
"""Share of a weekend's sentences that are plans for it."""
_PATIENCE: Final = 20.0
"""Seconds the server is given to decide about a canary once all of its traffic was sent."""


class Sizes(NamedTuple):
    """How many sentences a day; a drift report needs 315 to tell anything of the verbs."""

    weekday: int = 500
    canary: int = 1500
    """So many that 2 pp can be told apart from chance on the first day, or the second at the latest."""
    weekend: int = 600


QUICK: Final = Sizes(330, 700, 400)
"""Enough where one model makes no mistake at all."""


def monday(url: str, good: str | None, sizes: Sizes) -> None:
    """A learner complains; where there is a better entry, it is asked in shadow from this day on."""
    known = facts()
    if good is not None and known.tried("shadow", good) is None:
        say("the week begins: every request is copied to the adapter, and no learner sees what it says")
        step("spine", "route", "shadow", good[:12], "--reason", "would it have said went?")
    _day(url, Day(known.week()[0], sizes.weekday, asking=INCIDENT))


def tuesday_to_friday(url: str, good: str | None, sizes: Sizes) -> bool:
    """The entry in shadow, then as a canary; returns whether it is in production.

    Where the gate refused it, nothing else is tried out and the week ends here.
    """
    if good is None:
        return False
    days = facts().week()
    for day in days[1:3]:
        _day(url, Day(day, sizes.weekday))
    if facts().tried("canary", good) is None:
        step("spine", "route", "report")
        say("right where the other was wrong: learners get it, step by step, as long as it does no harm")
        step("spine", "route", "canary", good[:12], "--steps", LADDER, "--reason", "right about went in shadow")
    for day in days[3:5]:
        _day(url, Day(day, sizes.canary))
    known = facts()
    if known.production == good and days[5].isoformat() in known.reported:
        return True
    step("spine", "drift", "show")
    return _over(good).production == good


def saturday(url: str, sizes: Sizes) -> None:
    """Half of a day's sentences are plans, in the future tense."""
    known = facts()
    day = known.week()[5]
    if day.isoformat() in known.reported:
        return
    say(f"{day:%A}: half of what learners write are plans for the weekend")
    _day(url, Day(day, sizes.weekend, weekend=PLANS))


def sunday(url: str, bad: str | None, sizes: Sizes) -> None:
    """A candidate that passed the gate meets what it was not asked there."""
    known = facts()
    if bad is not None and known.tried("canary", bad) is None:
        say("it passed the gate, so learners get it, on the same ladder")
        step("spine", "route", "canary", bad[:12], "--steps", LADDER, "--reason", "trained on the weekend")
    _day(url, Day(known.week()[6], sizes.weekend, weekend=PLANS))
    if bad is not None:
        _over(bad)


class Day(NamedTuple):
    """What learners do on a day."""

    day: date
    n: int
    weekend: float = 0.0
    asking: str = ""


def _day(url: str, wanted: Day) -> None:
    """Replay a day, or what an interrupted replay left of it, and have its drift reported."""
    day = wanted.day.isoformat()
    if day in facts().reported:
        return
    done = answered(wanted.day)
    if done < wanted.n:
        words = ["--url", url, "--day", day, "--n", str(wanted.n)]
        words += ["--skip", str(done)] if done else []
        words += ["--weekend", str(wanted.weekend)] if wanted.weekend else []
        words += ["--asking", wanted.asking] if wanted.asking else []
        step("minitutor", "replay", *words)
    step("spine", "drift", "report", "--day", day, mute=not wanted.weekend)


def _over(sha: str) -> Facts:
    """What the ledger says once the server has decided about a canary, or has had its time."""
    deadline = time.monotonic() + _PATIENCE
    while (known := facts()).trying(sha) and time.monotonic() < deadline:
        time.sleep(0.5)
    step("spine", "history", "--ref", sha[:12], "--limit", "4")
    if known.trying(sha):
        print("the server has not decided: `spine route show` says what it waits for", file=sys.stderr)
    return known
