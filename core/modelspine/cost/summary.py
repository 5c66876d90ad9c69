"""What cost figures say, each in one plain sentence, and the price of a correct answer of every version.

The command line and the console show the same sentences. Only prices of the same rent are compared. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from modelspine.cost.basis import Range, comparable
from modelspine.cost.figures import EntryCost
from modelspine.cost.format import PER_1K, between, money, per_million
from modelspine.cost.query import Costs
from modelspine.text import counted, short, visible


def name_of(cost: EntryCost) -> str:
    """The name of an entry, safe to display: its semver, else the start of its SHA."""
    return visible(cost.semver or short(cost.sha), 40)


def choice_sentence(entries: Sequence[EntryCost]) -> str:
    """Which entry is the cheapest and which is most often correct, in one plain sentence."""
    placed = _group(entries, lambda cost: cost.cost_per_1k if cost.accuracy is not None else None)
    if not placed:
        return "Nothing to choose from: no entry has both a price and an evaluation"
    cheapest = min(placed, key=_price)
    best = max(placed, key=lambda cost: (_accuracy(cost), -_price(cost)))
    if len(placed) == 1:
        return f"Only {_figures(cheapest)}: no other entry has a price that can be compared with it"
    worse = [name_of(cost) for cost in placed if cost.standing == "dominated"]
    more = f"; another one is cheaper and better than {', '.join(worse[:5])}" if worse else ""
    more += f" and {len(worse) - 5} more" if len(worse) > 5 else ""
    if cheapest is best:
        return f"Cheapest and most often correct: {_figures(best)}{more}"
    if all(cost.standing == "tied" for cost in (cheapest, best)):
        more += "; the 95 % bounds overlap, so the order is not certain"
    return f"Cheapest: {_figures(cheapest)}; most often correct: {_figures(best)}{more}"


def version_sentence(entries: Sequence[EntryCost]) -> str:
    """Which version's correct answers cost the least and the most, in one plain sentence."""
    known = _group(entries, lambda cost: cost.cost_per_correct)
    if not known:
        return "What right answers cost in live traffic is unknown for every version"
    least, most = min(known, key=_per_correct), max(known, key=_per_correct)
    if len(known) == 1:
        price = f"In live traffic, a million right answers of {name_of(least)} cost {_correct(least)}"
        return f"{price}; no other version has a price that can be compared"
    low, high = _per_correct(least), _per_correct(most)
    if low == high:
        each = f"each of {counted(len(known), 'version')}"
        return f"In live traffic, a million right answers of {each} cost {_correct(least)}"
    factor = f", {100 * (high / low - 1):,.0f} % more" if low > 0 and high < 100 * low else ""
    sure = "" if _apart(least.cost_per_correct, most.cost_per_correct) else "; the 95 % bounds overlap"
    text = f"In live traffic, a million right answers cost least from {name_of(least)} ({_correct(least)})"
    return f"{text} and most from {name_of(most)} ({_correct(most)}{factor}){sure}"


def entry_sentence(cost: EntryCost) -> str:
    """What an answer of one entry costs and what it cost so far, in one plain sentence."""
    name = name_of(cost)
    if cost.cost is None:
        why = visible(cost.unknown.get("cost", "no request has a price"), 200)
        return f"What an answer of {name} costs is unknown: {why}"
    spent = f"{money(cost.cost, cost.currency)} for {counted(cost.priced, 'priced request')}"
    if cost.cost_per_correct is None:
        why = visible(cost.unknown.get("cost_per_correct", "no evaluation"), 200)
        return f"{name} cost {spent}; what its right answers cost is unknown: {why}"
    price = between(cost.cost_per_correct, cost.currency)
    return f"{name} cost {spent}; in live traffic, a million right answers cost {price}"


def as_object(costs: Costs) -> dict[str, Any]:
    """The figures as JSON fields, with their sentences."""
    fields: dict[str, Any] = msgspec.to_builtins(costs)
    said = {"choice": choice_sentence(costs.entries), "versions": version_sentence(costs.entries)}
    return fields | {"sentences": said}


def _group(entries: Sequence[EntryCost], figure: Callable[[EntryCost], Range | None]) -> list[EntryCost]:
    """The largest set of entries with a figure whose newest prices may be compared; held entries are no choice."""
    known = [cost for cost in entries if figure(cost) is not None and not cost.held]
    groups = [[each for each in known if each is cost or comparable(each, cost)] for cost in known]
    return max(groups, key=lambda group: (len(group), sum(each.priced for each in group)), default=[])


def _price(cost: EntryCost) -> float:
    return cost.cost_per_1k.value if cost.cost_per_1k is not None else 0.0


def _accuracy(cost: EntryCost) -> float:
    return cost.accuracy.value if cost.accuracy is not None else 0.0


def _per_correct(cost: EntryCost) -> float:
    return cost.cost_per_correct.value if cost.cost_per_correct is not None else 0.0


def _figures(cost: EntryCost) -> str:
    price = per_million(_price(cost), cost.currency, PER_1K)
    return f"{name_of(cost)} ({price} per million tokens, {100 * _accuracy(cost):.1f} % correct)"


def _correct(cost: EntryCost) -> str:
    return per_million(_per_correct(cost), cost.currency)


def _apart(low: Range | None, high: Range | None) -> bool:
    """Whether two figures' bounds do not overlap; not where a bound is unknown."""
    known = low is not None and high is not None and low.high is not None and high.low is not None
    return known and low.high < high.low  # type: ignore[union-attr,operator]
