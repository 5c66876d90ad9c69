"""``spine history``: the ledger's events in their order, and what those after a moment changed."""

from __future__ import annotations

import argparse
import time

from modelspine.cli.event_text import draw_events
from modelspine.cli.output import Out
from modelspine.cli.parser import AFTER, Verbs, at_flag, count, time_or_event
from modelspine.errors import Exit
from modelspine.ledger.state import entries_named
from modelspine.spine import Spine
from modelspine.times import ledger_time


def command(verbs: Verbs) -> None:
    """Add ``history``."""
    parser = verbs.add(
        "history", "list the ledger's events, oldest first", run, example="spine history --at 2026-11-22 --limit 20"
    )
    at_flag(parser, "only events up to this time")
    parser.add_argument(
        "--since",
        dest=AFTER,
        type=time_or_event,
        metavar="TIME",
        help="only events after this time, and what they changed",
    )
    parser.add_argument("--ref", metavar="REF", help="only events that name this entry")
    parser.add_argument("--limit", type=count, metavar="N", help="only the newest N events")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """List the events."""
    from modelspine.traffic.two_moments import as_object, between, between_pairs, between_sentence

    out = Out.of(args)
    events = spine.registry.events(args.at)
    changed = None
    if args.after is not None:
        changed = between(events, args.after, args.at or ledger_time(time.time_ns()))
        events = events[len(events) - changed.events :]
    if args.ref is not None:
        sha = spine.registry.resolve(args.ref, args.at)
        events = [event for event in events if sha in entries_named(event)]
    if args.limit is not None:
        events = events[max(len(events) - args.limit, 0) :]
    if out.json:
        found = {"events": events, "at": args.at, "since": args.after}
        out.object(found | ({"changed": as_object(changed)} if changed is not None else {}))
        return Exit.OK
    if changed is not None:
        out.paragraph(between_sentence(changed))
        out.pairs(between_pairs(changed))
        out.line()
    draw_events(out, events)
    return Exit.OK
