"""Formatting of cost figures for command line, pages and console: amounts, bounds and explanatory sentences.

Pure. Control characters in names are made visible here. It computes no price.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from miniobserve.cost import BUSY, TOKENS, WAITING
from miniobserve.traces import Trace
from modelspine.cost.basis import Basis, Range
from modelspine.cost.figures import EntryCost
from modelspine.cost.idle import IdleDay
from modelspine.signs import sign_of
from modelspine.text import counted, short, visible

_SCALES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_SPAN = 1e6
"""Largest ratio of two amounts that may share a unit: beyond it, the column would need too many digits."""


class Unit(msgspec.Struct, frozen=True):
    """The unit shared by a column of amounts."""

    scale: float
    name: str
    decimals: int
    currency: str

    def show(self, value: float | None, currency: str | None) -> str:
        """Format an amount in this unit, or with a unit of its own where its currency differs."""
        if value is None or currency is None:
            return "unknown"
        if currency != self.currency:
            return money(value, currency)
        return f"{value / self.scale:,.{self.decimals}f}"


def unit_of(amounts: Iterable[tuple[float | None, str | None]]) -> Unit | None:
    """Choose the unit of a column of amounts, each with its currency.

    It fits the smallest amount in the most common currency. None where there is no amount, or where they differ too
    much for one unit.
    """
    known = [(value, currency) for value, currency in amounts if value is not None and currency is not None]
    if not known:
        return None
    most = Counter(currency for _, currency in known).most_common(1)[0][0]
    sizes = [abs(value) for value, currency in known if currency == most and value]
    if not sizes or not max(sizes) < min(sizes) * _SPAN:
        return None
    scale, sign = _scale(min(sizes))
    smallest = min(sizes) / scale
    return Unit(scale, f"{sign}{visible(most, 8)}", 2 if smallest < 10 else 1 if smallest < 100 else 0, most)


def money(value: float | None, currency: str | None) -> str:
    """Format an amount with its unit, in the largest of 1, m, µ, n that leaves a digit before the point."""
    if value is None or currency is None:
        return "unknown"
    name = visible(currency, 8)
    if not value:
        return f"0 {name}"
    scale, sign = _scale(abs(value))
    amount = value / scale
    return f"{amount:,.0f} {sign}{name}" if abs(amount) >= 999.5 else f"{amount:.3g} {sign}{name}"


def standing(cost: EntryCost) -> str:
    """An entry's standing as sign and word."""
    return f"{sign_of(cost.standing).glyph} {cost.standing}" if cost.standing else "–"


def sentences(cost: EntryCost, entries: Sequence[EntryCost]) -> list[str]:
    """Sentences about an entry that do not fit a row of the table."""
    name = visible(cost.semver or short(cost.sha), 40)
    lines = [f"{name}: {rests_on(basis)}" for basis in cost.bases if basis.priced]
    lines += notes(cost, entries)
    if (even := pays(cost, entries)) is not None:
        lines.append(f"{name}: {even}")
    return lines


def price(basis: Basis) -> str:
    """The terms of a price: its version and rate."""
    return "unknown" if basis.price_version is None else terms_of(basis)


def terms_of(priced: Basis | Trace) -> str:
    """The terms of a recorded price: its version and rate, or its prices per token."""
    version = visible(priced.price_version or "", 40) or "no version"
    if priced.priced_by == TOKENS:
        per = [money(each, priced.currency) for each in (priced.input_price, priced.output_price)]
        return f"{version}, {per[0]} in and {per[1]} out per 1M tokens"
    if priced.rate_per_hour is None:
        return f"{version}, rate unknown"
    waiting = ", waiting included" if priced.priced_by == WAITING else ""
    return f"{version} at {money(priced.rate_per_hour, priced.currency)}/h{waiting}"


def rests_on(basis: Basis) -> str:
    """What the figures under one price rest on: its terms, n and window, the price of a correct answer, its n."""
    window = f"{basis.since} to {basis.until}"
    said = f"price version {price(basis)}: n {basis.priced:,}, {window};"
    said += f" 1,000 tokens cost {between(basis.cost_per_1k, basis.currency)}"
    if basis.cost_per_correct is None:
        return f"{said}; a correct answer: unknown, {basis.unknown.get('cost_per_correct', 'no evaluation')}."
    by = "by the accuracy on the eval set, because no answer has a grade"
    if basis.graded is not None:
        failed = f", {basis.failed:,} of them failures" if basis.failed else ""
        if failed and basis.ungraded:
            failed += " that count in the same proportion as answers have a grade"
        by = f"by {basis.graded.k:,} answers graded correct of {basis.graded.n:,}{failed}"
    idle = money(basis.amortised_per_correct, basis.currency)
    with_idle = f"{idle} with idle time" if basis.idle is not None else "with idle time unknown"
    return f"{said}, a correct answer {between(basis.cost_per_correct, basis.currency)} ({with_idle}), {by}."


