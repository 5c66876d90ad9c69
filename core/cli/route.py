"""``spine route show`` and ``spine route single``: who answers whom."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from core.cli.changes import receipt_told
from core.cli.parser import Verbs, change_flags
from core.cli.progress import working
from core.cli.render import Out
from core.errors import Exit
from core.spine import Spine
from core.text import short, visible
from core.times import moment
from core.traffic import FULL


def command(verbs: Verbs) -> None:
    """Add ``route`` with its verbs."""
    nested = verbs.add("route", "show or change which entries answer learners").add_verbs()
    show = nested.add("show", "show how traffic is divided", run_show, example="spine route show --at 2026-11-22")
    show.add_argument("--at", type=moment, metavar="TIME", help="as it was then")
    single = nested.add(
        "single", "give all traffic to one promoted entry", run_single,
        example='spine route single v0.3.0 --reason "mends go"', writes=True,
    )  # fmt: skip
    single.add_argument("ref", metavar="REF")
    change_flags(single)


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the route."""
    out = Out.of(args)
    route = spine.registry.route(args.at)
    if out.json:
        nothing: dict[str, Any] = {"strategy": None, "epoch": None, "salt": None, "arms": []}
        out.object((msgspec.to_builtins(route) if route else nothing) | {"at": args.at})
    elif route is None:
        out.line("nothing is routed yet; the first promotion routes to what it promotes")
    else:
        opened = spine.registry.events()[route.epoch - 1]
        out.line(f"{route.strategy}, epoch #{route.epoch} since {opened.at}, salt {visible(route.salt, 60)}")
        rows = [
            (visible(a.name), visible(a.semver), short(a.sha), f"{100 * a.weight_bp / FULL:.2f}") for a in route.arms
        ]
        out.table(("arm", "semver", "sha", "weight %"), rows, right=("weight %",))
    return Exit.OK


def run_single(args: argparse.Namespace, spine: Spine) -> int:
    """Route everything to one entry."""
    with working("hashing the bundle"):
        receipt = spine.registry.route_single(args.ref, reason=args.reason, expected=args.expect, key=args.key)
    return receipt_told(Out.of(args), receipt)
