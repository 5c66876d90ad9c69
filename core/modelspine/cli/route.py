"""``spine route``: how traffic is divided and how the arms compare.

The verbs that change the route are in ``cli.rollouts``.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.cli import rollouts
from modelspine.cli.output import Cell, Out, Piece
from modelspine.cli.parser import Verbs, at_flag, count
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, SpineError
from modelspine.ledger.route import FULL, Route
from modelspine.signs import sign_of
from modelspine.spine import Spine
from modelspine.text import short
from modelspine.times import age

if TYPE_CHECKING:  # `route show` of a single route must not wait for the statistics modules to load
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.ladder_progress import StepProgress
    from modelspine.traffic.report import EpochReport
    from modelspine.traffic.request_rate import Pace


def command(verbs: Verbs) -> None:
    """Add ``route`` with its verbs."""
    nested = verbs.add("route", "show, measure or change how traffic is divided").add_verbs()
    show = nested.add("show", "show how traffic is divided", run_show, example="spine route show --at 2026-11-22")
    at_flag(show)
    past = nested.add(
        "epochs", "list the routes so far: since when, how long, by whom and why", run_epochs,
        example="spine route epochs --json",
    )  # fmt: skip
    at_flag(past)
    report = nested.add(
        "report", "compare the latency, errors, feedback and accuracy of the arms", run_report,
        details="A change of weights begins a new epoch of the same rollout. The report shows the newest epoch, and "
        "the whole rollout beside it: every epoch is compared by itself, and the differences are weighted.",
        example="spine route report --md report.md",
    )  # fmt: skip
    which = report.add_mutually_exclusive_group()
    which.add_argument(
        "--epoch", type=count, metavar="N", help="this epoch alone, by the seq of its route event (default: the "
        "current one, beside its whole rollout)",
    )  # fmt: skip
    which.add_argument(
        "--rollout", type=count, metavar="N", help="the rollout that began with this route event, also after it ended"
    )
    at_flag(report, "the report as of this time")
    report.add_argument("--md", type=Path, metavar="F", help="also write the report to this file as Markdown")
    tester = nested.add(
        "tester", "make a token with which a tester chooses the arm that answers", run_tester,
        details="The token goes into the header X-Spine-Tester, the arm into X-Spine-Arm. A tester's requests are "
        "traced but enter no comparison, so that a probe, too, can send a token and no arm. Servers read the keys of "
        "testers when they start.",
        example="spine route tester alice --hours 8 --key .spine/keys/ID.pem",
    )  # fmt: skip
    tester.add_argument("name", metavar="NAME", help="who tests; the traces show this name")
    tester.add_argument("--hours", type=count, default=24, metavar="N", help="how long it is valid (default: 24)")
    tester.add_argument(
        "--key", type=Path, metavar="F",
        help="private key made by `spine keys new --testers` (default: the variable SPINE_SIGNING_KEY)",
    )  # fmt: skip
    rollouts.command(nested)


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the route."""
    out = Out.of(args)
    route = spine.registry.route(args.at)
    if route is None:
        if out.json:
            empty: dict[str, Any] = {"strategy": None, "epoch": None, "salt": None, "arms": []}
            out.object(empty | {"at": args.at})
        else:
            out.line("nothing is routed yet; the first promotion gives the promoted entry all traffic")
        return Exit.OK
    since = spine.registry.events()[route.epoch - 1].time
    measured = _Measured() if args.at else _measure(spine, route, since)
    decision, problem, pace = measured.decision, measured.problem, measured.pace
    steps = _steps(spine, decision, args.at) if route.ladder is not None else ()
    said = _sentence(route, steps, decision, problem)
    if out.json:
        more = {"at": args.at, "since": since, "canary": msgspec.to_builtins(decision), "problem": problem,
                "sentence": said, "steps": msgspec.to_builtins(steps), "servers": measured.servers,
                "notes": measured.notes}  # fmt: skip
        out.object({"ladder": None} | msgspec.to_builtins(route) | more | {"pace": msgspec.to_builtins(pace)})
        return Exit.OK
    out.paragraph(said)
    out.line(f"{route.strategy}, epoch #{route.epoch} since {since}, salt {route.salt}")
    _draw_arms(out, route, pace, unserved=measured.unserved)
    if route.ladder is None:
        out.pairs([("note", Cell(note, "warn")) for note in measured.notes])
    if steps:
        _draw_steps(out, steps)
        _draw_canary(out, decision, problem)
    return Exit.OK