def notes(cost: EntryCost, entries: Sequence[EntryCost] = ()) -> list[str]:
    """What an entry's figures leave out and what is unknown, with the reason."""
    name = visible(cost.semver or short(cost.sha), 40)
    found = []
    if cost.held:
        found.append("held; takes no learner traffic and is excluded from comparison.")
    if cost.readiness == "not-deployment-ready":
        found.append("not-deployment-ready: accuracy below 30 %, so no cost per quality is given.")
    due = cost.requests - cost.shadow
    for reason, n in sorted(cost.unpriced.items()):
        found.append(f"{n:,} of {due:,} requests have no price: {visible(reason, 120)}.")
    if cost.shadow:
        only = cost.shadow == cost.requests
        scope = "the figures are what these copies would have cost as answers" if only else "the figures exclude them"
        found.append(f"{cost.shadow:,} of {cost.requests:,} requests were shadow copies; {scope}.")
    if cost.earlier:
        others = "; ".join(f"{price(basis)}, n {basis.priced:,}" for basis in cost.earlier)
        found.append(f"the figures are of price version {price(cost)}; beside them stand {others}.")
    found += _left_out(cost)
    if cost.not_compared:
        named = [next((e.semver for e in entries if e.sha == sha), None) or short(sha) for sha in cost.not_compared]
        whom = visible(", ".join(named[:5]) + (" and others" if len(named) > 5 else ""), 120)
        found.append(f"not compared with {whom}: no price of the same rent; serve both under one.")
    return [f"{name}: {note}" for note in found]


def _left_out(basis: Basis) -> list[str]:
    found = []
    if basis.outside:
        found.append(
            f"{basis.outside:,} of {basis.priced:,} were out of scope and are in no price of a correct answer."
        )
    if basis.graded is not None and basis.ungraded:
        found.append(f"{basis.ungraded:,} of {basis.priced:,} have no grade and are in no price of a correct answer.")
    if basis.priced_by == WAITING and basis.priced:
        found.append(
            "these older prices include the time in the queue, so they show load; they are not compared, and their idle"
            " time is unknown. Requests answered from now on are priced without it."
        )
    if basis.priced and basis.priced_by == BUSY and basis.idle is None:
        found.append(f"idle time is unknown: {visible(basis.unknown.get('idle', ''), 160)}.")
    if basis.unexplained is not None and basis.unexplained > 0.001:
        found.append(f"recorded prices differ from stage seconds × rate by {100 * basis.unexplained:.2f} %.")
    if not basis.priced and "cost" in basis.unknown:
        found.append(f"cost unknown: {visible(basis.unknown['cost'], 200)}.")
    return found


def idle_sentences(days: Sequence[IdleDay]) -> list[str]:
    """The rent, prices and idle time of every price version and rate, and the days on which it is unknown."""
    groups: dict[tuple[str, str, float], list[IdleDay]] = {}
    for day in days:
        groups.setdefault((day.price_version, day.currency, day.rate_per_hour), []).append(day)
    return [_idle_sentence(*terms, each) for terms, each in reversed(groups.items())]


def general(idle: Sequence[IdleDay], future: int, at: datetime) -> list[str]:
    """Sentences about no entry: idle time, and requests that are left out."""
    late = [f"{counted(future, 'request')} dated after {at:%Y-%m-%d %H:%M:%S} UTC left out."] if future else []
    return [*idle_sentences(idle), *late]


def _idle_sentence(version: str, currency: str, rate: float, days: Sequence[IdleDay]) -> str:
    known = [day for day in days if day.idle is not None]
    missing = [day for day in days if day.idle is None]
    parts = []
    if known:
        rent, idle = sum(day.rent for day in known), sum(day.idle or 0.0 for day in known)
        simulated = sum(day.simulated_seconds for day in known)
        replay = f", {_duration(simulated)} of it simulated by replay" if simulated else ""
        parts.append(
            f"{money(idle, currency)} of {money(rent, currency)} rent,"
            f" {_duration(sum(day.uptime_seconds for day in known))} of recorded uptime{replay},"
            f" {counted(len(known), 'day')}"
        )
    if missing:
        first = missing[0]
        parts.append(f"unknown on {counted(len(missing), 'day')}, {first.day} the first: {first.why}")
    return f"idle time, {visible(version, 40) or 'no version'} at {money(rate, currency)}/h: {'; '.join(parts)}."


def _duration(seconds: float) -> str:
    return (
        f"{seconds:,.1f} s"
        if seconds < 120
        else f"{seconds / 60:,.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:,.1f} h"
    )


def pays(cost: EntryCost, entries: Sequence[EntryCost]) -> str | None:
    """The price of a wrong answer from which an entry is worth its cost compared with its parent; None if unknown."""
    even = cost.break_even
    if even is None:
        return None
    parent = next(c.semver or short(c.sha) for c in entries if c.sha == even.parent_sha)
    against = f"against its parent {visible(parent, 40)}"
    extra = _signed(even.cost_difference, even.currency)
    points = f"accuracy {100 * even.accuracy_difference:+.1f} pp, {extra} per request"
    if even.pays == "always":
        return f"pays off at any price of a wrong answer {against} ({points})."
    if even.pays == "never":
        return f"pays off at no price of a wrong answer {against} ({points})."
    where = "at least" if even.pays == "above" else "at most"
    return f"pays off {against} if one wrong answer costs {where} {money(even.price, even.currency)} ({points})."


def _signed(value: float, currency: str) -> str:
    return ("+" if value > 0 else "") + money(value, currency)


def between(figure: Range | None, currency: str | None) -> str:
    """Format an amount with its 95 % bounds."""
    if figure is None:
        return "unknown"
    if figure.low is None or figure.high is None:
        return money(figure.value, currency)
    return f"{money(figure.value, currency)} ({money(figure.low, currency)} to {money(figure.high, currency)})"


def _scale(size: float) -> tuple[float, str]:
    """The largest unit that leaves a digit before the point."""
    return next((known for known in _SCALES if size >= known[0]), _SCALES[-1])
