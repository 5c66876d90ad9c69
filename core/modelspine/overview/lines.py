"""The overview in words, one line for each thing an operator wants to know, the same in command line and console.

Pure. Ages are computed from the time it is given, so a caller that draws again shows current ages.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from modelspine.text import counted, short, visible
from modelspine.times import age
from modelspine.words import words

if TYPE_CHECKING:
    from modelspine.overview.day import DayFigures
    from modelspine.overview.glance import Glance

State = Literal["good", "warn", "bad", "muted", ""]
"""What a line says: in order, needs attention, is wrong, there is nothing to say, or a plain fact."""
NAMES = ("production", "rollout", "requests", "accuracy", "drift", "incidents", "holds", "servers", "money")
_DRIFT: dict[str, State] = {"stable": "good", "watch": "warn", "act": "bad", "damaged": "bad"}
_DRIFT_SAYS = {
    "stable": "inputs of {day} resemble the training data",
    "watch": "inputs of {day} differ somewhat from training",
    "act": "inputs of {day} drifted from training",
    "insufficient": "{day} had too few requests for a verdict",
    "damaged": "the report of {day} cannot be read",
}


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the overview."""

    name: str
    state: State
    text: str
    hint: str = ""
    """What to do, where there is something to do."""
    checked: bool = True
    """False where it could not be looked at."""


def facts(seen: Glance, day: DayFigures | None, now: datetime) -> tuple[Fact, ...]:
    """The lines of the overview, in the order of ``NAMES``; without the day's figures, some say that they are read."""
    found = [_production(seen, now), _rollout(seen, day, now), _requests(seen, now)]
    found += [_accuracy(day), _drift(day), _incidents(day)]
    return (*found, _holds(seen, now), _servers(seen, now), _money(day))


def sentence(found: tuple[Fact, ...]) -> str:
    """The whole overview in one sentence."""
    wrong = [fact.name for fact in found if fact.state in ("warn", "bad") and fact.checked]
    missing = [fact.name for fact in found if not fact.checked]
    parts = []
    if wrong:
        verb = "needs" if len(wrong) == 1 and not wrong[0].endswith("s") else "need"  # as in "incidents need"
        parts.append(f"{_listed(wrong)} {verb} attention")
    else:
        parts.append("nothing that was checked needs attention" if missing else "nothing needs attention")
    if missing:
        parts.append(f"not checked: {', '.join(missing)}")
    whole = "; ".join(parts)
    return f"{whole[0].upper()}{whole[1:]}."


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def minute(at: str) -> str:
    """A time of the ledger to the minute, in UTC."""
    return f"{visible(at, 40)[:16].replace('T', ' ')}Z"


def ago(at: str, now: datetime) -> str:
    """How long ago a time of the ledger was; ``?`` where it is none."""
    try:
        return age(at, now)
    except ValueError:  # a damaged ledger may hold any text here
        return "?"


def named(semver: str, sha: str) -> str:
    """An entry by its semver, or by its digest where it has none."""
    return visible(semver, 40) if semver else short(sha)


def _not_checked(name: str, problem: str, hint: str) -> Fact:
    return Fact(name=name, state="warn", text=f"not checked: {problem}", hint=hint, checked=False)


def _waiting(name: str) -> Fact:
    return Fact(name=name, state="muted", text="being read …", checked=False)


def _production(seen: Glance, now: datetime) -> Fact:
    found = seen.production
    if found is None:
        hint = "`spine promote REF --semver v0.1.0` puts the first entry into production"
        return Fact(name="production", state="warn", text="nothing is in production yet", hint=hint)
    digest = f" {short(found.sha)}" if found.semver else ""
    text = f"{named(found.semver, found.sha)}{digest} since {minute(found.since)} ({ago(found.since, now)})"
    return Fact(name="production", state="good", text=text)


def _rollout(seen: Glance, day: DayFigures | None, now: datetime) -> Fact:
    found = seen.rollout
    if found is None:
        return Fact(name="rollout", state="muted", text="no canary, A/B test or shadow is in progress")
    share = f"{found.weight_bp / 100:g} %"
    parts = [f"{found.strategy} {named(found.semver, found.sha)} at {share}"]
    if found.step is not None:
        parts.append(f"step {found.step} of {found.steps}")
    parts.append(f"for {ago(found.since, now)}")
    text = ", ".join(parts)
    if seen.unserved:
        hint = "start a server with `spine serve`: the rollout waits until one answers requests"
        return Fact(
            name="rollout", state="warn", text=f"{text}; no server is running, so it gets no requests", hint=hint
        )
    verdict = f"; {visible(day.verdict, 200)}" if day is not None and day.verdict else ""
    state: State = "warn" if verdict.startswith(("; aborts", "; not checked")) else ""
    return Fact(name="rollout", state=state, text=f"{text}{verdict}")


def _requests(seen: Glance, now: datetime) -> Fact:
    if seen.problem:
        return _not_checked("requests", seen.problem, seen.hint)
    if seen.last_request is None:
        return Fact(name="requests", state="muted", text="no request so far", hint="start a server with `spine serve`")
    return Fact(name="requests", state=rate_state(seen), text=rate_text(seen, now))


def rate_state(seen: Glance) -> State:
    """Whether the request rate needs attention: live traffic that has stopped does."""
    if seen.replayed:
        return "muted"
    return "" if seen.requests_per_second else "warn"


