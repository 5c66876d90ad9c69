"""Formatting of cost figures for command line, pages and console: amounts, bounds and explanatory sentences.

Pure. Control characters in names are made visible here. It computes no price.
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
    lines = []
    if cost.cost_per_correct is not None and cost.accuracy is not None:
        lines.append(
            f"{name}: a correct answer costs {between(cost.cost_per_correct, cost.currency)}"
            f" ({money(cost.amortised_per_correct, cost.currency)} with idle time);"
            f" 1,000 tokens {between(cost.cost_per_1k, cost.currency)}; n {cost.priced:,}."
        )
    lines += notes(cost)
    if (even := pays(cost, entries)) is not None:
        lines.append(f"{name}: {even}")
    return lines


def notes(cost: EntryCost) -> list[str]:
    """Caveats about an entry's figures, such as requests without a price or inconsistent prices."""
    name = visible(cost.semver or short(cost.sha), 40)
    found = []
    if cost.held:
        found.append("held; takes no learner traffic and is excluded from comparison.")
    if cost.readiness == "not-deployment-ready":
        found.append("not-deployment-ready: accuracy below 30 %, so no cost per quality is given.")
    only_copies = cost.shadow == cost.requests
    due = cost.requests if only_copies else cost.requests - cost.shadow
    if cost.priced < due:
        found.append(f"{due - cost.priced:,} of {due:,} requests have no price.")
    if cost.shadow:
        scope = "the figures are of these copies" if only_copies else "the figures exclude them"
        found.append(f"{cost.shadow:,} of {cost.requests:,} requests were shadow copies; {scope}.")
    if cost.unexplained is not None and cost.unexplained > 0.001:
        found.append(f"recorded prices differ from stage seconds × rate by {100 * cost.unexplained:.2f} %.")
    return [f"{name}: {note}" for note in found]


def pays(cost: EntryCost, entries: Sequence[EntryCost]) -> str | None:
    """The price of a wrong answer from which an entry is worth its cost compared with its parent; None if unknown."""
    even = cost.break_even
    if even is None:
        return None
    parent = next(c.semver or short(c.sha) for c in entries if c.sha == even.parent_sha)
    against = f"against its parent {visible(parent, 40)}"
    extra = _signed(even.cost_difference, cost.currency)
    points = f"accuracy {100 * even.accuracy_difference:+.1f} pp, {extra} per request"
    if even.pays == "always":
        return f"pays off at any price of a wrong answer {against} ({points})."
    if even.pays == "never":
        return f"pays off at no price of a wrong answer {against} ({points})."
    where = "at least" if even.pays == "above" else "at most"
    return f"pays off {against} if one wrong answer costs {where} {money(even.price, cost.currency)} ({points})."


def _signed(value: float, currency: str | None) -> str:
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
