"""``spine history``: what happened, in the ledger's order."""

from __future__ import annotations

import argparse

from modelspine.cli.event_text import told
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, count
from modelspine.errors import Exit
from modelspine.ledger.state import entries_named
from modelspine.spine import Spine
from modelspine.text import visible
from modelspine.times import moment


def command(verbs: Verbs) -> None:
    """Add ``history``."""
    parser = verbs.add(
        "history", "list the ledger's events, oldest first", run, example="spine history --at 2026-11-22 --limit 20"
    )
    parser.add_argument("--at", type=moment, metavar="TIME", help="up to then")
    parser.add_argument("--ref", metavar="REF", help="only what names this entry")
    parser.add_argument("--limit", type=count, metavar="N", help="the newest N")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """List the events."""
    out = Out.of(args)
    events = spine.registry.events(args.at)
    if args.ref is not None:
        sha = spine.registry.resolve(args.ref, args.at)
        events = [event for event in events if sha in entries_named(event)]
    if args.limit is not None:
        events = events[max(len(events) - args.limit, 0) :]
    if out.json:
        out.object({"events": events, "at": args.at})
        return Exit.OK
    rows = [(f"#{e.seq}", e.at, visible(e.actor, 30), visible(e.kind, 20), told(e)) for e in events]
    out.table(("seq", "at", "actor", "kind", "what"), rows, right=("seq",))
    return Exit.OK