class _Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What traces and servers say of a route at this moment."""

    decision: Decision | None = None
    """The decision on a canary."""
    problem: str | None = None
    """Why there is no decision."""
    pace: Pace | None = None
    servers: int | None = None
    """How many are running."""
    unserved: bool = False
    """Whether nothing answers requests: no server is running, and no other server's request was recorded."""
    notes: tuple[str, ...] = ()


def _measure(spine: Spine, route: Route, since: str) -> _Measured:
    from modelspine.ledger.store import storage_errors
    from modelspine.overview.glance import servers
    from modelspine.traffic.canary import consider_or_error
    from modelspine.traffic.operator_notes import recent_notes
    from modelspine.traffic.request_rate import pace

    now = datetime.now(UTC)
    decision, problem = consider_or_error(lambda: spine.traces, route, since, now)
    found = _Measured(decision=decision, problem=problem, notes=decision.notes if decision is not None else ())
    with suppress(SpineError), storage_errors():
        running = servers(spine, now)
        found = msgspec.structs.replace(found, servers=running.up, unserved=running.answering == 0)
        found = msgspec.structs.replace(found, pace=pace(spine.traces, route, now))
        if route.ladder is None:
            found = msgspec.structs.replace(found, notes=tuple(recent_notes(spine.traces.evidence, route, now)))
    return found


def _draw_arms(out: Out, route: Route, pace: Pace | None, *, unserved: bool) -> None:
    # A rate of replayed traffic that ended long ago is none of now.
    paces = {arm.name: f"{arm.per_second:.2f}" for arm in pace.arms} if pace is not None and not pace.quiet else {}
    share = "copied %" if route.shadow else "weight %"
    rows = []
    for arm in route.arms:
        weight = "–" if route.shadow and arm is route.stable else f"{100 * arm.weight_bp / FULL:.2f}"
        rows.append((arm.name, arm.semver, short(arm.sha), weight, paces.get(arm.name, "–")))
    out.table(("arm", "semver", "sha", share, "req/s"), rows, right=(share, "req/s"))
    if pace is not None and pace.quiet:
        out.line(f"replayed traffic: its last request is dated {pace.last}")
    elif pace is not None and not pace.per_second:
        last = (
            "no request came yet"
            if pace.last is None
            else f"the last request came {age(pace.last, datetime.now(UTC))} ago"
        )
        out.line(Cell(f"idle: {last}", "warn"))
    if unserved and route.candidate is not None and (pace is None or not pace.replayed):
        out.line(Cell(f"no server is running: the {route.candidate.name} gets no requests", "warn"))


def _steps(spine: Spine, decision: Decision | None, at: str | None) -> tuple[StepProgress, ...]:
    """The steps of a canary; without the figures of its epochs where the traces cannot be read, or for the past."""
    from modelspine.ledger.store import storage_errors
    from modelspine.traffic.epochs import epochs
    from modelspine.traffic.ladder_progress import progress_of
    from modelspine.traffic.rollout_report import route_report

    state, events = spine.registry.state(at), spine.registry.events()
    known = epochs(state, events)
    reports: list[EpochReport] = []
    if at is None and decision is not None:
        with suppress(SpineError), storage_errors():
            report = route_report(spine.traces, known, events, known[0], now=datetime.now(UTC))
            reports = [*(report.whole.epochs if report.whole is not None else ()), report]
    return progress_of(known, known[0], reports, decision)


def _sentence(route: Route, steps: tuple[StepProgress, ...], decision: Decision | None, problem: str | None) -> str:
    if not steps:
        from modelspine.traffic.route_text import route_sentence

        return route_sentence(route)
    from modelspine.traffic.sentences import ladder_sentence

    return ladder_sentence(route, steps, decision, problem or "")


def _draw_steps(out: Out, steps: tuple[StepProgress, ...]) -> None:
    from modelspine.traffic.ladder_progress import amount

    rows = []
    for each in steps:
        sign = sign_of(each.state)
        actual = "–" if each.actual_bp is None else f"{each.actual_bp / 100:.1f}"
        epoch = f"#{each.epoch}" if each.epoch is not None else "–"
        about = each.why or ", ".join(amount(found) for found in each.evidence)
        rows.append((Cell(f"{sign.glyph} {each.state}", sign.role), f"{each.target_bp / 100:g}", actual, epoch, about))
    out.table(("step", "target %", "actual %", "epoch", "evidence"), rows, right=("target %", "actual %"))


