"""``spine history``: the ledger's events in their order."""

from __future__ import annotations

import argparse

from modelspine.cli.event_text import draw_events
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, count
from modelspine.errors import Exit
from modelspine.ledger.state import entries_named
from modelspine.spine import Spine
from modelspine.times import moment


def command(verbs: Verbs) -> None:
    """Add ``history``."""
    parser = verbs.add(
        "history", "list the ledger's events, oldest first", run, example="spine history --at 2026-11-22 --limit 20"
    )
    parser.add_argument("--at", type=moment, metavar="TIME", help="only events up to this time")
    parser.add_argument("--ref", metavar="REF", help="only events that name this entry")
    parser.add_argument("--limit", type=count, metavar="N", help="only the newest N events")


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
    draw_events(out, events)
    return Exit.OK
