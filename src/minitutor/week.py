"""The demo's simulated week: a good model is rolled out, weekend traffic drifts, and a bad model's canary is aborted.

Every step that the ledger or the traces show as done is skipped. The decisions about models and arms are made by the
gate and the server, not here.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from typing import Final, NamedTuple

from minitutor.facts import Facts, answered, facts
from minitutor.steps import say, step

INCIDENT: Final = "Yesterday he goed to school."
"""The sentence of the learner who complains."""
LADDER: Final = "data/ladder.toml"
PLANS: Final = 0.5
"""Share of a weekend's sentences that are plans for the weekend."""
_PATIENCE: Final = 20.0
"""Seconds to wait for the server's decision about a canary after all of its traffic has been sent."""


class Sizes(NamedTuple):
    """Sentences per day; the drift of verbs needs at least 315."""

    weekday: int = 500
    canary: int = 1500
    """Enough to decide a difference of 2 percentage points on the first day, or on the second at the latest."""
    weekend: int = 600


QUICK: Final = Sizes(330, 700, 400)
"""Enough where one of the models makes no mistakes at all."""


def monday(url: str, good: str | None, sizes: Sizes) -> None:
    """Replay Monday, when a learner complains; ``good`` runs in shadow from this day on."""
    known = facts()
    if good is not None and known.tried("shadow", good) is None:
        say("Monday: every request is also sent to the LoRA adapter in shadow; learners do not see its answers.")
        step("spine", "route", "shadow", good[:12], "--reason", "does it correct goed to went?")
    _replay_day(url, Day(known.week()[0], sizes.weekday, asking=INCIDENT))


def tuesday_to_friday(url: str, good: str | None, sizes: Sizes) -> bool:
    """Replay Tuesday to Friday: ``good`` in shadow, then as a canary; returns whether it reached production.

    Without ``good``, because it failed the gate, the week ends on Monday.
    """
    if good is None:
        return False
    days = facts().week()
    for day in days[1:3]:
        _replay_day(url, Day(day, sizes.weekday))
    if facts().tried("canary", good) is None:
        step("spine", "route", "report")
        say("Thursday: it was right where v0.1.0 was wrong. A canary now sends it a growing share of the learners.")
        step("spine", "route", "canary", good[:12], "--steps", LADDER, "--reason", "better than v0.1.0 in shadow")
    for day in days[3:5]:
        _replay_day(url, Day(day, sizes.canary))
    known = facts()
    if known.production == good and days[5].isoformat() in known.reported:
        return True
    step("spine", "drift", "show")
    return _await_decision(good).production == good


def saturday(url: str, sizes: Sizes) -> None:
    """Replay Saturday, when half of the sentences are plans for the weekend, in the future tense."""
    known = facts()
    day = known.week()[5]
    if day.isoformat() in known.reported:
        return
    say("Saturday: half of the learners' sentences are plans for the weekend, and the drift report notices.")
    _replay_day(url, Day(day, sizes.weekend, weekend=PLANS))


def sunday(url: str, bad: str | None, sizes: Sizes) -> None:
    """Replay Sunday: a candidate that passed the gate meets sentences that the gate's eval set does not contain."""
    known = facts()
    if bad is not None and known.tried("canary", bad) is None:
        say("Sunday: the candidate passed the gate and starts as a canary, with the same steps.")
        step("spine", "route", "canary", bad[:12], "--steps", LADDER, "--reason", "trained on plans for the weekend")
    _replay_day(url, Day(known.week()[6], sizes.weekend, weekend=PLANS))
    if bad is not None:
        _await_decision(bad)


class Day(NamedTuple):
    """The traffic of one day: ``n`` sentences, the share of weekend plans, and one sentence to include."""

    day: date
    n: int
    weekend: float = 0.0
    asking: str = ""


def _replay_day(url: str, wanted: Day) -> None:
    """Replay a day, or the rest of it after an interruption, and report its drift."""
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


def _await_decision(sha: str) -> Facts:
    """Wait until the server has decided about a canary, at most ``_PATIENCE`` seconds; returns the ledger's facts."""
    deadline = time.monotonic() + _PATIENCE
    while (known := facts()).trying(sha) and time.monotonic() < deadline:
        time.sleep(0.5)
    step("spine", "history", "--ref", sha[:12], "--limit", "4")
    if known.trying(sha):
        print("the canary is still undecided; `spine route show` says what it is waiting for", file=sys.stderr)
    return known