def rate_text(seen: Glance, now: datetime) -> str:
    """The request rate now and the age of the last request; replayed traffic is named so, with its simulated time."""
    last = seen.last_request or ""
    if seen.replayed and seen.until != seen.at:
        return f"replayed traffic; its last request is dated {minute(last)}"
    rate = seen.requests_per_second or 0.0
    shown = "0" if not rate else f"{rate:.2f}"
    return f"{shown} req/s · last request {ago(last, now)} ago{' (replayed)' if seen.replayed else ''}"


def span(day: DayFigures) -> str:
    """Which time the day's figures cover."""
    return f"replayed 24 h to {minute(day.until)}" if day.replayed else "last 24 h"


def _accuracy(day: DayFigures | None) -> Fact:
    if day is None:
        return _waiting("accuracy")
    if day.problem:
        return _not_checked("accuracy", day.problem, day.hint)
    expected, source = "expectation unknown", "the entry was never evaluated"
    if day.expected is not None:
        expected, source = f"{percent(day.expected)} expected", day.expected_from
    others = ""
    if day.others_graded:
        counted = f"{day.others_right:,} of {day.others_graded:,} graded"
        others = f"; other entries {percent((day.others_right or 0) / day.others_graded)} ({counted})"
    labelled = f"{(day.graded or 0) + (day.others_graded or 0):,} of {day.answered or 0:,} labelled"
    if not day.graded:
        none = "no answer of production is graded" if day.others_graded else "nothing graded"
        none = labelled if day.labels else none
        return Fact(name="accuracy", state="muted", text=f"{none}; {expected} ({source}){others}")
    so_far = f", {labelled}" if day.labels else ""
    text = f"{percent((day.right or 0) / day.graded)} correct, {expected}"
    graded = f"{day.right:,} of {day.graded:,} graded{so_far}; {source}"
    return Fact(name="accuracy", state="", text=f"{text} ({graded}){others}")


def _drift(day: DayFigures | None) -> Fact:
    if day is None:
        return _waiting("drift")
    found = day.drift
    if found is None:
        hint = "`spine drift report` makes one"
        return Fact(name="drift", state="muted", text="no day has a drift report yet", hint=hint)
    says = _DRIFT_SAYS.get(found.inputs or found.status, "the report of {day} says {status}")
    text = says.format(day=found.day, status=visible(found.status, 24))
    if found.failing:
        text = f"{visible(found.failing, 80)}; {text}"
    elif found.reason:
        text += f": {visible(found.reason, 200)}"
    if found.contradiction:
        return Fact(name="drift", state="bad", text=f"{text}; {found.contradiction}")
    return Fact(name="drift", state=_DRIFT.get(found.status, "muted"), text=text)


def _incidents(day: DayFigures | None) -> Fact:
    if day is None:
        return _waiting("incidents")
    if day.problem:
        return _not_checked("incidents", day.problem, day.hint)
    accepted = f"{words().false_accepts} not checked (traces of that time are archived)"
    if day.false_accepts is not None:
        accepted = words().count_false_accepts(day.false_accepts)
    text = f"{day.dismissed:,} dismissed, {accepted}, {day.unattributed:,} unattributed"
    some = day.dismissed or day.false_accepts or day.unattributed
    return Fact(name="incidents", state="warn" if some else "good", text=text)


def _holds(seen: Glance, now: datetime) -> Fact:
    if not seen.held:
        return Fact(name="holds", state="muted", text="no entry is on hold")
    newest = max(seen.held, key=lambda hold: hold.since)
    more = f", and {len(seen.held) - 1:,} more" if len(seen.held) > 1 else ""
    text = f"{named(newest.semver, newest.sha)} for {ago(newest.since, now)}: {visible(newest.reason, 120)}{more}"
    return Fact(name="holds", state="warn", text=text, hint="`spine release REF --reason TEXT` ends a hold")


def _servers(seen: Glance, now: datetime) -> Fact:
    if seen.servers is None:
        return _not_checked("servers", seen.problem, seen.hint)
    last = f"last seen {ago(seen.server_seen, now)} ago" if seen.server_seen else "none has reported so far"
    if seen.servers:
        return Fact(name="servers", state="good", text=f"{seen.servers:,} running, {last}")
    if seen.replayed:
        return Fact(name="servers", state="muted", text=f"none running; replayed traffic needs none ({last})")
    if seen.recorded is not None:
        recorded = f"the newest request is recorded of another server, {ago(seen.recorded, now)} ago"
        return Fact(name="servers", state="muted", text=f"none of Spine's is running ({last}); {recorded}")
    return Fact(name="servers", state="warn", text=f"none running; {last}", hint="start one with `spine serve`")


def _money(day: DayFigures | None) -> Fact:
    if day is None:
        return _waiting("money")
    if day.problem:
        return _not_checked("money", day.problem, day.hint)
    if not day.currency:
        text = "several currencies: no sum is possible"
        return Fact(name="money", state="muted", text=text, hint="`spine cost` lists each price")
    from modelspine.cost.format import money  # it is not on the way to the first frame

    spent = f"{money(day.prices, day.currency)} for {counted(day.priced or 0, 'answer')}"
    if not day.answered:
        spent = "no answers"
    elif day.priced != day.answered:
        spent += f" of {day.answered:,}; the others have no price"
    rent = "rent unknown (no uptime with a rate)" if day.rent is None else f"{money(day.rent, day.currency)} rent"
    return Fact(name="money", state="", text=f"{rent}; {spent}")
