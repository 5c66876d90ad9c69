"""The Cost screen: its values are those of ``spine cost``, and a million traces are not read at every look."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from modelspine.cost.figures import BreakEven, EntryCost, Range
from modelspine.cost.format import PER_1K, digits, money, per_million
from modelspine.cost.left_out import LeftOut
from modelspine.cost.query import Costs, measured
from modelspine.cost.summary import as_object, choice_sentence, entry_sentence, version_sentence
from modelspine.errors import Unavailable
from modelspine.gate.eval_report import CostPerQuality, Count
from modelspine.spine import Spine
from modelspine_console.data.source import Source
from modelspine_console.screens import cost_tabs as tabs
from modelspine_console.screens.cost import _columns as columns_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def twin(fortnight: Spine) -> Costs:
    """What the headless twin adds up at the same moment."""
    return measured(fortnight, None, NOW)


async def test_every_row_says_what_the_twin_says(days: Any, twin: Costs) -> None:
    async with days(screen="cost", size=(170, 40)) as desk:
        await desk.press("z")
        head, *rows = (line for line in desk.lines() if line[2:].strip() and line.startswith((" ", "▌")))
        lines = desk.lines()
        for title in ("USD/M right", "live", "live with idle"):
            assert title in desk.text()
        for cost in twin.entries:
            shown = next(line for line in lines if cost.sha[:12] in line)
            assert f"{cost.requests:,}" in shown
            assert cost.total is not None
            assert f"{cost.total.k:,}/{cost.total.n:,}  {100 * cost.total.k / cost.total.n:.1f} %" in shown
            assert (cost.standing or "–") in shown
            if cost.cost_per_correct is None:
                assert shown.count("unknown") == 2
                continue
            assert cost.amortised_per_correct is not None
            for amount in (digits(cost.cost_per_correct.value * 1e6), digits(cost.amortised_per_correct * 1e6)):
                assert amount in shown, (amount, shown)
        assert "5,600 requests" in desk.text()
        assert len(desk.app.view.table.columns) == 9
        assert head
        assert rows


def test_what_the_gate_measured_stands_beside_the_live_figure(twin: Costs) -> None:
    first, other = twin.entries[:2]
    measured_there = CostPerQuality(usd=0.00418, low=0.004, high=0.0043, runs=2, rate_per_hour=0.05)
    (gate,) = [column for column in columns_of({first.sha: measured_there}) if column.title == "USD/M right"]
    assert [gate.cell(cost).plain for cost in (first, other)] == ["0.00418", "–"]


async def test_the_figures_of_an_entry(days: Any, twin: Costs) -> None:
    async with days(screen="cost", argument="v0.3.0", size=(110, 60)) as desk:
        await desk.press("enter", "z", "right_square_bracket")
        assert desk.lines()[1].endswith(" cost ▸ v0.3.0 ▸ figures")
        text = desk.text()
        cost = twin.entries[1]
        assert cost.semver == "v0.3.0"
        for figure, times in ((cost.cost_per_1k, PER_1K), (cost.cost_per_correct, 1e6)):
            assert figure is not None
            assert per_million(figure.value, "USD", times) in text
            for bound in (figure.low, figure.high):
                assert bound is not None
                assert digits(bound * times) in text
        for name, spent in cost.stages.items():
            line = next(line for line in desk.lines() if line.startswith(f" {name} "))
            assert f"{100 * spent / sum(cost.stages.values()):.1f} %" in line
        assert cost.break_even is not None
        assert f"costs at least {money(cost.break_even.price, 'USD')}" in text
        assert "2026-01" in text
        by = "evaluated" if cost.graded else "the accuracy on the eval set"
        for said in ("2026-01 at 0.05 USD/h", by, cost.since, "idle time, 2026-01", "h of recorded uptime"):
            assert said is not None
            assert said in text, said
        assert entry_sentence(cost)[:60] in text
        await desk.press("right_square_bracket")
        assert version_sentence(twin.entries)[:60] in desk.text()
        await desk.press("right_square_bracket")
        assert " v0.3.0  ● frontier" in desk.text()
        assert choice_sentence(twin.entries)[:60] in desk.text()
        assert sum("v0.3.0" in line for line in desk.lines()[4:22]) == 1, "the point is labelled"
        assert "not in the plot: no price" in desk.text()


async def test_export_is_what_the_twin_prints(days: Any, twin: Costs) -> None:
    async with days(screen="cost") as desk:
        await desk.press("e")
        folder = desk.app.source.settings.home / "exports"
        assert ("command", "spine cost --json") in desk.app.view.copies()
    written = json.loads(next(folder.glob("cost-*.json")).read_text())
    assert written == json.loads(msgspec.json.encode(as_object(twin)))


@pytest.mark.parametrize(
    ("text", "left"),
    [("standing:frontier", 2), ("variant:lora", 1), ("semver:v0", 2), ("currency:usd", 2), ("nobody", 0)],
)
async def test_filter_and_sort(days: Any, text: str, left: int) -> None:
    async with days(screen="cost") as desk:
        await desk.press("slash")
        await desk.type(text)
        assert len(desk.app.view.table.order) == left
        if not left:
            assert "no matches in 3 rows" in desk.text()
            assert "no entry selected" in desk.text()
        await desk.press("enter", "escape")
        while not desk.app.view.table.sort_name.startswith("live"):
            await desk.press("s")
        await desk.press("S")
        assert desk.app.view.table.rows[desk.app.view.table.order[0]].cost is None, "what is unknown is no small amount"


async def test_lineage_and_requests_of_an_entry(days: Any) -> None:
    async with days(screen="cost", argument="v0.3.0") as desk:
        sha = desk.app.view.target()
        await desk.press("i")
        assert (desk.app.view.NAME, desk.app.view.filter_text) == ("incident", f"sha:{sha}")
        await desk.press("minus", "o")
        assert desk.app.view.NAME == "lineage"
        desk.app.navigation.jump("cost nobody")
        await desk.settle()
        assert "no entry nobody here" in desk.app.freshness.last_error.error


async def test_another_moment(days: Any, fortnight: Spine) -> None:
    at = fortnight.registry.events()[1].at
    async with days(screen="cost") as desk:
        desk.app.navigation.jump(f"at {at}")
        await desk.settle()
        assert "1 of 1" in desk.text()
        assert desk.app.view.data == measured(fortnight, None, NOW, at=at)
        assert ("command", f"spine cost --json --at {at}") in desk.app.view.copies()
        desk.app.navigation.jump("at 2026-11-06")
        await desk.settle()
        assert desk.app.view.list.state == "empty"
        assert desk.app.view.list.message == desk.app.source.before_start != ""
        assert "spine register" not in desk.text(), "nothing can be registered in the past"
        desk.app.navigation.jump("at now")
        await desk.settle()
        assert "3 of 3" in desk.text()


# reading as seldom as can be ----------------------------------------------------------------------------------


class Counting(Source):
    """Counts how often everything was added up, and waits in the middle where it is told to."""

    def __init__(self, spine: Spine) -> None:
        super().__init__(spine)
        self.sums = 0
        self.left = 0
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()

    def costs(self, now: datetime, step: Any) -> Any:
        self.sums += 1

        def stop(done: int, total: int) -> None:
            try:
                step(1_234, 1_000_000)
                self.reached.set()
                self.gate.wait(10)
                step(done, total)
            except BaseException:
                self.left += 1
                raise

        return super().costs(now, stop)


async def test_a_slow_sum_is_made_when_it_is_asked_for_and_not_at_every_look(fortnight: Spine, days: Any) -> None:
    source = Counting(fortnight)
    async with days(source=source, screen="cost", interval=3600) as desk:
        assert source.sums == 1
        desk.app.view._took = 30.0
        desk.app.freshness.look()
        desk.app.view.reload()
        await desk.settle()
        await desk.press("1", "5")
        assert source.sums == 1
        await desk.press("r")
        assert source.sums == 2
        desk.app.view._busy = True
        desk.app.view._took = 0.0
        desk.app.view.reload()
        await desk.settle()
        assert source.sums == 2, "a sum that is under way is not begun again"
        desk.app.view._busy = False
        desk.app.view._took = 30.0
        desk.app.clock = lambda: datetime(2026, 11, 20, 15, tzinfo=UTC)
        desk.app.tick()
        await desk.settle()
        assert "5,600 requests, 3 h old" in desk.text()


async def test_how_far_it_is_and_leaving_stops_it(fortnight: Spine, days: Any) -> None:
    source = Counting(fortnight)
    source.gate.clear()
    async with days(source=source, screen="registry") as desk:
        await desk.pilot.press("5")
        assert source.reached.wait(10)
        await desk.pilot.pause(0.1)
        assert "summing 1,234 of 1,000,000 requests" in desk.text()
        assert "leave this screen to stop" in desk.text()
        await desk.pilot.press("1")
        await desk.pilot.pause(0.1)
        source.gate.set()
        await desk.settle()
        assert source.left == 1
        assert desk.app.freshness.last_error is None
        await desk.press("5")
        assert "3 of 3" in desk.text()


async def test_no_traces_and_no_entries(console: Any, spine: Spine, run_console: Any, tmp_path: Any) -> None:
    from modelspine.settings import load
    from modelspine.spine import create_ledger

    class Broken(Source):
        def costs(self, now: datetime, step: Any) -> Any:
            raise Unavailable("there is no database at x", "serve some requests")

    async with run_console(Broken(spine), screen="cost") as desk:
        assert desk.app.view.list.state == "error"
        assert "serve some requests" in desk.text()
    root = tmp_path / "empty"
    root.mkdir()
    settings = load(root, environ={"SPINE_ROOT": str(root), "USER": "ada"})
    create_ledger(settings, "dev")
    with Spine(settings, readonly=True) as empty:
        async with run_console(Source(empty), screen="cost") as desk:
            assert desk.app.view.list.state == "empty"
            assert "there are no traces at" in desk.text()


# the drawing by itself ----------------------------------------------------------------------------------------


def cost(sha: str, price: Range | None, accuracy: Range | None, currency: str | None = "USD", **more: Any) -> EntryCost:
    values: dict[str, Any] = {
        "semver": None, "variant": "x", "requests": 1, "shadow": 0, "priced": 1, "tokens": 1, "tokens_per_second": None,
        "rate_per_hour": None, "price_versions": (), "cost": 1.0, "cost_per_request": 1.0, "stages": {"a": 1.0},
        "total": Count(1, 2), "cpqu": None, "readiness": None, "cost_per_correct": price, "amortised_per_1k": None,
        "amortised_per_correct": None, "standing": "frontier", "unexplained": None, **more,
    }  # fmt: skip
    return EntryCost(sha=sha, cost_per_1k=price, accuracy=accuracy, currency=currency, **values)


_ONE = Range(1e-6, 0.9e-6, 1.1e-6)
_GOOD = Range(0.9, 0.8, 0.95)


@pytest.mark.parametrize("width", [10, 24, 46, 79, 160])
@pytest.mark.parametrize(
    "entries",
    [
        (cost("a", None, None),),
        (cost("a", _ONE, _GOOD),),
        (cost("a", _ONE, _GOOD), cost("b", _ONE, _GOOD)),
        (cost("a", Range(0.0, None, None), Range(0.0, 0.0, 0.0)),),
        (cost("a", Range(1e308, 0.0, 1e308), _GOOD), cost("b", _ONE, Range(1.0, 1.0, 1.0))),
        (cost("a", _ONE, _GOOD), cost("b", _ONE, _GOOD, "EUR"), cost("c", None, _GOOD, None)),
        tuple(cost(str(n), Range(n * 1e-6, None, None), _GOOD) for n in range(40)),
    ],
    ids=["nothing", "one", "equal", "zero", "huge", "currencies", "many"],
)
def test_a_plot_of_any_entries(entries: tuple[EntryCost, ...], width: int) -> None:
    made = Costs(of="x", at=NOW, requests=1, entries=entries)
    for chosen in {entry.sha: entry for entry in (entries[0], entries[-1])}.values():
        lines = tabs.plane(made, chosen, width)
        assert "\x1b" not in "".join(line.plain for line in lines)
        assert tabs.figures(made, chosen, None, NOW, width)
        if chosen.cost_per_1k is None and len(entries) == 1:
            assert "no entry has both" in lines[0].plain
        elif width >= 46:
            placed = sum("not in the plot" not in line.plain and " · " not in line.plain for line in lines)
            assert placed
            assert any("┌" in line.plain for line in lines)
        assert tabs.versions(made, chosen, width)


def test_the_plot_names_each_entry_beside_its_point() -> None:
    others = (cost("b" * 12, Range(2e-6, None, None), Range(0.7, None, None), semver="v0.2.0"),
              cost("c" * 12, Range(2e-6, None, None), Range(0.7, None, None), semver="v0.3.0"))  # fmt: skip
    entries = (cost("a" * 64, _ONE, _GOOD), *others)
    made = Costs(of="x", at=NOW, requests=1, entries=entries)
    lines = [line.plain for line in tabs.plane(made, entries[0], 100)]
    plotted = lines[: next(n for n, line in enumerate(lines) if "└" in line)]
    assert any("●─aaaaaaaaaaaa" in line for line in plotted)
    same = [line for line in plotted if "v0.2.0" in line or "v0.3.0" in line]
    assert sum(line.count("v0.") for line in same) == 2, "two entries at one point are both named"
    assert not any("v0.2.0v" in line for line in same)


def test_the_versions_are_bars_and_a_price_of_another_rent_has_none() -> None:
    entries = (cost("a", _ONE, _GOOD, semver="v0.1.0"), cost("b", Range(5e-7, None, None), _GOOD, semver="v0.2.0"),
               cost("c", _ONE, _GOOD, "EUR", semver="v0.3.0"), cost("d", None, _GOOD, None, cost=None))  # fmt: skip
    made = Costs(of="x", at=NOW, requests=1, entries=entries)
    lines = [line.plain for line in tabs.versions(made, entries[0], 100)]
    assert lines[0].strip() == version_sentence(entries)
    bars = {line.split()[0]: line.count("━") for line in lines[3:7]}
    assert bars == {"v0.1.0": 24, "v0.2.0": 12, "v0.3.0": 0, "d": 0}
    assert "has no bar" in lines[-1]
    assert "unknown" in lines[6]


def test_what_no_figure_counts_is_named() -> None:
    left = (
        LeftOut(
            why="tombstoned", sha="b" * 64, semver="v0.2.0\x1b[31m", requests=400, spent={"USD": 1e-6, "EUR": 2e-6}
        ),
        LeftOut(why="testers", sha="a" * 64, semver="v0.1.0", requests=100, spent={}),
    )
    entries = (cost("a", _ONE, _GOOD, semver="v0.1.0", workers=2),)
    made = Costs(of="x", at=NOW, requests=501, entries=entries, left_out=left)
    text = "\n".join(line.plain for line in tabs.figures(made, entries[0], None, NOW, 200))
    assert "400 of 501 requests are in no figure, because their entry is tombstoned: v0.2.0" in text
    assert "(n 400, 1 µUSD and 2 µEUR)" in text
    assert "because testers asked them: v0.1.0 (n 100, no price)." in text
    assert "\x1b" not in text


def test_what_is_not_ready_or_unknown_is_called_so() -> None:
    even = BreakEven(
        parent_sha="b", currency="USD", cost_difference=1.0, accuracy_difference=0.0, price=None, pays="never"
    )
    low = cost("a", _ONE, Range(0.1, 0.0, 0.2), readiness="not-deployment-ready", break_even=even,
               priced=0, unpriced={"no rate_per_hour is set": 1})  # fmt: skip
    made = Costs(of="x", at=NOW, requests=1, entries=(low, cost("b", None, None, None, cost=None)))
    text = "\n".join(line.plain for line in tabs.figures(made, low, None, NOW, 80))
    for said in (
        "not ready",
        "pays off at no price",
        "1 of 1 requests have no price: no rate",
        "no cost per quality is given",
        "1 USD (0.9 to 1.1)",  # per million right answer: the live grades know what the evaluation does not
    ):
        assert said in text
    graded = next(line for line in text.splitlines() if "a million right answers" in line)
    assert "not ready" not in graded
    without = msgspec.structs.replace(low, cost_per_correct=None)
    cells = {column.title: [column.cell(each).plain for each in (low, without)] for column in columns_of({})}
    assert cells["live"] == ["1", "not ready"], "as `spine cost` has it"
    unknown = "\n".join(line.plain for line in tabs.figures(made, made.entries[1], None, NOW, 80))
    assert unknown.count("unknown") >= 6
    assert "0 USD" not in unknown