def _draw_canary(out: Out, decision: Decision | None, problem: str | None) -> None:
    pairs: list[tuple[str, Piece]] = []
    if decision is not None:
        waiting = "; ".join(decision.waits_for) or "nothing; it advances at the next check"
        pairs += [("verdict", f"{decision.verdict}: {decision.reason}"), ("waiting for", waiting)]
        pairs += [("note", Cell(note, "warn")) for note in decision.notes]
    elif problem is not None:
        pairs.append(("verdict", Cell(f"unknown: {problem}", "warn")))
    out.pairs(pairs)


def run_epochs(args: argparse.Namespace, spine: Spine) -> int:
    """List the routes there were."""
    from modelspine.traffic.epochs import epochs
    from modelspine.traffic.sentences import epochs_sentence

    out = Out.of(args)
    known = epochs(spine.registry.state(args.at), spine.registry.events())
    if out.json:
        out.object({"epochs": known, "at": args.at})
        return Exit.OK
    out.paragraph(epochs_sentence(known, datetime.now(UTC)))
    rows = []
    for epoch in known:
        lasted = age(epoch.since, datetime.fromisoformat(epoch.until)) if epoch.until else "in force"
        arms = ", ".join(f"{arm.name} {arm.semver} {arm.weight_bp / 100:g} %" for arm in epoch.route.arms)
        rows.append((f"#{epoch.number}", epoch.route.strategy, arms, epoch.since[:19] + "Z", lasted, epoch.verb,
                     epoch.actor, epoch.reason))  # fmt: skip
    head = ("epoch", "strategy", "arms", "since", "lasted", "opened by", "actor", "reason")
    out.table(head, rows, right=("epoch",), optional=("actor", "opened by", "strategy", "lasted"))
    return Exit.OK


def run_report(args: argparse.Namespace, spine: Spine) -> int:
    """Compare the arms of an epoch, and of its whole rollout."""
    from modelspine.ledger.store import storage_errors
    from modelspine.traffic.epochs import epochs
    from modelspine.traffic.report_text import Table, markdown, parts
    from modelspine.traffic.rollout_report import chosen_epoch, route_report

    out = Out.of(args)
    state, events = spine.registry.state(args.at), spine.registry.events()
    known = epochs(state, events)
    chosen = chosen_epoch(known, epoch=args.epoch, rollout=args.rollout)
    with working("reading the traces"), storage_errors():
        report = route_report(
            spine.traces,
            known,
            events[: state.seq],
            chosen,
            now=datetime.now(UTC),
            at=args.at,
            alone=args.epoch is not None,
        )
    if args.md is not None:
        args.md.write_text(markdown(report), encoding="utf-8")
    if out.json:
        out.object(report)
    else:
        for part in parts(report):
            if isinstance(part, Table):
                out.line()
                out.table(part.head, part.rows, right=part.head[1:])
                out.line()
            else:
                out.paragraph(part.lstrip(" "), indent=len(part) - len(part.lstrip(" ")))
    return Exit.OK


def run_tester(args: argparse.Namespace, spine: Spine) -> int:
    """Make a token for a tester; writes nothing."""
    from modelspine.attestation.tester_token import sign_tester
    from modelspine.attestation.trust import TESTERS, load_signing_key, load_trust

    out, now = Out.of(args), datetime.now(UTC)
    key = load_signing_key(args.key)
    if load_trust(spine.settings, spine.registry.state().env, TESTERS).find(key.id) is None:
        raise BadInput(
            f"the key {key.id} is not in {spine.settings.testers}, so no server accepts what it signs",
            "use a key of that file, or make one: `spine keys new --testers --name NAME`",
        )
    valid = timedelta(hours=args.hours)
    token = sign_tester(key, args.name, ledger=spine.ledger.events()[0].hash, now=now, valid=valid)
    expires = (now + valid).strftime("%Y-%m-%dT%H:%M:%SZ")
    if out.json:
        out.object({"tester": args.name, "token": token, "expires": expires, "key": key.id})
        return Exit.OK
    out.line(f"{args.name} may choose an arm until {expires}; whoever has this token can, so keep it secret")
    out.line(f"X-Spine-Tester: {token}")
    out.line("X-Spine-Arm: candidate")
    return Exit.OK
