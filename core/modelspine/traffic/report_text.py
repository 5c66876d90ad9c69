"""An epoch's report as a list of tables and sentences, and as Markdown.

Names come from the ledger and from features of what learners wrote: they are made visible, and in Markdown nothing
in them can open markup. It does not measure, colour or print.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelspine.stats import FEW_UNITS, SRM_ALARM, SRM_UNITS, Difference
from modelspine.text import short, visible
from modelspine.traffic.noninferiority import milliseconds, points
from modelspine.traffic.report import OUTCOMES, ArmReport, Comparison, RouteReport, ShadowReport, Split


class Table(msgspec.Struct, frozen=True):
    """Cells that are safe on a terminal; every column but the first is right-aligned."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Part = Table | str
ARMS = ("arm", "model", "set %", "actual %", "requests", "units", "p50 ms", "p95", "p99", "errors", "graded right")


def parts(report: RouteReport) -> list[Part]:
    """The report, in the order it is read."""
    told: list[Part] = [
        f"{report.strategy}, epoch #{report.epoch} since {visible(report.since, 40)}, rollout #{report.rollout}"
    ]
    told.append(Table((*ARMS, *OUTCOMES), tuple(_arm(arm) for arm in report.arms)))
    if report.split is not None:
        told.append(split_told(report.split))
    if report.difference is not None:
        told += _difference(report.difference, report.arms)
    if report.shadow is not None:
        told += _shadow(report.shadow)
    return told


def markdown(report: RouteReport) -> str:
    """The report as GitHub Markdown."""
    found = ["### Route", ""]
    for part in parts(report):
        if isinstance(part, str):
            found += [_inert(part), ""]
            continue
        rule = [":---", *["---:"] * (len(part.head) - 1)]
        rows = [part.head, rule, *([_inert(cell) for cell in row] for row in part.rows)]
        found += [*(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(found)


def _arm(arm: ArmReport) -> tuple[str, ...]:
    graded = arm.graded
    model = f"{visible(arm.semver, 20)} {short(arm.sha)}".strip()
    return (
        visible(arm.name, 20),
        model,
        f"{arm.set_bp / 100:.2f}",
        "–" if arm.actual_bp is None else f"{arm.actual_bp / 100:.2f}",
        f"{arm.requests:,}",
        f"{arm.units:,}",
        *("–" if value is None else f"{1000 * value:.1f}" for value in (arm.p50, arm.p95, arm.p99)),
        f"{arm.errors:,}",
        f"{graded.k:,}/{graded.n:,} {100 * graded.k / graded.n:.1f} %" if graded.n else "–",
        *(f"{arm.feedback[name]:,}" for name in OUTCOMES),
    )


def split_told(split: Split) -> str:
    """Whether units are split as set, in words."""
    if split.bayes_factor is None:
        return f"split: {sum(split.units):,} learners; from {SRM_UNITS} on it can be told whether it is as set"
    factor = f"{split.bayes_factor:.2g}"
    if split.alarm:
        return f"split: NOT as set (Bayes factor {factor}, over {SRM_ALARM:g}); do not trust the comparison"
    return f"split: as set (Bayes factor {factor}, alarm over {SRM_ALARM:g}), safe to look at any time"


def _difference(compared: Comparison, arms: Sequence[ArmReport]) -> list[Part]:
    told: list[Part] = [f"{visible(arms[1].name, 20)} less stable, by learner, 95 % at every look together:"]
    return told + [f"  {name}: {value}" for name, value in difference_pairs(compared, arms)]


def difference_pairs(compared: Comparison, arms: Sequence[ArmReport]) -> list[tuple[str, str]]:
    """What is compared, each with the difference in words."""
    graded = any(arm.graded.n for arm in arms)
    spoken = any(sum(arm.feedback.values()) for arm in arms)
    told = [
        ("graded right", _told(compared.graded) if graded else "nothing was graded"),
        ("accepted", _told(compared.accepted) if spoken else "no learner spoke about an answer"),
        ("errors", _told(compared.errors)),
    ]
    if compared.latency is not None:
        p = compared.latency_fixed_p
        once = f"; if looked at once: Welch p {p:.2g}" if p is not None else ""
        told.append(("latency", f"{milliseconds(compared.latency)}{once}"))
    return told


def _told(found: Difference | None) -> str:
    if found is None:
        return f"too few learners to tell (at least {FEW_UNITS} an arm, none of them nearly all of it)"
    return f"{points(found)}; if looked at once: z-test p {found.fixed_p:.2g}"


def _shadow(shadow: ShadowReport) -> list[Part]:
    pairs = shadow.pairs
    total = pairs.both + pairs.only_live + pairs.only_shadow + pairs.neither
    if not total:
        return ["no request was graded on both sides yet"]
    head = ("of both graded", "both right", "only live", "only shadow", "both wrong", "p")
    rows = [pairs, *shadow.buckets]
    cells = tuple(
        (visible(r.bucket, 40), f"{r.both:,}", f"{r.only_live:,}", f"{r.only_shadow:,}", f"{r.neither:,}", f"{r.p:.2g}")
        for r in rows
    )
    counted = "p counts each learner once, by which side did better for them; of a feature it is after Holm over all"
    return [Table(head, cells), counted]


def _inert(text: str) -> str:
    """Text in which Markdown and HTML see only text."""
    return "".join(f"&#{ord(char)};" if char in "@#`*<>&|\\[]~!$^{}_" or char == ":" else char for char in text)
