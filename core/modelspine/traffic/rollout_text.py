"""A whole rollout in words: its size, its epochs, what changed, the pooled differences, and what is left out.

The CLI and the console draw the same texts. It does not measure, colour or print.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelspine.stats import FEW_UNITS
from modelspine.text import counted, visible
from modelspine.traffic.difference_text import milliseconds, points
from modelspine.traffic.epochs import Move
from modelspine.traffic.report import ArmReport, EpochReport
from modelspine.traffic.rollout_report import ArmTotal, NotCompared, PooledComparison, RolloutReport, RouteReport
from modelspine.traffic.stratified import Pooled
from modelspine.words import words

EPOCHS = ("epoch", "since", "weight %", "requests", "units", "graded, stable", "graded, candidate", "difference pp")


def how_pooled() -> str:
    """How the epochs of a rollout were put together."""
    return f"each epoch compared by itself, then weighted by inverse variance; variance by {words().unit}, always-valid"


def window_text(report: EpochReport) -> str:
    """When the requests of an epoch came, as one line of text.

    Where they were replayed with times before the epoch, the simulated time stands beside the ledger's.
    """
    window = report.window
    if window.first is None or window.last is None:
        return "no requests in this epoch"
    text = f"requests from {window.first[:19]}Z to {window.last[:19]}Z"
    if window.last >= report.since:
        return text
    if window.misdated:
        return f"{text}; the ledger dates the epoch {visible(report.since[:19], 40)}Z, so one of the clocks is wrong"
    until = f"to {visible(report.until[:19], 40)}Z" if report.until is not None else "on"
    return f"replay: {text}, simulated; by the ledger's clock from {visible(report.since[:19], 40)}Z {until}"


def whole_text(whole: RolloutReport) -> str:
    """The size of a rollout as one line of text."""
    until = f" to {visible(whole.until[:19], 40)}Z" if whole.until is not None else ", in progress"
    size = f"{counted(whole.requests, 'request')} by {words().count_units(whole.units)} in {len(whole.epochs)} epochs"
    switched = f"; {whole.switched:,} changed arm with the weight" if whole.switched else ""
    return f"whole rollout #{whole.rollout}, from {visible(whole.since[:19], 40)}Z{until}: {size}{switched}"


def noted_texts(report: RouteReport) -> list[str]:
    """What to know beside the figures of an epoch, and of the other epochs of its rollout, each as one line of text."""
    others = report.whole.epochs if report.whole is not None else ()
    return [
        *report.notes,
        *(f"epoch #{each.epoch}: {note}" for each in others if each.epoch != report.epoch for note in each.notes),
    ]


def epoch_rows(whole: RolloutReport) -> Iterator[tuple[str, ...]]:
    """A row of ``EPOCHS`` for each epoch, then one for all of them."""
    for each in whole.epochs:
        yield (*_epoch_cells(each), *_graded(each.arms), _graded_difference(each))
    pooled = whole.difference.graded if whole.difference is not None else None
    total = f"{whole.requests:,}", f"{whole.units:,}"
    difference = f"{100 * pooled.difference.value:+.1f}" if pooled is not None else "–"
    yield ("all", "", "", *total, *_graded(whole.arms), difference)


def _epoch_cells(each: EpochReport) -> tuple[str, ...]:
    live = each.arms[:1] if each.shadow is not None else each.arms
    numbers = sum(arm.requests for arm in live), sum(arm.units for arm in live)
    weight = f"{each.arms[-1].set_bp / 100:g}"
    return f"#{each.epoch}", f"{visible(each.since[:19], 40)}Z", weight, *(f"{number:,}" for number in numbers)


def _graded(arms: Sequence[ArmReport] | Sequence[ArmTotal]) -> tuple[str, str]:
    found = [f"{arm.graded.k:,}/{arm.graded.n:,}" if arm.graded.n else "–" for arm in arms]
    return found[0], found[1] if len(found) > 1 else "–"


def _graded_difference(each: EpochReport) -> str:
    graded = each.difference.graded if each.difference is not None else None
    return f"{100 * graded.value:+.1f}" if graded is not None else "–"


def moved_texts(moved: Sequence[Move]) -> list[str]:
    """What changed during a rollout, each as one line of text."""
    return [
        f"#{move.seq} {visible(move.at[:19], 40)}Z {move.what}"
        + (f" — {visible(move.reason, 200)}" if move.reason else "")
        for move in moved
    ]


def measure_pairs(
    arms: Sequence[ArmReport | ArmTotal], graded: str, accepted: str, errors: str, coverage: str = ""
) -> list[tuple[str, str]]:
    """The measures that every comparison has, each with its text, or with why there is nothing to compare.

    ``coverage`` is the difference of the shares of answers that have a grade; it is left out where it is empty.
    """
    is_graded = any(arm.graded.n for arm in arms)
    has_feedback = any(sum(arm.feedback.values()) for arm in arms)
    shares = ", ".join(f"{visible(arm.name, 20)} {arm.graded.n:,} of {arm.answered:,}" for arm in reversed(arms))
    return [
        ("graded correct", graded if is_graded else "no answer was graded"),
        *([("have a grade", f"{shares}; {coverage}")] if coverage else []),
        ("accepted", accepted if has_feedback else "no feedback"),
        ("errors", errors),
    ]


def pooled_pairs(compared: PooledComparison, arms: Sequence[ArmTotal]) -> list[tuple[str, str]]:
    """The measures compared over a rollout, each with its difference as text."""
    graded, accepted, errors = map(_pooled_text, (compared.graded, compared.accepted, compared.errors))
    coverage = _pooled_text(compared.coverage) if compared.coverage is not None else ""
    pairs = measure_pairs(arms, graded, accepted, errors, coverage)
    if compared.latency is not None:
        pairs.append(("latency", f"{milliseconds(compared.latency.difference)}; {_basis(compared.latency)}"))
    return pairs


def _pooled_text(found: Pooled | None) -> str:
    if found is None:
        return f"not enough {words().units} in any epoch (minimum {FEW_UNITS} per arm, none dominating)"
    return f"{points(found.difference)}; {_basis(found)}; fixed-horizon z-test p {found.difference.fixed_p:.2g}"


def _basis(found: Pooled) -> str:
    return f"{words().count_units(found.units)} of {', '.join(f'#{number}' for number in found.epochs)}"


def left_out_texts(left_out: Sequence[NotCompared]) -> list[str]:
    """What the comparison does not count, each as one line of text."""
    return [f"{visible(each.what, 60)} (n = {each.n:,}): {each.why}" for each in left_out]
