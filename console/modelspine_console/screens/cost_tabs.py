"""The tabs of one entry's costs: accuracy against cost beside all other entries, and its figures with their bounds.

Pure drawing of core's values. An interval that is unknown is not drawn; a figure that is unknown says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from modelspine.cost.basis import comparable
from modelspine.cost.format import PER_1K, between, digits, general, money, notes, pays, per_million, price, standing
from modelspine.cost.left_out_text import left_out_sentences
from modelspine.cost.summary import choice_sentence, entry_sentence, name_of, version_sentence
from modelspine.drift.figures import percent
from modelspine.text import counted, short, visible
from modelspine_console.draw.format import bullet, count, dash, heading, headline, pairs, right_answers
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.plots import ACROSS, UPRIGHT, Axis, PointName, Series, plot
from modelspine_console.draw.sanitize import Line, cut, row, safe
from modelspine_console.draw.theme import Role

if TYPE_CHECKING:
    from datetime import datetime

    from modelspine.cost.basis import Range
    from modelspine.cost.figures import EntryCost
    from modelspine.cost.query import Costs
    from modelspine.gate.eval_report import CostPerQuality

ROLES: dict[str | None, Role] = {"frontier": "good", "tied": "warn", "dominated": "bad", None: "faint"}
_RANKS: dict[str | None, int] = {"frontier": 0, "tied": 1, "dominated": 2}
_MAX_UNPLOTTED = 20
"""Entries outside the plot that are named below it."""
_MAX_PLOTTED = 24
"""Entries in the plot; more of them could not be told apart."""
_MAX_COMPARED = 200
"""Entries that are compared with each other; a hundred thousand would take seconds at each key."""
_BAR = 24
_LABEL = 16
_PLOT_HEIGHT = 14
_PLOT_WIDTH = 110
"""Columns of the widest plot: a wider one is slower to draw and no easier to read."""
_MARGIN = 0.08
"""Share of the range that is left free at either end of an axis."""


def standing_of(cost: EntryCost) -> Line:
    """Whether an entry is on the frontier, tied or dominated, as sign and word in its colour."""
    return safe(standing(cost), ROLES.get(cost.standing, ""))


def foremost(made: Costs) -> Costs:
    """The figures of at most ``_MAX_COMPARED`` entries: those with the most priced requests, then the newest."""
    every = made.entries
    if len(every) <= _MAX_COMPARED:
        return made
    kept = sorted(range(len(every)), key=lambda at: (-every[at].priced, -at))[:_MAX_COMPARED]
    return msgspec.structs.replace(made, entries=tuple(every[at] for at in sorted(kept)))


def left_out(number: int) -> list[Line]:
    """How many entries are not compared, if any."""
    text = f" {number:,} further entries have fewer priced requests: see the list"
    return [safe(""), safe(text, "muted")] if number else []


def plane(made: Costs, chosen: EntryCost, width: int) -> list[Line]:
    """Accuracy against cost of the entries at the chosen entry's rent and currency, each with its two intervals."""
    placed = [cost for cost in made.entries if _placed(cost)]
    against = chosen if _placed(chosen) else placed[0] if placed else chosen
    currency = against.currency
    shown = _foremost([cost for cost in placed if cost is against or comparable(cost, against)], chosen)
    said = headline(choice_sentence(made.entries))
    if not shown:
        return [*said, safe(" no entry has both a price and an evaluation yet", "muted"), *_unplotted(made, [])]
    x = _across([cost.cost_per_1k for cost in shown])
    y = _up([cost.accuracy for cost in shown])
    # The selected entry is drawn over the others, and its label finds a place before theirs.
    last = sorted(shown, key=lambda each: each.sha == chosen.sha)
    series = [part for cost in last for part in _cross(cost, _role(cost, chosen))]
    labels = [PointName(_point(cost), name_of(cost), _role(cost, chosen)) for cost in reversed(last)]
    room = min(width, _PLOT_WIDTH)
    lines = [*said, safe(" correct answers, % ↑", "muted"), *plot(series, x, y, room, _PLOT_HEIGHT, labels)]
    lines.append(cut(safe(f"cost of a million tokens, {visible(currency or '', 8)} → ", "muted"), room, right=True))
    heads = (Head("entry"), Head("standing", rank=1), Head("a million tokens", right=True, rank=2),
             Head("correct", right=True))  # fmt: skip
    lines += [safe(""), *grid(heads, [_legend(cost, chosen) for cost in shown], width)]
    return [*lines, *_unplotted(made, shown)]


def _role(cost: EntryCost, chosen: EntryCost) -> Role:
    return "accent" if cost.sha == chosen.sha else ROLES[cost.standing]


def _foremost(costs: Sequence[EntryCost], chosen: EntryCost) -> list[EntryCost]:
    """As many entries as the plot has room for, preferring the chosen one, then the frontier; in their order."""
    rank = {cost.sha: (cost.sha != chosen.sha, _RANKS.get(cost.standing, 9)) for cost in costs}
    kept = {cost.sha for cost in sorted(costs, key=lambda cost: rank[cost.sha])[:_MAX_PLOTTED]}
    return [cost for cost in costs if cost.sha in kept]


