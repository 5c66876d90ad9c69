"""Formatting of cost figures for command line, pages and console: amounts, bounds and explanatory sentences.

Pure. Control characters in names are made visible here. It computes no price.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from miniobserve.cost import BUSY, COPY, TOKENS, WAITING
from miniobserve.traces import Trace
from modelspine.cost.basis import Basis, Range
from modelspine.cost.figures import EntryCost
from modelspine.cost.idle import IdleDay
from modelspine.signs import sign_of
from modelspine.text import counted, short, visible
from modelspine.words import words

_SCALES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_MILLION = 1e6
PER_1K: Final = 1e3
"""Factor from the price of 1,000 tokens to that of a million."""


def money(value: float | None, currency: str | None) -> str:
    """Format an amount with its unit, in the largest of 1, m, µ, n that leaves a digit before the point."""
    if value is None or currency is None:
        return "unknown"
    name = visible(currency, 8)
    if not value:
        return f"0 {name}"
    scale, sign = _scale(abs(value))
    amount = value / scale
    return f"{digits(amount)} {sign}{name}"


def per_million(value: float | None, currency: str | None, times: float = _MILLION) -> str:
    """The price of a million right answers: the one unit of cost per quality, without a letter for its size.

    ``times`` is the factor from the given price to that of a million; ``PER_1K`` for the price of 1,000 tokens.
    """
    if value is None or currency is None:
        return "unknown"
    return f"{digits(value * times)} {visible(currency, 8)}"


def live_price(value: float | None, currency: str | None) -> str:
    """A price of a million in a column of USD: the number alone, or with its name in another currency."""
    return per_million(value, currency).removesuffix(" USD")


def live_right(cost: EntryCost, basis: Basis) -> str:
    """The price of a million right answers of one basis, in a column of USD; *not ready* where too few are right."""
    if basis.cost_per_correct is None:
        return "not ready" if cost.readiness == "not-deployment-ready" else "unknown"
    return live_price(basis.cost_per_correct.value, basis.currency)


def digits(amount: float) -> str:
    """A number with three significant digits."""
    return f"{amount:,.0f}" if abs(amount) >= 999.5 else f"{amount:.3g}"


def hourly(rate: float | None, currency: str | None) -> str:
    """The rent of a machine."""
    return "unknown" if rate is None or currency is None else f"{rate:g} {visible(currency, 8)}/h"


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
    shared = f" for {priced.workers:,} workers" if (priced.workers or 1) > 1 else ""
    return f"{version} at {hourly(priced.rate_per_hour, priced.currency)}{shared}{waiting}"


def rests_on(basis: Basis) -> str:
    """What the figures under one price rest on: its terms, n and window, the price of a correct answer, its n."""
    window = f"{basis.since} to {basis.until}"
    said = f"price version {price(basis)}: n {basis.priced:,}, {window};"
    said += f" a million tokens cost {between(basis.cost_per_1k, basis.currency, PER_1K)}"
    if basis.cost_per_correct is None:
        return f"{said}; a million right answers: unknown, {basis.unknown.get('cost_per_correct', 'no evaluation')}."
    by = "by the accuracy on the eval set, because no answer has a grade"
    if basis.graded is not None:
        failed = f", {basis.failed:,} of them failures" if basis.failed else ""
        if failed and basis.ungraded:
            failed += " that count in the same proportion as answers have a grade"
        by = f"by {basis.graded.k:,} answers graded correct of {basis.graded.n:,}{failed}"
    idle = per_million(basis.amortised_per_correct, basis.currency)
    with_idle = f"{idle} with idle time" if basis.idle is not None else "with idle time unknown"
    return f"{said}, a million right answers {between(basis.cost_per_correct, basis.currency)}; {with_idle}; {by}."


def unpriced_text(reason: str) -> str:
    """Why a trace has no price. A store compares the reason of a shadow copy, so its wording there is fixed."""
    if reason == COPY:
        return f"a shadow copy: the rent is charged to the answers that {words().units} get"
    return reason or "its trace gives no reason"


def notes(cost: EntryCost, entries: Sequence[EntryCost] = ()) -> list[str]:
    """What an entry's figures leave out and what is unknown, with the reason."""
    name = visible(cost.semver or short(cost.sha), 40)
    found = []
    if cost.held:
        found.append(f"held; takes no {words().unit} traffic and is excluded from comparison.")
    if cost.readiness == "not-deployment-ready":
        found.append("not-deployment-ready: accuracy below 30 %, so no cost per quality is given.")
    due = cost.requests - cost.shadow
    for reason, n in sorted(cost.unpriced.items()):
        found.append(f"{n:,} of {due:,} requests have no price: {visible(unpriced_text(reason), 120)}.")
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
        found.append(f"not compared with {whom}: no price of the same rent and number of workers; serve both alike.")
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
        share = "stage seconds × rate / (3600 · workers)"
        older = (
            f"; {counted(basis.workers_unknown, 'older trace')} without the number of workers, which is taken as 1"
            if basis.workers_unknown
            else ""
        )
        found.append(f"recorded prices differ from {share} by {100 * basis.unexplained:.2f} %{older}.")
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
    return f"idle time, {visible(version, 40) or 'no version'} at {hourly(rate, currency)}: {'; '.join(parts)}."


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


def between(figure: Range | None, currency: str | None, times: float = _MILLION) -> str:
    """Format the price of a million with its 95 % bounds; see ``per_million``."""
    if figure is None:
        return "unknown"
    said = per_million(figure.value, currency, times)
    if figure.low is None or figure.high is None:
        return said
    return f"{said} ({digits(figure.low * times)} to {digits(figure.high * times)})"


def _scale(size: float) -> tuple[float, str]:
    """The largest unit that leaves a digit before the point."""
    return next((known for known in _SCALES if size >= known[0]), _SCALES[-1])
