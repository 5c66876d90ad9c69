"""The verbs of ``spine route`` that change the route, from ``single`` to ``abort``."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelspine.cli.event_text import event_summary
from modelspine.cli.output import Cell, Out
from modelspine.cli.parser import Verbs, change_flags
from modelspine.cli.progress import working
from modelspine.cli.promotion import patient_routing, show_change_and_cost, show_receipt
from modelspine.cli.rollback_cost import CostNotice
from modelspine.ledger.route import FULL, Guard, Ladder, weight_of
from modelspine.spine import Spine


def command(nested: Verbs) -> None:
    """Add the verbs."""
    single = nested.add(
        "single", "give all traffic to one promoted entry", run_single,
        details="For an entry that was stable before, it first prints what going back gives up, as `rollback` does.",
        example='spine route single v0.3.0 --reason "fixes go"', writes=True,
    )  # fmt: skip
    single.add_argument("ref", metavar="REF")
    ab = nested.add(
        "ab", "start an A/B test: a promoted entry answers a share of the users", run_ab,
        example='spine route ab v0.3.0 --weight 5000 --reason "which do users prefer?"', writes=True,
    )  # fmt: skip
    ab.add_argument("ref", metavar="REF")
    ab.add_argument(
        "--weight", type=weight_of, default=FULL // 2, metavar="BP",
        help="its share in basis points or per cent (default: 50%%)",
    )  # fmt: skip
    shadow = nested.add(
        "shadow", "copy requests to an entry without showing its answers", run_shadow,
        example='spine route shadow v0.3.0 --share 2000 --reason "compare its answers"', writes=True,
    )  # fmt: skip
    shadow.add_argument("ref", metavar="REF", help="the entry; it may be pending or held")
    shadow.add_argument(
        "--share", type=weight_of, default=FULL, metavar="BP",
        help="the share to copy, in basis points or per cent (default: 100%%)",
    )  # fmt: skip
    canary = nested.add(
        "canary", "roll a promoted entry out step by step while its guard holds", run_canary,
        example='spine route canary v0.3.0 --steps ladder.toml --reason "fixes go"', writes=True,
    )  # fmt: skip
    canary.add_argument("ref", metavar="REF")
    canary.add_argument(
        "--weight", type=weight_of, metavar="BP",
        help="the first weight; without --steps the canary does not advance automatically",
    )  # fmt: skip
    canary.add_argument(
        "--steps", type=Path, metavar="F", help="file of steps, JSON or TOML (default: 1, 10, 50, 100%%)"
    )
    advance = nested.add(
        "advance", "move the rollout to its next step or to a given weight", run_advance,
        details="After its last step, a canary becomes the stable arm. At a weight set by hand, it stays until the "
        "next `advance`.",
        example='spine route advance --weight 2500 --reason "no regressions so far"', writes=True,
    )  # fmt: skip
    advance.add_argument(
        "--weight", type=weight_of, metavar="BP",
        help="the new weight in basis points or per cent (2500 is 25%%); default: the next step",
    )  # fmt: skip
    abort = nested.add(
        "abort", "end the rollout: restore the previous route and put the entry on hold", run_abort,
        example='spine route abort --reason "slow on long inputs"', writes=True,
    )  # fmt: skip
    for parser in (single, ab, canary, advance):
        parser.add_argument(
            "--override-gate", action="store_true", help="dev ledgers only: despite a failed gate, on record"
        )
    for parser in (single, ab, shadow, canary, advance, abort):
        change_flags(parser)


def run_single(args: argparse.Namespace, spine: Spine) -> int:
    """Route all traffic to one entry; for one that was stable before, with what going back costs."""
    out = Out.of(args)
    cost = CostNotice(out, spine, args.ref, always=False)
    with working("hashing the bundle"):
        receipt = spine.routing.single(args.ref, **_asked(args), announce=cost)
    return show_change_and_cost(out, receipt, cost)


def run_ab(args: argparse.Namespace, spine: Spine) -> int:
    """Begin an A/B comparison."""
    with working("hashing the bundles"):
        receipt = spine.routing.ab(args.ref, weight_bp=args.weight, **_asked(args))
    return show_receipt(Out.of(args), receipt)


def run_shadow(args: argparse.Namespace, spine: Spine) -> int:
    """Begin to copy requests to an entry."""
    with working("hashing the bundles"):
        receipt = spine.routing.shadow(
            args.ref, share_bp=args.share, reason=args.reason, expected=args.expect, key=args.key
        )
    return show_receipt(Out.of(args), receipt)


def run_canary(args: argparse.Namespace, spine: Spine) -> int:
    """Begin a canary; its blast radius is printed before the event is written."""
    from modelspine.traffic.ladder import read_ladder
    from modelspine.traffic.request_rate import blast_radius, known_rate

    ladder: Ladder | None = read_ladder(args.steps) if args.steps is not None else None
    out = Out.of(args)
    exposed: dict[str, float | None] = {}

    def announce(weight_bp: int, guard: Guard) -> None:
        if not exposed:
            found = blast_radius(weight_bp, guard, known_rate(lambda: spine.traces))
            exposed.update(answers=found.answers, requests_per_second=found.requests_per_second)
            if not out.json:
                out.line(f"blast radius: {found.summary}")

    with working("hashing the bundles"):
        receipt = spine.routing.canary(
            args.ref, weight_bp=args.weight, ladder=ladder, announce=announce, **_asked(args)
        )
    return show_receipt(out, receipt, worst_exposure=exposed or None)


def run_advance(args: argparse.Namespace, spine: Spine) -> int:
    """Move the rollout to its next step, or to the weight that was given; say what a step by hand skips."""
    from modelspine.traffic.canary import decision_now
    from modelspine.traffic.ladder_progress import skipped_by_advancing

    change = _asked(args)
    decision, problem = decision_now(spine.registry, lambda: spine.traces, datetime.now(UTC))
    change["judged"] = decision.judged if decision is not None else None
    with working("hashing the bundles"):
        receipt = spine.routing.advance(**change) if args.weight is None else spine.routing.weigh(args.weight, **change)
    out = Out.of(args)
    if args.weight is not None or not receipt.created:
        return show_receipt(out, receipt)
    skipped = skipped_by_advancing(decision, problem or "")
    code = show_receipt(out, receipt, skipped=skipped)
    if not out.json:
        for text in skipped:
            out.line(Cell(f"   ! skipped {text}", "warn"))
    return code


def run_abort(args: argparse.Namespace, spine: Spine) -> int:
    """End the rollout and hold its candidate."""
    with working("aborting") as progress:
        receipt = patient_routing(spine, progress).abort(reason=args.reason, expected=args.expect, key=args.key)
    out = Out.of(args)
    code = show_receipt(out, receipt)
    held = spine.registry.events()[receipt.seq : receipt.seq + 1]
    if receipt.created and not out.json and held and held[0].kind == "held":
        out.line(f"#{held[0].seq} held {event_summary(held[0])}")
    return code


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """What every change that can give an entry more traffic takes."""
    return {"reason": args.reason, "override": args.override_gate, "expected": args.expect, "key": args.key}
