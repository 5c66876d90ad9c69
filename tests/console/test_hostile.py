"""Hostile text in every field of every screen, dialog, toast and prompt: nothing crashes, moves or fires."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve.search import SearchResult
from miniobserve.traces import Assignment, Found, Trace
from modelspine.cost.figures import BreakEven, EntryCost, Range
from modelspine.cost.query import Costs
from modelspine.drift.days import Day, Reported, Trend
from modelspine.drift.features import Bin as DriftBin
from modelspine.drift.features import Feature
from modelspine.drift.report import Against, DriftReport, Expected, Window
from modelspine.errors import Damaged
from modelspine.gate.eval_report import Count, EvalReport, EvalSet, Score
from modelspine.gate.result import AnchorRow, Decision, GateResult, Row, ScoreRow
from modelspine.identity.tensors import Tensor
from modelspine.incident.finding import Finding
from modelspine.incident.walk import Walk
from modelspine.ledger.route import Arm, Guard, Route
from modelspine.ledger.store import Event
from modelspine.lineage.corpora import Row as CorpusRow
from modelspine.lineage.corpora import Search
from modelspine.lineage.walker import Hop, Lineage
from modelspine.overview.day import DayFigures, Drift
from modelspine.overview.glance import Glance, Hold, Rollout, Standing
from modelspine.registry.diff import compare
from modelspine.registry.entries import Detail, Entry
from modelspine.release.eligibility import Position, Signature
from modelspine.release.gate_run import Gated
from modelspine.spine import Spine
from modelspine.stats import Difference
from modelspine.traffic.canary import Decision as Verdict
from modelspine.traffic.epochs import Epoch, Move
from modelspine.traffic.ladder import default_ladder
from modelspine.traffic.report import ArmReport, Comparison, EpochReport, ShadowReport, Split, Square
from modelspine.traffic.report import Window as ReportWindow
from modelspine.traffic.request_rate import ArmPace, Pace
from modelspine.traffic.rollout_report import ArmTotal, NotCompared, PooledComparison, RolloutReport, RouteReport
from modelspine.traffic.stratified import Pooled
from modelspine_console.data.home_source import DayRead
from modelspine_console.data.jobs import Outcome, attempt
from modelspine_console.data.source import Checked, Pulse, Source
from modelspine_console.data.traffic_source import Reading, Traffic
from modelspine_console.dialogs.confirm import Confirm
from modelspine_console.draw.sanitize import strip
from modelspine_console.screens.lineage import _nodes
from modelspine_console.screens.registry_compare import comparison
from modelspine_console.widgets.document import Doc
from modelspine_console.writes.changes import Changes
from modelspine_console.writes.plan import Ask, Done, Plan, Step, Touched

SIZE = (150, 40)
WER = Score(num=30, den=350, better="lower")


def entry(s: str, n: int) -> Entry:
    return Entry(
        sha=s or "0", semver=s, semvers=(s,), status=s, production=False, arms=(s,) if n % 2 else (), parent_sha=s,
        variant=s, accuracy=0.5, total=Count(1, 2), false_accept=Count(1, 0), corpora=(s,), run_id=s, size_bytes=n,
        registered_at=s, seq=n,
    )  # fmt: skip


def event(s: str, n: int) -> Event:
    body = {
        "sha": s,
        "semver": s,
        "reason": s,
        s or "k": [s, {s: s}],
        "arms": [{"semver": s, "sha": s, "weight_bp": 1}],
    }
    return Event(seq=n, at=s, actor=s, host=s, kind=s, body=body, prev=s, hash=s)


def detail(s: str, n: int) -> Detail:
    report = EvalReport(
        schema=s, eval_set=EvalSet(path=s, dvc_hash=s, sha256=s, n=1), decoding=s, total=Count(1, 2),
        buckets={s: Count(1, 2), f"{s}/x": Count(0, 0), f"g/{s}/{s}c": Count(1, 3)}, views={s: {s: {s: 0.5}}, "l": [s]},
        scores={s: WER},
    )  # fmt: skip
    tensor = Tensor(name=s, dtype=s, shape=(1,), size=1, data_sha256=s, digest=s)
    return Detail(
        entry=entry(s, n), manifest={s: s, "corpora": [{"path": s, "dvc_hash": s, "rows": s}]},
        corpus_manifest={s: [s]},
        eval_report=report, weights=s, config_digest=s, config={s: s}, tensors=(tensor,), assets=(),
        history=(event(s, 1),),
    )  # fmt: skip


def trace(s: str, n: int) -> Trace:
    spot = Assignment(strategy=s, epoch=1, salt=s, arm=s, bucket=1, sticky=True, u=s, unit=s)
    return Trace(
        request_id=f"{s}{n}", trace_id=s, span_id=s, started_ns=n, entry_sha=s, intended_sha=s, semver=s,
        assignment=spot, input=s, output=f"{s}x", features={s: s},
        fields={f"{s}f": s, f"{s}n": {s: n}}, stages={s: 0.1}, error=s, feedback=s,
        source=s, currency=s, cost=0.1,
    )  # fmt: skip


def walk(s: str) -> Walk:
    findings = tuple(
        Finding(n=n, question=s, answer=s, status=s, evidence={s: s, "l": [{s: s}]}, command=s)
        for n in range(1, 9)  # type: ignore[arg-type]
    )
    return Walk(request_id=f"{s}1", found=True, answers=findings, suggestion=s, trace=trace(s, 1), expected=s)


def lineage(s: str) -> Lineage:
    leaf = Hop(kind="corpus", label=s, status=s, evidence={s: s, "dvc_hash": s}, command=s)  # type: ignore[arg-type]
    root = Hop(kind=s, label=s, status=s, evidence={s: s}, command=s, children=(leaf,))  # type: ignore[arg-type]
    return Lineage(sha=s, root=root, corpora=(s,))


def position(s: str) -> Position:
    signatures = tuple(
        Signature(semver=s, seq=1, at=s, status=status, summary=s)
        for status in ("verified", "recorded", "mismatch")  # type: ignore[arg-type]
    )
    run = Event(seq=1, at=s, actor=s, host=s, kind=s, body={"result": s, "baseline": s, "stable": s}, prev=s, hash=s)
    return Position(sha=s, seq=1, env=s, gated=run, outdated=(s,), signatures=signatures, denied={"promote": s})


def gated(s: str) -> Gated:
    row = Row(
        base=Count(2, 3), cand=Count(1, 3), delta_pp=-33.3, blocked=True, against="baseline", tolerance_items=0,
        flip_pp=33.3, wilson=(0.1, 0.9), flips_lost=(s,), flips_gained=(s,), mcnemar_p=0.1, holm_p=0.1,
    )  # fmt: skip
    compared = GateResult(
        against="baseline", entry_sha=s, result="fail", reasons=(s,), tolerance_pp=2, total=row, false_accept=row,
        anchor=AnchorRow(entry_sha=s, base=Count(1, 2), cand=Count(1, 2), delta_pp=0.0, budget_pp=5, blocked=False),
        never_regress={s: False, f"{s}x": True},
    )  # fmt: skip
    score = ScoreRow(base=WER, cand=WER, change=None, blocked=True, against="floor", tolerance=2)
    decision = Decision(
        result="fail", reasons=(s,), warnings=(s,), buckets={s: row}, scores={s: score}, compared=(compared,)
    )
    return Gated(sha=s, seq=None, decision=decision, stable=s)


def traffic(s: str, n: int) -> Traffic:
    """A route whose every string is a hostile one: a canary, or a shadow."""
    arms = tuple(Arm(name=name, sha=f"{s}{name}", semver=s, weight_bp=n) for name in (s, f"{s}x"))
    route = Route(
        strategy="shadow" if n % 2 else s,
        epoch=n,
        salt=s,
        arms=arms,
        ladder=msgspec.structs.replace(default_ladder(), at=n % 4),
    )
    epoch = Epoch(route=route, since=s, until=s if n % 3 == 0 else None, verb=s, actor=s, reason=s)
    decision = Verdict(action="hold", verdict=s, reason=s, waits_for=(s, s), epoch=1, window=1)  # type: ignore[arg-type]
    paced = Pace(
        until=s, quiet=True, arms=tuple(ArmPace(name=a.name, sha=s, per_second=1.0, minutes=(1, 2)) for a in arms)
    )
    denied = {"": {"abort": s, "weight": s}, arms[0].sha: {"canary": s}}
    return Traffic(
        epochs=(epoch,), shown=epoch, pace=paced, decision=decision if n % 2 else None, problem=s, hint=s,
        untraced=bool(n % 2), denied=denied,
    )  # fmt: skip


def reading(s: str, n: int) -> Reading:
    """The report of it."""
    arms = tuple(
        ArmReport(
            name=name, sha=s, semver=s, set_bp=1, actual_bp=50.0, requests=5, units=3, errors=1, p50=0.1, p95=0.2,
            p99=0.3, feedback={"accepted": 1, "dismissed": 0, s: 2}, graded=Count(1, 2),
        )
        for name in (s, f"{s}x")
    )  # fmt: skip
    square = Square(bucket=s, both=1, only_live=1, only_shadow=1, neither=1, p=0.5)
    apart = Difference(value=0.1, low=0.0, high=0.2, fixed_p=0.5)
    figures: dict[str, Any] = {
        "strategy": s, "epoch": n, "rollout": s, "since": s, "until": s, "window": ReportWindow(first=s, last=s),
        "arms": arms, "split": Split(units=(1, 2), bayes_factor=200.0, alarm=True),
        "difference": Comparison(graded=apart, accepted=None, errors=apart, latency=apart, latency_fixed_p=0.5),
        "shadow": ShadowReport(pairs=square, buckets=(square,)),
    }  # fmt: skip
    together = Pooled(difference=apart, epochs=(n, n + 1), units=n)
    total = ArmTotal(name=s, requests=5, units=3, errors=1, feedback={"accepted": 1, s: 2}, graded=Count(1, 2))
    whole = RolloutReport(
        rollout=s, since=s, until=s, requests=9, units=5, switched=2, epochs=(EpochReport(**figures),),
        moved=(Move(seq=n, at=s, what=s, reason=s),), arms=(total, total), shadow=None,
        difference=PooledComparison(graded=together, accepted=None, errors=together, latency=together),
    )  # fmt: skip
    report = RouteReport(**figures, whole=whole, left_out=(NotCompared(what=s, n=n, why=s),), epochs_in_rollout=2)
    return Reading(report=report, decision=None, at=datetime.now(UTC), took=timedelta(0))


def day(s: str, n: int) -> Day:
    parts = (s, f"{s} x", f"a/{s}", f"{s} + {s}", "a b", "a c", "d b", "d c")
    bins = tuple(DriftBin(bin=part, p=0.1, q=0.2, contribution=0.07) for part in parts)
    pairs = tuple(DriftBin(bin=f"{a}|{b}", p=0.1, q=0.2, contribution=-0.07) for a in (s, "u") for b in (s, "v"))
    values: dict[str, Any] = {"psi": 0.3, "kl": 0.2, "p": 0.1, "p_adjusted": None, "n": n, "needed": 9, "missing": 9}
    features = {
        s: Feature(status="act", bins=bins, **values),
        f"{s}2": Feature(status="watch", bins=pairs, **values),
    }
    report = DriftReport(
        schema=s, day=s, entry_sha=s, reference=Against(corpus_dvc_hash=s, corpora=(s,), n=1),
        window=Window(start=s, to=s, n=n, learners=1, heaviest=1, entries={s: 1}), status="act", features=features,
        coverage=0.5, expected_accuracy=0.5, expected={s: Expected(live=0.5, reference=0.6, n=1)},
    )  # fmt: skip
    made = Reported(report=report, digest=s, event=event(s, n))
    if n % 7 == 3:
        return Day(day=s, answered=n, event=made.event, damaged=Damaged(s or "x", s))
    return Day(day=s, answered=n + 5) if n % 7 == 5 else Day(day=s, answered=n + 5, event=made.event, made=made)


def cost(s: str, n: int) -> EntryCost:
    figure = Range(1e-6 * (n + 1), 0.5e-6, 3e-6)
    return EntryCost(
        sha=s or "0", semver=s, variant=s, requests=n, shadow=1, priced=0, tokens=1, tokens_per_second=1.0, currency=s,
        rate_per_hour=0.05, price_versions=(s,), cost=1.0, cost_per_request=1.0, cost_per_1k=figure, stages={s: 1.0},
        total=Count(1, 2), accuracy=Range(0.5, 0.4, 0.6), cpqu=1.0, readiness="ready", cost_per_correct=figure,
        amortised_per_1k=1.0, amortised_per_correct=1.0, standing="tied", unexplained=0.5,
        break_even=BreakEven(
            parent_sha=s or "0", currency=s, cost_difference=1.0, accuracy_difference=0.1, price=1, pays="above"
        ),
    )  # fmt: skip


class Hostile(Source):
    """A source whose every string is one of the hostile ones; which one, the test turns."""

    def __init__(self, spine: Spine, strings: list[str]) -> None:
        super().__init__(spine)
        self.strings = strings
        self.s = strings[0]
        self.made: Costs | None = None
        """The figures of the next sums, instead of those of every string."""

    def pulse(self) -> Pulse:
        return Pulse(seq=1, hash=self.s, env=self.s)

    def entries(self) -> Any:
        return tuple(entry(s, n) for n, s in enumerate(self.strings))

    def detail(self, sha: str) -> Detail:
        return detail(sha, 1)

    def position(self, sha: str) -> Position:
        return position(self.s)

    def compare(self, sha: str) -> Gated:
        return gated(self.s)

    def events(self) -> Any:
        return tuple(event(s, n) for n, s in enumerate(self.strings))

    def check(self) -> Checked:
        return Checked(events=1, evidence=1, head=self.s)

    def lineage(self, ref: str, *, verify: bool) -> Lineage:
        return lineage(self.s)

    def rows(self, dvc_hash: str, pattern: str) -> Search:
        shown = tuple(CorpusRow(number=n, text=s, start=0, end=len(s)) for n, s in enumerate(self.strings))
        return Search(dvc_hash=self.s, pattern=self.s, rows=9, matched=9, shown=shown, md5=self.s, sha256=self.s)

    def search(self, question: Any, step: Any) -> SearchResult:
        traces = tuple(trace(s, n) for n, s in enumerate(self.strings))
        found = SearchResult(traces=traces, matched=9, searched=9, since_ns=1)
        step(1, lambda: found)
        return found

    def walk(self, request_id: str) -> Walk:
        return walk(self.s)

    def traffic(self, epoch: int | None, now: datetime) -> Traffic:
        return traffic(self.s, 1)

    def newest(self, until: str | None) -> Found:
        return Found(traces=tuple(trace(s, n) for n, s in enumerate(self.strings)), matched=9)

    def report(self, epoch: Epoch, clock: Any) -> Reading:
        return reading(self.s, 1)

    def drift(self) -> Trend:
        return Trend(days=tuple(day(s, n) for n, s in enumerate(self.strings)), counted=True)

    def costs(self, now: datetime, step: Any) -> Costs:
        step(1, 2)
        return self.made or Costs(
            of=self.s, at=now, requests=1, entries=tuple(cost(s, n) for n, s in enumerate(self.strings))
        )


def harmless(segments: Any) -> None:
    """Text and nothing else."""
    for segment in segments:
        assert not segment.control
        text = segment.text
        if not (text.isascii() and text.isprintable()):
            bad = [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
            assert not bad, repr(text)
        if segment.style is not None:
            assert not segment.style._meta or "@click" not in segment.style.meta
            assert segment.style.link is None


def drawn(desk: Any, *only: Any) -> None:
    """Every line of every pane, as its widget would draw it, in sight or not."""
    app = desk.app
    for widget in only or app.screen.query("Doc, Lines, Table, Prompt"):
        height = len(widget.lines) if isinstance(widget, Doc) else max(1, widget.size.height)
        for y in range(min(height, 60)):
            if isinstance(widget, Doc):
                harmless(strip(widget.lines[y], max(20, widget.size.width), app.palette))
            elif widget.size.width:
                harmless(widget.render_line(y))


async def check(desk: Any) -> None:
    """What is on the screen now is text and nothing else, and the console still runs."""
    await desk.pilot.pause()
    for line in desk.app.screen._compositor.render_strips():
        harmless(line)
    assert desk.app.return_value is None
    assert desk.app._exception is None


@pytest.fixture
def hostile(spine: Spine, strings: list[str]) -> Hostile:
    return Hostile(spine, strings)


async def test_registry(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE) as desk:
        view = desk.app.view
        for n, s in enumerate(hostile.strings):
            view.table.go(n)
            view._detailed(Outcome((detail(s, n), position(s))))
            view.gated = (1, gated(s))
            for _ in range(5):
                view.turn_tab(1)
                drawn(desk, view.about.body)
            both = detail(s, 1), detail(hostile.strings[n - 1], 1)
            view._compared(attempt(lambda both=both, s=s: partial(comparison, compare(*both), [s, s], everything=True)))
            view.set_filter(s)
            drawn(desk)
            view.set_filter("")
            if n % 10 == 0:
                await check(desk)


async def test_ledger_and_lineage(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE, screen="ledger") as desk:
        ledger = desk.app.view
        for n, s in enumerate(hostile.strings):
            hostile.s = s
            ledger.table.go(n)
            ledger.turn_tab(1)
            ledger._verified(Outcome(error=s or "x", hint=s))
            drawn(desk, ledger.about.body)
            if n % 10 == 0:
                await check(desk)
        desk.app.open_view("lineage", "x")
        await desk.settle()
        view = desk.app.view
        for n, s in enumerate(hostile.strings):
            hostile.s = s
            walked = lineage(s)
            nodes = _nodes(walked.root, (), set(), everything=True)
            view._walked(Outcome((walked, nodes, view.texts(nodes))))
            view.table.move(1)
            view.select()
            if n % 10 == 0:
                view._found(Outcome(hostile.rows("", "")))
                drawn(desk)
            view.lost(Outcome(error=s or "x", hint=s))
            drawn(desk, view.about.body, view.list._blank)
            if n % 10 == 0:
                await check(desk)


async def test_incident(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE, screen="incident") as desk:
        view = desk.app.view
        await desk.press("d")
        for n, s in enumerate(hostile.strings):
            view.table.go(n)
            view.request = walk(s).request_id
            view._walked(Outcome(walk(s)))
            view.answers.move(1)
            view.about.turn("error" if n % 3 == 0 else "ready", s, s)
            drawn(desk, view._about, view.answers, view._evidence, view.trace_pane.body, view.about._blank)
            if n % 10 == 0:
                await check(desk)


async def test_traffic(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE, screen="traffic", interval=3600) as desk:
        view = desk.app.view
        for n, s in enumerate(hostile.strings):
            hostile.s = s
            view._reported(Outcome(reading(s, n)))
            view._looked(Outcome(traffic(s, n)))
            view._came(Outcome(hostile.newest(None)) if n % 3 else Outcome(error=s or "x", hint=s))
            for tab in range(len(view.about.tabs)):
                view.about.tab = tab
                view.draw_tab()
                drawn(desk, view.about.body, view.about._blank, view.table, view.tail.beside)
            view._reported(Outcome(error=s or "x", hint=s))
            view.set_filter(s)
            drawn(desk)
            view.set_filter("")
            assert view.crumbs() is not None
            assert view.copies() is not None
            if n % 10 == 0:
                await check(desk)


def glance(s: str, n: int) -> Glance:
    stable = Standing(sha=s, semver=s if n % 2 else "", since=s, seq=n)
    tried = Rollout(strategy=s, sha=s, semver=s, weight_bp=1, since=s, step=n, steps=n) if n % 3 else None
    return Glance(
        at=s, seq=n, entries=1, env=s, service=s, production=stable, rollout=tried, until=s, last_request=s,
        held=(Hold(sha=s, semver=s, since=s, reason=s),), requests_per_second=1.0, servers=n % 2, server_seen=s,
        replayed=bool(n % 2), problem=s if n % 5 == 0 else "", hint=s,
    )  # fmt: skip


def figures(s: str, n: int) -> DayFigures:
    return DayFigures(
        since=s, until=s, replayed=bool(n % 2), graded=1, right=1, expected=0.5, expected_from=s, dismissed=1,
        false_accepts=n, unattributed=n, answered=n, priced=n, prices=0.1, rent=0.1, currency=s, verdict=s,
        drift=Drift(day=s, status=s, reason=s, contradiction=s), problem=s if n % 5 == 0 else "", hint=s,
    )  # fmt: skip


async def test_home_and_the_header(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE, screen="home", interval=3600) as desk:
        view = desk.app.view
        for n, s in enumerate(hostile.strings):
            view._looked(Outcome(glance(s, n)))
            read = DayRead(figures=figures(s, n), seq=n, moment=None, at=desk.app.clock(), took=timedelta())
            view._came(Outcome(read) if n % 4 else Outcome(error=s or "x", hint=s))
            for place in range(len(view.table.order)):
                view.table.go(place)
                view.draw_tab()
                drawn(desk, view.table, view.about.body)
            seen = glance(s, n)
            desk.app.freshness.pulse = Pulse(seq=n, hash=s, env=s, production=seen.production, rollout=seen.rollout)
            view.set_filter(s)
            drawn(desk, desk.app.header, desk.app.tab_row)
            view.set_filter("")
            assert view.copies()
            if n % 10 == 0:
                await check(desk)


async def test_drift(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE, screen="drift") as desk:
        view = desk.app.view
        for n in range(len(hostile.strings)):
            view.table.go(n)
            trend = Trend(days=(day(hostile.strings[n], n - n % 7), *view.data.days[:3]), counted=False)
            view.loaded(Outcome(view.searchable(trend)))
            for _ in range(5):
                view.turn_tab(1)
                drawn(desk, view.about.body, view.about._blank, view.beside.body)
            view.set_filter(hostile.strings[n])
            drawn(desk)
            view.set_filter("")
            view.loaded(Outcome(view.searchable(hostile.drift())))
            desk.app.moved()
            if n % 10 == 0:
                await check(desk)


async def test_cost(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE, screen="cost") as desk:
        view = desk.app.view
        for n, s in enumerate(hostile.strings):
            now = desk.app.clock()
            hostile.made = Costs(of=s, at=now, requests=1, entries=(cost(s, n), cost("b", 1)))
            view.loaded(Outcome(view._sum(now, view._request)))
            for _ in range(2):
                view.turn_tab(1)
                drawn(desk, view.about.body, view.beside.body, view.table)
            view.set_filter(s)
            drawn(desk)
            view.set_filter("")
            if n % 10 == 0:
                await check(desk)
        hostile.made = None
        view.loaded(Outcome(view._sum(desk.app.clock(), view._request)))
        for n in range(0, len(hostile.strings), 10):
            view.table.go(n)
            await check(desk)


async def test_dialogs_toasts_prompt_and_jumps(hostile: Hostile, run_console: Any) -> None:
    from modelspine_console.dialogs.dialogs import Choice, Reader
    from modelspine_console.draw.sanitize import safe, toast

    async with run_console(hostile, size=SIZE) as desk:
        for n, s in enumerate(hostile.strings):
            hostile.s = s
            toast(desk.app, s, title=s)
            desk.app.failed(Outcome(error=s or "x", hint=s))
            desk.app.navigation.jump(f"{s} {s}") if not s.strip().startswith(("q", "e")) else None
            desk.app.prompt.open(":", s, "")
            desk.app.prompt.type(s)
            if n % 10 == 0:
                dialog: Any = Choice("x", [(s, s)]) if n % 20 else Reader("x", lambda _w, s=s: [safe(s)], copied=s)
                desk.app.push_screen(dialog)
                await check(desk)
                dialog.dismiss(None)
                await check(desk)
            drawn(desk, desk.app.prompt, desk.app.header, desk.app.tab_row)
            desk.app.clear_notifications()


def plan(s: str, verb: str) -> Plan:
    run = Event(seq=1, at=s, actor=s, host=s, kind=s, body={"result": s}, prev=s, hash=s)
    asks = tuple(Ask(id=name, label=s, text=s, hint=s) for name in ("semver", "reason", "verdict", "weight"))
    return Plan(
        verb=verb, sha=s, name=s, env=s, seq=1, key=s, names=(s,), before=s, after=f"{s}SEMVER", gated=run, signed=True,
        touches=Touched(arms=(s,), share_bp=1, an_hour=2), asks=asks, taken={s: s},
        step=Step(before_bp=1, after_bp=5, guard=Guard(), then=(s, s), an_hour=3),
    )  # fmt: skip


async def test_the_age_of_a_gate_run_ticks_in_a_dialog(hostile: Hostile, run_console: Any) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    times = [now + timedelta(hours=5)]
    async with run_console(hostile, size=(120, 40), clock=lambda: times[0]) as desk:
        shown = msgspec.structs.replace(
            plan("x", "route"), gated=msgspec.structs.replace(event("x", 1), at=now.isoformat())
        )
        desk.app.push_screen(Confirm(shown, desk.app.clock, confirmed=str))
        await desk.settle()
        for hours in (5, 6):
            assert f"{hours} h ago" in desk.text()
            times[0] += timedelta(hours=1)
            desk.app.tick()
            await desk.settle()


async def test_the_confirm_dialog(hostile: Hostile, run_console: Any) -> None:
    changes = Changes(hostile._spine)
    async with run_console(hostile, size=SIZE, changes=changes, write=True) as desk:
        for n, s in enumerate(hostile.strings):
            dialog = Confirm(
                plan(s, ("promote", "rollback", "route", "weight", "canary")[n % 5]), desk.app.clock, confirmed=str
            )
            for editor in dialog.form.editors.values():
                editor.paste(s)
            dialog.form.at = dialog.form.stops[n % len(dialog.form.stops)]
            dialog.stop(s)
            for line in (*dialog.draw(100), dialog.title_line):
                harmless(strip(line, 140, desk.app.palette))
            if n % 10 == 0:
                desk.app.push_screen(dialog)
                await desk.pilot.pause()
                await check(desk)
                await desk.pilot.press("ctrl+y", "tab", "up")
                await check(desk)
                drawn(desk, desk.app.screen.query_one("Doc"))
                dialog.dismiss(None)
                await check(desk)
            desk.app.write_mode.changed(Outcome(Done(text=f"#{n} {s}")))
            desk.app.clear_notifications()


async def test_a_click_on_data_moves_the_cursor_and_runs_nothing(hostile: Hostile, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE) as desk:
        place = next(n for n, s in enumerate(hostile.strings) if s.startswith("[@click"))
        desk.app.view.table.go(place)
        y = place - desk.app.view.table.scroll_offset.y + 1
        for x in range(3, 60, 4):
            await desk.pilot.click(desk.app.view.table, offset=(x, y))
        assert desk.app.view.table.cursor == place
        await check(desk)


async def test_an_export_keeps_raw_data_and_a_tame_name(hostile: Hostile, project: Path, run_console: Any) -> None:
    async with run_console(hostile, size=SIZE) as desk:
        desk.app.view.table.go(5)
        await desk.press("e")
        files = list((project / ".spine/exports").iterdir())
        assert [file.name.startswith("registry-") for file in files] == [True]
        assert len(json.loads(files[0].read_bytes())["entries"]) == len(desk.app.view.table.shown)
        await check(desk)
