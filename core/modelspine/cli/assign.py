"""``spine assign``: the entry that is to answer a unit, for a service in any language."""

from __future__ import annotations

import argparse

import msgspec

from modelspine.cli.output import Cell, Out
from modelspine.cli.parser import Verbs
from modelspine.errors import Exit
from modelspine.spine import Spine
from modelspine.text import short, visible


def command(verbs: Verbs) -> None:
    """Add ``assign``."""
    assign = verbs.add(
        "assign", "say which entry is to answer a unit now", run_assign,
        details="A unit is a user, a customer, a device, or the id of one request. The same unit gets the same arm "
        "until the route changes. `spine collect` answers the same question over HTTP: GET /v1/assign?unit=UNIT.",
        example="spine assign customer-7 --json",
    )  # fmt: skip
    assign.add_argument("unit", metavar="UNIT")


def run_assign(args: argparse.Namespace, spine: Spine) -> int:
    """Show the assignment of a unit."""
    from modelspine.recording.assigning import assigned, route_in_force

    out = Out.of(args)
    found = assigned(route_in_force(spine.registry.state()), args.unit)
    if out.json:
        out.object(msgspec.to_builtins(found))
        return Exit.OK
    out.line(Cell(f"{found.semver} {short(found.entry_sha)}", "strong"), f"  answers {visible(found.unit, 80)}")
    out.pairs(
        [
            ("arm", f"{found.arm}, {found.strategy}, epoch #{found.epoch}, bucket {found.bucket:,}"),
            ("entry", found.entry_sha),
            ("set on the span", "  ".join(f"{name}={value}" for name, value in found.attributes.items())),
        ]
    )
    return Exit.OK
