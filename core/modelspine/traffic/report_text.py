"""A route report as plain text or Markdown, both rendered from one list of tables and sentences.

Names come from the ledger and from learners' text, so control characters are made visible and Markdown is escaped.
It does not measure, colour or print.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelspine.stats import FEW_UNITS, SRM_ALARM, SRM_UNITS, Difference
from modelspine.text import short, visible
from modelspine.traffic.difference_text import milliseconds, points
from modelspine.traffic.report import OUTCOMES, ArmReport, Comparison, ShadowReport, Split
from modelspine.traffic.rollout_report import RolloutReport, RouteReport
from modelspine.traffic.rollout_text import (
    EPOCHS,
    epoch_rows,
    how_pooled,
    left_out_texts,
    measure_pairs,
    moved_texts,
    noted_texts,
    pooled_pairs,
    whole_text,
    window_text,
)
from modelspine.traffic.sentences import labelled_text, report_sentence
from modelspine.words import words


class Table(msgspec.Struct, frozen=True):
    """A table whose cells are safe on a terminal; every column but the first is right-aligned."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Part = Table | str
ARMS = ("arm", "model", "target %", "actual %", "requests", "units", "p50 ms", "p95", "p99", "errors", "graded correct")


def parts(report: RouteReport) -> list[Part]:
    """The tables and sentences of a report, in reading order."""
    found: list[Part] = [
        report_sentence(report),
        f"{report.strategy}, epoch #{report.epoch} since {visible(report.since, 40)}, rollout #{report.rollout}",
        Table((*ARMS, *OUTCOMES), tuple(_arm(arm) for arm in report.arms)),
        window_text(report),
    ]
    found += [f"note: {text}" for text in noted_texts(report)]
    if report.labels:
        found.append(labelled_text(report.arms))
    if report.split is not None:
        found.append(split_text(report.split))
    if report.difference is not None:
        found.append(f"{visible(report.arms[1].name, 20)} − stable, by {words().unit}, 95 % always-valid intervals:")
        found += [f"  {name}: {value}" for name, value in difference_pairs(report.difference, report.arms)]
    if report.shadow is not None:
        found += _shadow(report.shadow)
    if report.whole is not None:
        found += _whole(report.whole)
    elif report.epochs_in_rollout == 1 and len(report.arms) > 1:
        found.append(f"this is the only epoch of rollout #{report.rollout}")
    if report.left_out:
        found.append("left out:")
        found += [f"  {text}" for text in left_out_texts(report.left_out)]
    return found


def _whole(whole: RolloutReport) -> list[Part]:
    found: list[Part] = [whole_text(whole), Table(EPOCHS, tuple(epoch_rows(whole)))]
    if whole.moved:
        found.append("what changed:")
        found += [f"  {text}" for text in moved_texts(whole.moved)]
    if whole.difference is not None:
        found.append(f"{visible(whole.epochs[-1].arms[1].name, 20)} − stable over the rollout, {how_pooled()}:")
        found += [f"  {name}: {value}" for name, value in pooled_pairs(whole.difference, whole.arms)]
    if whole.shadow is not None:
        found += _shadow(whole.shadow)
    return found


def markdown(report: RouteReport) -> str:
    """Render a report as GitHub Markdown."""
    found = ["### Route", ""]
    for part in parts(report):
        if isinstance(part, str):
            found += [_escaped(part), ""]
            continue
        rule = [":---", *["---:"] * (len(part.head) - 1)]
        rows = [part.head, rule, *([_escaped(cell) for cell in row] for row in part.rows)]
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


def split_text(split: Split) -> str:
    """The result of the sample-ratio check as one line of text."""
    if split.bayes_factor is None:
        return f"split: not enough data for the sample-ratio check (n = {sum(split.units):,}, needs {SRM_UNITS})"
    factor = f"{split.bayes_factor:.2g}"
    if split.alarm:
        return f"split: sample-ratio mismatch (Bayes factor {factor}, over {SRM_ALARM:g}); do not trust the comparison"
    return f"split: matches the weights (Bayes factor {factor}, alarm over {SRM_ALARM:g}; valid at any time)"


def difference_pairs(compared: Comparison, arms: Sequence[ArmReport]) -> list[tuple[str, str]]:
    """The compared measures, each with its difference as text."""
    graded, accepted, errors = map(_difference_text, (compared.graded, compared.accepted, compared.errors))
    coverage = _difference_text(compared.coverage) if compared.coverage is not None else ""
    pairs = measure_pairs(arms, graded, accepted, errors, coverage)
    if compared.latency is not None:
        p = compared.latency_fixed_p
        fixed = f"; fixed-horizon Welch test p {p:.2g}" if p is not None else ""
        pairs.append(("latency", f"{milliseconds(compared.latency)}{fixed}"))
    return pairs


def _difference_text(found: Difference | None) -> str:
    if found is None:
        return f"not enough {words().units} (minimum {FEW_UNITS} per arm, none dominating)"
    return f"{points(found)}; fixed-horizon z-test p {found.fixed_p:.2g}"


def _shadow(shadow: ShadowReport) -> list[Part]:
    pairs = shadow.pairs
    total = pairs.both + pairs.only_live + pairs.only_shadow + pairs.neither
    if not total:
        return ["not enough data: no request was graded on both arms"]
    head = ("graded on both", "both correct", "only live", "only shadow", "both wrong", "p")
    rows = [pairs, *shadow.buckets]
    cells = tuple(
        (visible(r.bucket, 40), f"{r.both:,}", f"{r.only_live:,}", f"{r.only_shadow:,}", f"{r.neither:,}", f"{r.p:.2g}")
        for r in rows
    )
    note = f"p: McNemar test, one vote per {words().unit}; Holm-corrected over all features"
    return [Table(head, cells), note]


def _escaped(text: str) -> str:
    """Escape every character that could start Markdown or HTML; a colon could start a link or an emoji."""
    return "".join(f"&#{ord(char)};" if char in "@#`*<>&|\\[]~!$^{}_" or char == ":" else char for char in text)
