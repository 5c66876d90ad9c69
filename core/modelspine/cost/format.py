"""How costs read: an amount in its unit, its bounds, and in sentences what a row of a table cannot say.

Pure, and the same for commands, pages and console; names are made visible here. It computes no price.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from modelspine.cost.figures import EntryCost, Range
from modelspine.signs import sign_of
from modelspine.text import short, visible

_SCALES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_SPAN = 1e6
"""How far apart amounts may lie to share a unit."""


class Unit(msgspec.Struct, frozen=True):
    """The unit a column of amounts shares."""

    scale: float
    name: str
    decimals: int
    currency: str

    def show(self, value: float | None, currency: str | None) -> str:
        """An amount in this unit; with a unit of its own where it is of another currency."""
        if value is None or currency is None:
            return "unknown"
        if currency != self.currency:
            return money(value, currency)
        return f"{value / self.scale:,.{self.decimals}f}"


def unit_of(amounts: Iterable[tuple[float | None, str | None]]) -> Unit | None:
    """The unit of a column of amounts, each with its currency, by the smallest of those in the currency most are in;
    None where there is no amount, or they lie too far apart for one unit.
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
    """An amount with its unit, in the largest of 1, m, µ, n that leaves a digit before the point."""
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
    """What a row of the table cannot say."""
    name = visible(cost.semver or short(cost.sha), 40)
    told = []
    if cost.cost_per_correct is not None and cost.accuracy is not None:
        told.append(
            f"{name}: a correct answer costs {between(cost.cost_per_correct, cost.currency)}"
            f" ({money(cost.amortised_per_correct, cost.currency)} with idle hours);"
            f" 1,000 tokens {between(cost.cost_per_1k, cost.currency)}; n {cost.priced:,}."
        )
    told += notes(cost)
    if (even := pays(cost, entries)) is not None:
        told.append(f"{name}: {even}")
    return told


def notes(cost: EntryCost) -> list[str]:
    """What stands beside the figures: held, not ready, requests without a price, copies, prices that do not add up."""
    name = visible(cost.semver or short(cost.sha), 40)
    told = []
    if cost.held:
        told.append(f"{name}: held; no learner's traffic goes to it, so it is set beside no other.")
    if cost.readiness == "not-deployment-ready":
        told.append(f"{name}: not-deployment-ready, under 30 % of its evaluated items are right; nothing is divided.")
    alone = cost.shadow == cost.requests
    due = cost.requests if alone else cost.requests - cost.shadow
    if cost.priced < due:
        told.append(f"{name}: {due - cost.priced:,} of {due:,} requests have no price.")
    if cost.shadow:
        apart = "the price is theirs" if alone else "they are not in the price"
        told.append(f"{name}: {cost.shadow:,} of {cost.requests:,} requests were shadow copies, and {apart}.")
    if cost.unexplained is not None and cost.unexplained > 0.001:
        told.append(f"{name}: frozen prices differ from stage seconds × rate by {100 * cost.unexplained:.2f} %.")
    return told


def pays(cost: EntryCost, entries: Sequence[EntryCost]) -> str | None:
    """From which price of a wrong answer an entry pays against its parent."""
    even = cost.break_even
    if even is None:
        return None
    parent = next(c.semver or short(c.sha) for c in entries if c.sha == even.parent_sha)
    against = f"against its parent {visible(parent, 40)}"
    points = f"{100 * even.accuracy_difference:+.1f} pp right, {_signed(even.cost_difference, cost.currency)} a request"
    if even.pays == "always":
        return f"pays at any price {against} ({points})."
    if even.pays == "never":
        return f"pays at no price {against} ({points})."
    where = "at least" if even.pays == "above" else "at most"
    return f"pays {against} where one wrong answer costs {where} {money(even.price, cost.currency)} ({points})."


def _signed(value: float, currency: str | None) -> str:
    return ("+" if value > 0 else "") + money(value, currency)


def between(figure: Range | None, currency: str | None) -> str:
    """An amount with its 95 % bounds."""
    if figure is None:
        return "unknown"
    if figure.low is None or figure.high is None:
        return money(figure.value, currency)
    return f"{money(figure.value, currency)} ({money(figure.low, currency)} to {money(figure.high, currency)})"


def _scale(size: float) -> tuple[float, str]:
    """The largest unit that leaves a digit before the point."""
    return next((known for known in _SCALES if size >= known[0]), _SCALES[-1])
