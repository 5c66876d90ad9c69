"""Sentences about the requests that no entry's figures count.

Pure. Control characters in names are made visible here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelspine.cost.format import money
from modelspine.cost.left_out import LeftOut, Why
from modelspine.cost.query import Costs
from modelspine.text import counted, short, visible

_REASONS: dict[Why, str] = {
    "no entry": "they reached no entry",
    "not registered": "their entry is not registered",
    "tombstoned": "their entry is tombstoned",
    "testers": "testers asked them",
}
_MOST_NAMED = 5
"""Entries that are named one by one."""


def left_out_sentences(costs: Costs) -> list[str]:
    """A sentence for each reason for which requests are in no figure: how many, of which entries, and their prices."""
    by_reason = {why: [each for each in costs.left_out if each.why == why] for why in _REASONS}
    return [_sentence(why, some, costs.requests) for why, some in by_reason.items() if some]


def _sentence(why: Why, some: Sequence[LeftOut], requests: int) -> str:
    number = sum(each.requests for each in some)
    are = "is" if number == 1 else "are"
    said = f"{number:,} of {counted(requests, 'request')} {are} in no figure, because {_REASONS[why]}: {_named(some)}."
    if why == "testers" and any(each.spent for each in some):
        said += " Their price counts as spent, and not as idle time."
    return said


def _named(some: Sequence[LeftOut]) -> str:
    most = sorted(some, key=lambda each: -each.requests)
    found = [_one(each) for each in most[:_MOST_NAMED]]
    if rest := most[_MOST_NAMED:]:
        found.append(f"{counted(sum(each.requests for each in rest), 'request')} of {len(rest):,} more")
    return ", ".join(found)


def _one(each: LeftOut) -> str:
    price = _price(each.spent)
    if each.why == "no entry":
        return price
    name = "no entry" if each.sha is None else visible(each.semver or short(each.sha), 40)
    return f"{name} (n {each.requests:,}, {price})"


def _price(spent: Mapping[str, float]) -> str:
    return " and ".join(money(amount, currency) for currency, amount in spent.items()) or "no price"
