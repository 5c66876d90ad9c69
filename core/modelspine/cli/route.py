"""``spine route``: who answers whom, what the arms did, and the verbs of ``cli.rollouts`` that change it."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.cli import rollouts
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, count
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, SpineError
from modelspine.ledger.route import FULL, Ladder, Route
from modelspine.spine import Spine
from modelspine.text import short, visible
from modelspine.times import age, moment
from modelspine.traffic.ladder import SIGNS, rungs

if TYPE_CHECKING:  # a plain `route show` should not wait for statistics
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.request_rate import Pace


def command(verbs: Verbs) -> None:
    """Add ``route`` with its verbs."""
    nested = verbs.add("route", "show, measure or change which entries answer learners").add_verbs()
    show = nested.add("show", "show how traffic is divided", run_show, example="spine route show --at 2026-11-22")
    show.add_argument("--at", type=moment, metavar="TIME", help="as it was then")
    past = nested.add(
        "epochs", "list every route there was: since when, how long, by whom and why", run_epochs,
        example="spine route epochs --json",
    )  # fmt: skip
    past.add_argument("--at", type=moment, metavar="TIME", help="as it was then")
    report = nested.add(
        "report", "compare the arms: latency, errors, feedback, right answers, and whether that is chance", run_report,
        example="spine route report --md report.md",
    )  # fmt: skip
    report.add_argument("--epoch", type=count, metavar="N", help="the seq of a route event (default: the one in force)")
    report.add_argument("--at", type=moment, metavar="TIME", help="as it was then, of the requests until then")
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
    decision, problem, pace = (None, None, None) if args.at else _measured(spine, route, since)
    if out.json:
        more = {"at": args.at, "since": since, "canary": msgspec.to_builtins(decision), "problem": problem}
        out.object({"ladder": None} | msgspec.to_builtins(route) | more | {"pace": msgspec.to_builtins(pace)})
        return Exit.OK
    out.line(f"{route.strategy}, epoch #{route.epoch} since {since}, salt {visible(route.salt, 60)}")
    _show_arms(out, route, pace)
    if route.ladder is not None:
        _show_canary(out, route.ladder, decision, problem)
    return Exit.OK


def _measured(spine: Spine, route: Route, since: str) -> tuple[Decision | None, str | None, Pace | None]:
    """What is decided on a canary now, or why nothing is; and how fast requests come."""
    from modelspine.ledger.store import storage_errors
    from modelspine.traffic.canary import consider_or_error
    from modelspine.traffic.request_rate import pace

    now = datetime.now(UTC)
    decision, problem = consider_or_error(lambda: spine.traces, route, since, now)
    try:
        with storage_errors():
            return decision, problem, pace(spine.traces, route, now)
    except SpineError:
        return decision, problem, None


def _show_arms(out: Out, route: Route, pace: Pace | None) -> None:
    paces = {arm.name: f"{arm.per_second:.2f}" for arm in pace.arms} if pace is not None else {}
    share = "copied %" if route.shadow else "weight %"
    rows = []
    for arm in route.arms:
        weight = "–" if route.shadow and arm is route.stable else f"{100 * arm.weight_bp / FULL:.2f}"
        rows.append((visible(arm.name), visible(arm.semver), short(arm.sha), weight, paces.get(arm.name, "–")))
    out.table(("arm", "semver", "sha", share, "req/s"), rows, right=(share, "req/s"))
    if pace is not None and pace.quiet:
        out.line(f"quiet    the last request came before {pace.until}")


def _show_canary(out: Out, ladder: Ladder, decision: Decision | None, problem: str | None) -> None:
    out.line(f"ladder   {' ── '.join(f'{step.weight_bp / 100:g} % {SIGNS[rung]}' for step, rung in rungs(ladder))}")
    if decision is not None:
        out.line(f"verdict  {decision.verdict}: {visible(decision.reason, 300)}")
        held = "; ".join(decision.waits_for)
        out.line(f"waits    for {held}" if held else "waits    for nothing: it advances at the next look")
    elif problem is not None:
        out.line(out.paint(f"verdict  unknown: {visible(problem, 200)}", "warn"))


def run_epochs(args: argparse.Namespace, spine: Spine) -> int:
    """List the epochs."""
    from modelspine.traffic.epochs import epochs

    out = Out.of(args)
    found = epochs(spine.registry.state(args.at), spine.registry.events())
    if out.json:
        out.object({"epochs": found, "at": args.at})
        return Exit.OK
    rows = []
    for each in found:
        lasted = age(each.since, datetime.fromisoformat(each.until)) if each.until else "in force"
        arms = ", ".join(
            f"{visible(arm.name, 20)} {visible(arm.semver, 20)} {arm.weight_bp / 100:g} %" for arm in each.route.arms
        )
        rows.append((f"#{each.number}", each.route.strategy, arms, each.since[:19] + "Z", lasted, each.verb,
                     visible(each.actor, 20), visible(each.reason, 60)))  # fmt: skip
    out.table(("epoch", "strategy", "arms", "since", "lasted", "opened by", "actor", "reason"), rows, right=("epoch",))
    return Exit.OK


def run_report(args: argparse.Namespace, spine: Spine) -> int:
    """Compare the arms of an epoch."""
    from modelspine.ledger.store import storage_errors
    from modelspine.traffic.report import route_report
    from modelspine.traffic.report_text import lines, markdown

    out = Out.of(args)
    state = spine.registry.state(args.at)
    route = state.route if args.epoch is None else state.route_at(args.epoch)
    if route is None:
        missing = "nothing is routed yet" if args.epoch is None else f"#{args.epoch} is no route event"
        raise BadInput(missing, "`spine history` shows the events; those of kind routed and rolled_back open epochs")
    with working("reading the traces"), storage_errors():
        since = spine.registry.events()[route.epoch - 1].at
        report = route_report(spine.traces.evidence, route, since, at=args.at)
    if args.md is not None:
        args.md.write_text(markdown(report), encoding="utf-8")
    if out.json:
        out.object(report)
    else:
        for line in lines(report):
            out.line(line)
    return Exit.OK
