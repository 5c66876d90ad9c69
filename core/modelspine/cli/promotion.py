"""The verbs that change entries: ``promote``, ``rollback``, ``release``, ``tombstone``, ``note``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelspine.cli.errors import print_note
from modelspine.cli.event_text import entry_name, event_summary
from modelspine.cli.output import Out, status_cell
from modelspine.cli.parser import Verbs, change_flags
from modelspine.cli.progress import Progress, working
from modelspine.cli.rollback_cost import CostNotice, preview_rollback
from modelspine.errors import Exit
from modelspine.ledger.transactions import PATIENCE, Receipt, patiently
from modelspine.spine import Spine

if TYPE_CHECKING:  # imported by the commands that change the route
    from modelspine.traffic.commands import Routing

LOCKED = "waiting, because another process keeps the ledger locked"
"""Shown while a change that stops harm waits."""


def command(verbs: Verbs) -> None:
    """Add the verbs."""
    promote = verbs.add(
        "promote", "promote an entry: bind a semver to it", run_promote,
        details="The first promotion of a ledger also routes all traffic to the entry.",
        example='spine promote 4be1 --semver v0.1.0 --reason "first model"', writes=True,
    )  # fmt: skip
    promote.add_argument("ref", metavar="REF")
    promote.add_argument("--semver", required=True, metavar="vX.Y.Z", help="the version; it never names another entry")
    promote.add_argument("--verdict", type=Path, metavar="F", help="the signed verdict that `spine gate --sign` wrote")
    promote.add_argument(
        "--override-gate",
        action="store_true",
        help="dev ledgers only: promote despite a failed gate, on record",
    )
    change_flags(promote)
    _rollback(verbs)
    release = verbs.add(
        "release", "release a held entry so that it may take traffic again", run_release,
        example='spine release v0.2.0 --reason "the report was about another model"', writes=True,
    )  # fmt: skip
    release.add_argument("ref", metavar="REF")
    change_flags(release)
    tombstone = verbs.add(
        "tombstone", "mark an entry as never to be used again", run_tombstone,
        details="Tombstones are permanent; nothing is deleted. A prod ledger refuses it for the floor, the best entry "
        "that was ever in production, until `floor_excludes` of the committed baseline names that entry.",
        example='spine tombstone 1d0b --reason "trained on the wrong corpus"', writes=True,
    )  # fmt: skip
    tombstone.add_argument("ref", metavar="REF")
    change_flags(tombstone)
    note = verbs.add(
        "note", "append a note to the ledger", run_note,
        example='spine note "the eval set was reviewed" --ref v0.1.0', writes=True,
    )  # fmt: skip
    note.add_argument("text", metavar="TEXT")
    note.add_argument("--ref", metavar="REF", help="the entry it is about")
    change_flags(note, reason=False, expect=False)


def _rollback(verbs: Verbs) -> None:
    rollback = verbs.add(
        "rollback", "route all traffic back to an earlier stable entry", run_rollback,
        details="The replaced entries are put on hold. What this gave up is printed after the change, which never "
        "waits for it: the bucket of the eval set that loses most, and the complaints of users that come "
        "back. With --dry-run, both entries also answer the newest stored requests, and nothing is changed.",
        example='spine rollback v0.1.0 --reason "accepts goed"', writes=True,
    )  # fmt: skip
    rollback.add_argument("ref", metavar="REF")
    rollback.add_argument(
        "--reason", default="", metavar="TEXT", help="the reason, recorded in the ledger; required without --dry-run"
    )
    rollback.add_argument("--dry-run", action="store_true", help="show what it would do and cost; change nothing")
    change_flags(rollback, reason=False)


def run_promote(args: argparse.Namespace, spine: Spine) -> int:
    """Bind a semver to an entry."""
    from modelspine.release.promotion import read_attempt

    verdict = read_attempt(spine, args.verdict) if args.verdict is not None else None
    asked = {"override": args.override_gate, "expected": args.expect, "key": args.key}
    with working("hashing the bundle"):
        receipt = spine.registry.promote(args.ref, args.semver, reason=args.reason, verdict=verdict, **asked)
    out = Out.of(args)
    code = show_receipt(out, receipt)
    route = spine.registry.route()
    if not out.json and receipt.created and route is not None and route.epoch == receipt.seq + 1:
        out.line(f"#{route.epoch} routed {entry_name(receipt.sha, args.semver)} all traffic: the first promotion")
    return code


def run_rollback(args: argparse.Namespace, spine: Spine) -> int:
    """Give all traffic back to an earlier entry, or show what that would mean."""
    out = Out.of(args)
    if args.dry_run:
        return preview_rollback(out, spine, args.ref)
    cost = CostNotice(out, spine, args.ref, always=True)
    with working("hashing the bundle") as progress:
        receipt = patient_routing(spine, progress).rollback(
            args.ref, reason=args.reason, expected=args.expect, key=args.key, announce=cost
        )
    return show_change_and_cost(out, receipt, cost)


def patient_routing(spine: Spine, progress: Progress) -> Routing:
    """The operations on the route, opened and used with patience for a locked ledger, which is shown."""
    told = False

    def waiting() -> None:
        nonlocal told
        progress.show(LOCKED)
        if not told and not sys.stderr.isatty():
            print_note(f"{LOCKED}; for up to {PATIENCE:.0f} s")
        told = True

    routing = patiently(lambda: spine.routing, waiting)
    routing.locked = waiting
    return routing


def run_release(args: argparse.Namespace, spine: Spine) -> int:
    """Release an entry that was held."""
    receipt = spine.registry.release(args.ref, reason=args.reason, expected=args.expect, key=args.key)
    return show_receipt(Out.of(args), receipt)


def run_tombstone(args: argparse.Namespace, spine: Spine) -> int:
    """Mark an entry as permanently unusable."""
    from modelspine.release.promotion import tombstone

    receipt = tombstone(spine, args.ref, reason=args.reason, expected=args.expect, key=args.key)
    return show_receipt(Out.of(args), receipt)


def run_note(args: argparse.Namespace, spine: Spine) -> int:
    """Write a remark into the ledger."""
    sha = spine.registry.resolve(args.ref) if args.ref is not None else None
    return show_receipt(Out.of(args), spine.registry.note(args.text, ref=sha, key=args.key))


def show_change_and_cost(out: Out, receipt: Receipt, cost: CostNotice) -> int:
    """Show the event of going back, and then what that costs, which takes a moment to find."""
    if not out.json:
        code = show_receipt(out, receipt)
        cost.show()
        return code
    cost.show()
    return show_receipt(out, receipt, cost=cost.found)


def show_receipt(out: Out, receipt: Receipt, **more: Any) -> int:
    """Show the event a change wrote; ``more`` appears only in the JSON."""
    event = receipt.event
    if out.json:
        answer: dict[str, Any] = {
            "seq": receipt.seq,
            "sha": receipt.sha,
            "created": receipt.created,
            "kind": event.kind,
            "warnings": receipt.warnings,
            **more,
        }
        out.object(answer)
        return Exit.OK
    repeated = "" if receipt.created else "  (already so; nothing was changed)"
    out.line(f"#{receipt.seq} {event.kind} {event_summary(event)}{repeated}")
    for warning in receipt.warnings:
        out.line("   ", status_cell("warn", warning))
    return Exit.OK
