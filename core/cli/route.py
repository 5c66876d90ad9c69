"""``spine route``: who answers whom, what the arms did, and the verbs of ``core.cli.rollouts`` that change it."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from core.cli import rollouts
from core.cli.parser import Verbs, count
from core.cli.progress import working
from core.cli.render import Out
from core.errors import BadInput, Exit, SpineError
from core.spine import Spine
from core.text import short, visible
from core.times import moment
from core.traffic import FULL, Ladder, Route

if TYPE_CHECKING:  # a plain `route show` should not wait for statistics
    from core.canary import Decision


def command(verbs: Verbs) -> None:
    """Add ``route`` with its verbs."""
    nested = verbs.add("route", "show, measure or change which entries answer learners").add_verbs()
    show = nested.add("show", "show how traffic is divided", run_show, example="spine route show --at 2026-11-22")
    show.add_argument("--at", type=moment, metavar="TIME", help="as it was then")
    report = nested.add(
        "report", "compare the arms: latency, errors, feedback, right answers, and whether that is chance", run_report,
        example="spine route report --md report.md",
    )  # fmt: skip
    report.add_argument("--epoch", type=count, metavar="N", help="the seq of a route event (default: the one in force)")
    report.add_argument("--md", type=Path, metavar="F", help="also write it as Markdown")
    rollouts.command(nested)


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the route."""
    out = Out.of(args)
    route = spine.registry.route(args.at)
    if route is None:
        if out.json:
            nothing: dict[str, Any] = {"strategy": None, "epoch": None, "salt": None, "arms": []}
            out.object(nothing | {"at": args.at})
        else:
            out.line("nothing is routed yet; the first promotion routes to what it promotes")
        return Exit.OK
    since = spine.registry.events()[route.epoch - 1].at
    decision, problem = (None, None) if args.at else _considered(spine, route, since)
    if out.json:
        more = {"at": args.at, "since": since, "canary": msgspec.to_builtins(decision), "problem": problem}
        out.object({"ladder": None} | msgspec.to_builtins(route) | more)
        return Exit.OK
    out.line(f"{route.strategy}, epoch #{route.epoch} since {since}, salt {visible(route.salt, 60)}")
    rows = [(visible(a.name), visible(a.semver), short(a.sha), f"{100 * a.weight_bp / FULL:.2f}") for a in route.arms]
    share = "copied %" if route.shadow else "weight %"
    if route.shadow:
        rows[0] = (*rows[0][:3], "–")
    out.table(("arm", "semver", "sha", share), rows, right=(share,))
    if route.ladder is not None:
        _show_canary(out, route.ladder, decision, problem)
    return Exit.OK


def _considered(spine: Spine, route: Route, since: str) -> tuple[Decision | None, str | None]:
    """What a canary's traces say now, or why they say nothing."""
    if route.ladder is None:
        return None, None
    from core.canary import consider, nanoseconds
    from core.ledger import storage_errors

    try:
        with storage_errors():
            since_ns = nanoseconds(datetime.fromisoformat(since))
            return consider(spine.traces.evidence, route, since_ns, datetime.now(UTC)), None
    except SpineError as error:
        return None, error.message


def _show_canary(out: Out, ladder: Ladder, decision: Decision | None, problem: str | None) -> None:
    signs = ["✔" if at < ladder.at else "◐" if at == ladder.at else "○" for at in range(len(ladder.steps))]
    rungs = " ── ".join(f"{s.weight_bp / 100:g} % {sign}" for s, sign in zip(ladder.steps, signs, strict=True))
    out.line(f"ladder   {rungs}")
    if decision is not None:
        out.line(f"verdict  {decision.verdict}: {visible(decision.reason, 300)}")
        held = "; ".join(decision.waits_for)
        out.line(f"waits    for {held}" if held else "waits    for nothing: it advances at the next look")
    elif problem is not None:
        out.line(out.paint(f"verdict  unknown: {visible(problem, 200)}", "warn"))


def run_report(args: argparse.Namespace, spine: Spine) -> int:
    """Compare the arms of an epoch."""
    from core.ledger import storage_errors
    from core.routereport import route_report
    from core.routetable import lines, markdown

    out = Out.of(args)
    state = spine.registry.state()
    route = state.route if args.epoch is None else state.route_at(args.epoch)
    if route is None:
        missing = "nothing is routed yet" if args.epoch is None else f"#{args.epoch} is no route event"
        raise BadInput(missing, "`spine history` shows the events; those of kind routed and rolled_back open epochs")
    with working("reading the traces"), storage_errors():
        report = route_report(spine.traces.evidence, route, spine.registry.events()[route.epoch - 1].at)
    if args.md is not None:
        args.md.write_text(markdown(report), encoding="utf-8")
    if out.json:
        out.object(report)
    else:
        for line in lines(report):
            out.line(line)
    return Exit.OK
