"""What an operator should know of the arms beside their figures, each in one sentence, with the way out if any.

It names units by the hash that their traces carry. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from miniobserve.evidence import Evidence, Unit
from modelspine.ledger.route import Arm, Route
from modelspine.text import short, visible
from modelspine.times import ledger_time, nanoseconds
from modelspine.traffic.epoch_scope import TOLERANCE_NS
from modelspine.traffic.heavy_units import Heavy, heavy_of
from modelspine.traffic.noninferiority import Judgement
from modelspine.traffic.sides import failing
from modelspine.words import words

MOST_NAMED = 3
"""At most this many heavy units are named."""
LAST_HOUR_NS = 3_600 * 1_000_000_000
"""The notes on an arm that nobody judges rest on this time up to its last request: an epoch may last for months."""
_BACK = "`spine rollback REF --reason TEXT` goes back to an earlier entry"


def canary_notes(route: Route, judgement: Judgement) -> list[str]:
    """What to know beside a canary's verdict: answers without a grade, a stable arm that fails, heavy units."""
    found = [judgement.ungraded] if judgement.ungraded else []
    if judgement.stable_fails is not None and route.candidate is not None:
        fails_less = judgement.errors is None or judgement.errors.value < 0
        found.append(_stable_fails(judgement.stable_fails, route.candidate, fails_less=fails_less))
    return found + heavy_notes(judgement.heavy)


def recent_notes(evidence: Evidence, route: Route, now: datetime) -> list[str]:
    """Say which arms of a route that nobody judges fail, and which units are heavy, by the last hour with requests."""
    last = evidence.last(route.epoch, nanoseconds(now) + TOLERANCE_NS)
    if last is None:
        return []
    scope = route.epoch, last[1] + 1, last[1] + 1 - LAST_HOUR_NS
    units = evidence.units(*scope)
    copies = evidence.units(*scope, copies=True) if route.shadow is not None else []
    notes = [*failing_notes(route.arms, [*units, *copies]), *heavy_notes(heavy_among(route, units))]
    return [f"over the hour up to {ledger_time(last[1])[:19]}Z: {notes[0]}", *notes[1:]] if notes else []


def heavy_among(route: Route, units: Sequence[Unit]) -> list[Heavy]:
    """The heavy units of a route's arms, the heaviest first; none where no arms are compared."""
    compared = route.arms if route.candidate is not None else ()
    found = [each for arm in compared for each in heavy_of([unit for unit in units if unit.arm == arm.name])]
    return sorted(found, key=lambda each: -each.requests)


def failing_notes(arms: Sequence[Arm], units: Sequence[Unit], *, ended: bool = False) -> list[str]:
    """Say which of a route's arms fail on most requests of their units, and unless it has ended what to do."""
    stable, *others = arms
    failed = {arm.name: counts for arm in arms if (counts := failing([u for u in units if u.arm == arm.name]))}
    if ended:
        names = ((arm.name, "stable arm" if arm is stable else visible(arm.name, 20)) for arm in arms)
        return [f"the {shown} failed on {_counts(failed[name])}" for name, shown in names if name in failed]
    other = others[0] if others else None
    if stable.name in failed:
        asked = other is not None and any(unit.arm == other.name for unit in units)
        fails_less = other.name not in failed if other is not None and asked else None
        return [_stable_fails(failed[stable.name], other, fails_less=fails_less, also="as well")]
    return [
        f"the {visible(arm.name, 20)} fails on {_counts(failed[arm.name])}; `spine route abort --reason TEXT` ends it"
        for arm in others
        if arm.name in failed
    ]


def _counts(counts: tuple[int, int]) -> str:
    return f"{counts[0]:,} of {counts[1]:,} requests"


def _stable_fails(counts: tuple[int, int], other: Arm | None, *, fails_less: bool | None, also: str = "no less") -> str:
    """Say that the stable arm fails, and the way out.

    Args:
        counts: its failed and all requests.
        other: the other arm, if there is one.
        fails_less: whether the other arm is a way out; None where that is unknown.
        also: how the other arm fails where it is none.
    """
    name = (visible(other.semver, 40) or short(other.sha)) if other is not None else ""
    if other is None or fails_less is None:
        way_out = f"{_BACK}, and `spine route single REF --reason TEXT` on to another one"
    elif fails_less:
        way_out = f"if {name} is the fix, `spine route single {name} --reason TEXT` gives it all traffic"
    else:
        way_out = f"{name} fails {also}; {_BACK}"
    return f"the stable arm fails on {_counts(counts)}; {way_out}"


def heavy_notes(heavy: Sequence[Heavy]) -> list[str]:
    """Name the heaviest units, and say what to do about an id that many people share; empty without any."""
    advice = ["if many people share its id, give each one of their own, or send none"] if heavy else []
    return [*map(heavy_text, heavy[:MOST_NAMED]), *advice]


def heavy_text(heavy: Heavy) -> str:
    """Name a heavy unit by the hash that its traces carry; the ledger and the notes name no learner."""
    share = f"{100 * heavy.requests / heavy.of:.0f} %"
    return f"unit {heavy.u} sent {share} of the {heavy.arm} arm's requests and counts as one {words().unit}"
