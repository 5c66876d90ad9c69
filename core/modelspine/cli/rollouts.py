"""The verbs of ``spine route`` that move traffic, from ``single`` to ``abort``."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelspine.cli.event_text import told
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, change_flags
from modelspine.cli.progress import working
from modelspine.cli.promotion import receipt_told
from modelspine.ledger.route import FULL, Guard, Ladder, weight_of
from modelspine.spine import Spine


def command(nested: Verbs) -> None:
    """Add the verbs."""
    single = nested.add(
        "single", "give all traffic to one promoted entry", run_single,
        example='spine route single v0.3.0 --reason "mends go"', writes=True,
    )  # fmt: skip
    single.add_argument("ref", metavar="REF")
    ab = nested.add(
        "ab", "let a promoted entry answer a share of the learners, to compare the two", run_ab,
        example='spine route ab v0.3.0 --weight 5000 --reason "which is liked more?"', writes=True,
    )  # fmt: skip
    ab.add_argument("ref", metavar="REF")
    ab.add_argument(
        "--weight", type=weight_of, default=FULL // 2, metavar="BP", help="its share, basis points or 50%% (half)"
    )
    shadow = nested.add(
        "shadow", "copy requests to an entry whose answers nobody sees", run_shadow,
        example='spine route shadow v0.3.0 --share 2000 --reason "what would it say?"', writes=True,
    )  # fmt: skip
    shadow.add_argument("ref", metavar="REF", help="an entry; it may be pending or held")
    shadow.add_argument(
        "--share", type=weight_of, default=FULL, metavar="BP", help="share copied, basis points or 20%% (all)"
    )
    canary = nested.add(
        "canary", "let a promoted entry answer few learners, then more while it does no worse", run_canary,
        example='spine route canary v0.3.0 --steps ladder.toml --reason "mends go"', writes=True,
    )  # fmt: skip
    canary.add_argument("ref", metavar="REF")
    canary.add_argument(
        "--weight", type=weight_of, metavar="BP", help="begin here; without --steps it never advances by itself"
    )
    canary.add_argument("--steps", type=Path, metavar="F", help="a JSON or TOML ladder (default: 1, 10, 50, 100 %%)")
    weight = nested.add(
        "weight", "give what is tried out another weight; a canary then waits for `advance`", run_weight,
        example='spine route weight 2500 --reason "more of it"', writes=True,
    )  # fmt: skip
    weight.add_argument("weight", type=weight_of, metavar="BP", help="basis points, or a percentage: 25%% is 2500")
    advance = nested.add(
        "advance", "take the canary to its next step; behind the last one it is stable", run_advance,
        example='spine route advance --reason "looked at by hand"', writes=True,
    )  # fmt: skip
    abort = nested.add(
        "abort", "end what is tried out: the route before it is in force again, the entry is held", run_abort,
        example='spine route abort --reason "slow on long sentences"', writes=True,
    )  # fmt: skip
    for parser in (single, ab, shadow, canary, weight, advance, abort):
        change_flags(parser)


def run_single(args: argparse.Namespace, spine: Spine) -> int:
    """Route everything to one entry."""
    with working("hashing the bundle"):
        receipt = spine.routing.single(args.ref, reason=args.reason, expected=args.expect, key=args.key)
    return receipt_told(Out.of(args), receipt)


def run_ab(args: argparse.Namespace, spine: Spine) -> int:
    """Begin an A/B comparison."""
    with working("hashing the bundles"):
        receipt = spine.routing.ab(
            args.ref, weight_bp=args.weight, reason=args.reason, expected=args.expect, key=args.key
        )
    return receipt_told(Out.of(args), receipt)


def run_shadow(args: argparse.Namespace, spine: Spine) -> int:
    """Begin to copy requests."""
    with working("hashing the bundles"):
        receipt = spine.routing.shadow(
            args.ref, share_bp=args.share, reason=args.reason, expected=args.expect, key=args.key
        )
    return receipt_told(Out.of(args), receipt)


def run_canary(args: argparse.Namespace, spine: Spine) -> int:
    """Begin a canary; its worst exposure is told before it is written down."""
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
                out.line(f"worst exposure: {found.summary}")

    with working("hashing the bundles"):
        receipt = spine.routing.canary(
            args.ref,
            weight_bp=args.weight,
            ladder=ladder,
            reason=args.reason,
            expected=args.expect,
            key=args.key,
            announce=announce,
        )
    return receipt_told(out, receipt, worst_exposure=exposed or None)


def run_weight(args: argparse.Namespace, spine: Spine) -> int:
    """Change the weight of what is tried out."""
    with working("hashing the bundles"):
        receipt = spine.routing.weigh(args.weight, reason=args.reason, expected=args.expect, key=args.key)
    return receipt_told(Out.of(args), receipt)


def run_advance(args: argparse.Namespace, spine: Spine) -> int:
    """Take the canary one step on."""
    with working("hashing the bundles"):
        receipt = spine.routing.advance(reason=args.reason, expected=args.expect, key=args.key)
    return receipt_told(Out.of(args), receipt)


def run_abort(args: argparse.Namespace, spine: Spine) -> int:
    """End what is tried out."""
    receipt = spine.routing.abort(reason=args.reason, expected=args.expect, key=args.key)
    out = Out.of(args)
    code = receipt_told(out, receipt)
    held = spine.registry.events()[receipt.seq : receipt.seq + 1]
    if receipt.created and not out.json and held and held[0].kind == "held":
        out.line(f"#{held[0].seq} held {told(held[0])}")
    return code