def _legend(cost: EntryCost, chosen: EntryCost) -> list[Line]:
    price = safe(per_million(_value(cost.cost_per_1k), cost.currency, PER_1K))
    return [safe(name_of(cost), _role(cost, chosen)), standing_of(cost), price, count(cost.total)]


def _placed(cost: EntryCost) -> bool:
    return cost.cost_per_1k is not None and cost.accuracy is not None


def _unplotted(made: Costs, shown: Sequence[EntryCost]) -> list[Line]:
    """The entries that are not in the plot, and why."""
    plotted = {cost.sha for cost in shown}
    others = [cost for cost in made.entries if cost.sha not in plotted]
    lines = [
        row(safe(" · ", "muted"), cut(safe(name_of(cost)), _LABEL), safe(f"  {_missing(cost)}", "muted"))
        for cost in others[:_MAX_UNPLOTTED]
    ]
    further = len(others) - _MAX_UNPLOTTED
    return [*lines, safe(f" and {further:,} more", "muted")] if further > 0 else lines


def _missing(cost: EntryCost) -> str:
    if _placed(cost):
        return f"{price(cost)}: another rent, currency or way of pricing, or no room left"
    missing = [what for what, known in (("price", cost.cost_per_1k), ("evaluation", cost.accuracy)) if known is None]
    return f"not in the plot: no {' and no '.join(missing)}"


def _value(figure: Range | None) -> float | None:
    return None if figure is None else figure.value


def _ends(figures: Sequence[Range | None]) -> tuple[float, float]:
    """The lowest and the highest value of some intervals."""
    values = [v for f in figures if f is not None for v in (f.value, f.low, f.high) if v is not None]
    return min(values), max(values)


def _across(figures: Sequence[Range | None]) -> Axis:
    low, high = _ends(figures)
    edge = (high - low) * _MARGIN or abs(high) * 0.1 or 1.0
    start, end = max(0.0, low - edge), high + edge
    at = (start, (start + end) / 2, end)
    return Axis(start, end, tuple((value, digits(value * PER_1K)) for value in at))


def _up(figures: Sequence[Range | None]) -> Axis:
    low, high = _ends(figures)
    edge = max((high - low) * _MARGIN, 0.005)
    start, end = max(0.0, low - edge), min(1.0, high + edge)
    return Axis(start, end, tuple((v, f"{100 * v:.1f}") for v in (start, (start + end) / 2, end)))


def _point(cost: EntryCost) -> tuple[float, float]:
    return _value(cost.cost_per_1k) or 0.0, _value(cost.accuracy) or 0.0


def _cross(cost: EntryCost, role: Role) -> list[Series]:
    """An entry's two intervals, and a dot where they cross."""
    x, y = cost.cost_per_1k, cost.accuracy
    at, up = _point(cost)
    found = []
    if x is not None and x.low is not None and x.high is not None:
        found.append(Series(((x.low, up), (x.high, up)), role, ACROSS))
    if y is not None and y.low is not None and y.high is not None:
        found.append(Series(((at, y.low), (at, y.high)), role, UPRIGHT))
    return [*found, Series(((at, up),), role, "●")]


def figures(made: Costs, cost: EntryCost, gate: CostPerQuality | None, now: datetime, width: int) -> list[Line]:
    """All live figures of one entry's costs, beside what the gate measured on the eval set."""
    accuracy = cost.accuracy
    bounds = f"   {percent(accuracy.low)} to {percent(accuracy.high)}" if accuracy is not None else ""
    unready = cost.readiness == "not-deployment-ready"
    cpqu = (
        "not ready: under 30 % correct, so not computed" if unready else per_million(cost.cpqu, cost.currency, PER_1K)
    )
    correct = "not ready" if unready and not cost.cost_per_correct else between(cost.cost_per_correct, cost.currency)
    lines = headline(entry_sentence(cost))
    lines += pairs(
        [
            ("entry", row(safe(name_of(cost), "strong"), safe(f"  {short(cost.sha)}", "muted"))),
            ("standing", standing_of(cost)),
            ("correct", row(count(cost.total) if cost.total else safe("unknown", "muted"), safe(bounds, "muted"))),
            ("at the gate", right_answers(gate)),
        ]
    )
    lines += heading("live, from requests")
    lines += pairs(
        [
            ("a million right answers", safe(correct)),
            ("a million tokens", safe(between(cost.cost_per_1k, cost.currency, PER_1K))),
            ("token price ÷ accuracy", safe(cpqu)),
            ("per request", safe(money(cost.cost_per_request, cost.currency))),
        ]
    )
    lines += heading("including idle time")
    idle = per_million(cost.amortised_per_correct, cost.currency)
    tokens = per_million(cost.amortised_per_1k, cost.currency, PER_1K)
    lines += pairs([("a million right answers", safe(idle)), ("a million tokens", safe(tokens))])
    lines += [*heading("price versions"), *_versions(cost, width)]
    lines += [*heading("requests"), *pairs(_counted(cost)), *heading("cost by stage"), *_stages(cost, width)]
    even = pays(cost, made.entries) or "unknown: no parent, or a figure of one of the two is unknown"
    lines += [*heading("break-even"), safe(f" {even}", limit=400), safe("")]
    lines += [bullet("!", text, "warn", text_role="") for text in notes(cost, made.entries)]
    apart = [*left_out_sentences(made), *general(made.idle, made.future, made.at)]
    lines += [bullet("·", text, "muted", text_role="") for text in apart]
    return [*lines, safe(f" {aged(made, now)}", "faint")]


def versions(made: Costs, chosen: EntryCost, width: int) -> list[Line]:
    """A bar for each version: what a million of its right answers cost in live traffic, and what was spent on it."""
    lines = headline(version_sentence(made.entries))
    known = [cost for cost in made.entries if cost.cost_per_correct is not None]
    against = chosen if chosen in known else known[0] if known else chosen
    # A bar beside another one is a comparison, so a price of another rent has no bar.
    alike = [cost for cost in known if cost is against or comparable(cost, against)]
    most = max((_value(cost.cost_per_correct) or 0.0 for cost in alike), default=0.0)
    heads = (Head("version"), Head("variant", rank=4), Head("", rank=1), Head("a million right, live", right=True),
             Head("with idle", right=True, rank=3), Head("spent", right=True, rank=2),
             Head("n", right=True, rank=2))  # fmt: skip
    rows = []
    for cost in made.entries:
        price, idle = _value(cost.cost_per_correct), cost.amortised_per_correct
        length = round(_BAR * (price / most)) if cost in alike and price is not None and most else 0
        role: Role = "accent" if cost.sha == chosen.sha else ""
        rows.append(
            [safe(name_of(cost), role), dash(cost.variant), cut(safe("━" * length, role or "muted"), _BAR),
             safe(per_million(price, cost.currency), "" if price is not None else "faint"),
             safe(per_million(idle, cost.currency), "" if idle is not None else "faint"),
             safe(money(cost.cost, cost.currency), "" if cost.cost is not None else "faint"),
             safe(f"{cost.priced:,}")]
        )  # fmt: skip
    lines += grid(heads, rows, width)
    if len(alike) < len(known):
        lines.append(safe(" a price of another rent, currency or way of pricing has no bar", "muted"))
    return lines


def _counted(cost: EntryCost) -> list[tuple[str, Line]]:
    speed = "unknown" if cost.tokens_per_second is None else f"{cost.tokens_per_second:,.0f} tokens a second"
    return [
        ("requests", safe(f"{cost.requests:,}, {cost.priced:,} with a price, {cost.shadow:,} shadow copies")),
        ("tokens", safe(f"{cost.tokens:,}   {speed}")),
        ("spent", safe(money(cost.cost, cost.currency))),
        ("first, last", safe(f"{cost.since or 'unknown'}, {cost.until or 'unknown'}")),
        ("correct by", safe(_correct_by(cost))),
        ("out of scope", safe(f"{cost.outside:,}")),
    ]


def _correct_by(cost: EntryCost) -> str:
    """What the price of a correct answer counts as correct."""
    if cost.graded is not None:
        return (
            f"{cost.graded.k:,} graded correct of {cost.graded.n:,}; {cost.failed:,} failed, {cost.ungraded:,} ungraded"
        )
    return "the accuracy on the eval set: no answer has a grade" if cost.correct_by else "unknown"


def _versions(cost: EntryCost, width: int) -> list[Line]:
    """The figures under each price, the newest first; they are never averaged."""
    if cost.price_version is None:
        return [safe(f" {cost.unknown.get('cost', 'unknown')}", "muted", limit=400)]
    heads = (Head("price"), Head("n", right=True), Head("a million right", right=True),
             Head("with idle", right=True, rank=1), Head("a million tokens", right=True, rank=2))  # fmt: skip
    rows = [
        [safe(price(b)), safe(f"{b.priced:,}"), safe(per_million(_value(b.cost_per_correct), b.currency)),
         safe(per_million(b.amortised_per_correct, b.currency)),
         safe(per_million(_value(b.cost_per_1k), b.currency, PER_1K))]
        for b in cost.bases
    ]  # fmt: skip
    return grid(heads, rows, width)


def _stages(cost: EntryCost, width: int) -> list[Line]:
    """Each stage's share of the cost, the largest first."""
    whole = sum(cost.stages.values())
    if not whole:
        return [safe(" unknown: no request has both a price and stage times", "muted")]
    length = max(6, min(_BAR, width - _LABEL - 22))
    return [
        row(cut(safe(f" {name}"), _LABEL + 1), cut(safe("━" * round(spent / whole * length), "accent"), length),
            safe(f" {100 * spent / whole:5.1f} %"), safe(f"  {money(spent, cost.currency)}", "muted"))
        for name, spent in sorted(cost.stages.items(), key=lambda item: -item[1])
    ]  # fmt: skip


def aged(made: Costs, now: datetime) -> str:
    """The number of requests that were summed, and the age of the sums."""
    seconds = max(0, int((now - made.at).total_seconds()))
    old = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
    return f"live: {counted(made.requests, 'request')}, {old} old"
