"""``spine cost``, and the page made of real traces that are committed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from cli_world import World, check_refused, leave_trace, make_world, run
from miniobserve.cost import busy_seconds
from modelspine.cli.cost import markdown
from modelspine.cost.format import money
from modelspine.cost.query import Spent, sampled
from modelspine.gate.eval_report import CostPerQuality
from modelspine.ledger.route import assign
from modelspine.spine import open_spine
from observed import record_uptime

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "data" / "samples" / "costs.jsonl"
PAID = {
    "stages": {"decode": 0.72}, "cost": 1e-5, "rate_per_hour": 0.05, "input_tokens": 5, "output_tokens": 5,
    "price_version": "2026-01", "priced_by": "busy/1",
}  # fmt: skip
MARCH_2 = 1_772_409_600_000_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(tmp_path_factory.mktemp("cost") / "project")
    leave_trace(made.root, "req-paid-0001", "x y", "x y", **PAID)
    more = PAID | {"stages": {"decode": 1.44}, "cost": 2e-5, "entry_sha": made.child}
    leave_trace(made.root, "req-paid-0002", "x y", "x y", **more)
    leave_trace(made.root, "req-paid-0003", "x y", "x y", started_ns=MARCH_2, **PAID)
    leave_trace(made.root, "req-late-0001", "x y", "x y", started_ns=7_258_118_400_000_000_000, **PAID)
    with open_spine(made.root, readonly=True) as spine:
        record_uptime(spine.settings.traces, MARCH_2, 86_400)
    return made


@pytest.fixture(autouse=True)
def _there(world: World, echo: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.root)


def test_each_entry_has_its_figures(world: World, capsys: Capture) -> None:
    silent, loud, child = run(capsys, "cost", "--json").json["entries"]
    assert (silent["sha"], silent["requests"], silent["priced"]) == (world.silent, 3, 2)
    assert (silent["price_version"], silent["priced_by"], silent["rate_per_hour"]) == ("2026-01", "busy/1", 0.05)
    assert (silent["correct_by"], silent["graded"]) == ("evaluated", None)
    assert silent["unpriced"] == {"its trace gives no reason": 1}
    assert silent["cost_per_1k"]["value"] == pytest.approx(1e-3)
    assert silent["cpqu"] == pytest.approx(1e-3 / 0.8)
    assert (loud["requests"], loud["cost"], loud["standing"]) == (0, None, None)
    assert (child["cost_per_request"], child["cpqu"], child["total"]) == (2e-5, None, None)
    human = run(capsys, "cost").out
    price = ("2026-01 at 0.05 USD/h", "by the accuracy on the eval set", "idle time is unknown: no uptime")
    known = ("12.5 ", "unknown", "1 of 3 requests have no price", "● frontier", "80/100 80.0 %")
    for part in (*known, *price):
        assert part in human
    said = run(capsys, "cost", "--json").json["sentences"]
    assert human.split("\nentry ", 1)[0].split() == f"{said['choice']} {said['versions']}".split()


def test_a_day(world: World, capsys: Capture) -> None:
    made = run(capsys, "cost", "--day", "2026-03-02", "--json").json
    assert (made["requests"], made["entries"][0]["cost"]) == (1, 1e-5)
    hours = made["entries"][0]["amortised_per_1k"] * made["entries"][0]["tokens"] / 1000 / 0.05
    assert hours == pytest.approx(24)
    (day,) = made["idle"]
    assert (day["day"], day["rent"], day["spent"]) == ("2026-03-02", pytest.approx(1.2), pytest.approx(1e-5))
    assert day["idle"] == pytest.approx(day["rent"] - day["spent"])
    assert "24.0 h of recorded uptime, 1 day" in run(capsys, "cost", "--day", "2026-03-02").out


def test_a_request_from_the_future_is_counted_and_left_out(world: World, capsys: Capture) -> None:
    made = run(capsys, "cost", "--json").json
    assert (made["requests"], made["future"]) == (4, 1)
    assert "1 request dated after" in run(capsys, "cost").out


def test_what_no_figure_counts_is_named(capsys: Capture, tmp_path: Path) -> None:
    """Of testers, of a tombstoned entry, of one that nobody registered, and what reached no entry; all adds up."""
    made = make_world(tmp_path / "project")
    with open_spine(made.root) as spine:
        tester = msgspec.structs.replace(assign(spine.registry.route(), "x", sticky=True), tester="alice")
    assert run(capsys, "tombstone", made.child, "--reason", "gone", root=made.root).code == 0
    asked = {"tester": {"assignment": tester}, "gone": {"entry_sha": made.child}, "alien": {"entry_sha": "e" * 64},
             "lost": {"entry_sha": "", "status": 503}, "no-route": {"assignment": tester, "entry_sha": ""}, "paid": {},
             "copy": {"assignment": tester, "shadow_of": "request-tester", "cost": None}}  # fmt: skip
    for name, more in asked.items():
        leave_trace(made.root, f"request-{name}", "x y", "x y", started_ns=MARCH_2, **{**PAID, **more})
    with open_spine(made.root, readonly=True) as spine:
        record_uptime(spine.settings.traces, MARCH_2, 3600)
    said = run(capsys, "cost", "--day", "2026-03-02", "--json", root=made.root).json
    left = {(each["why"], each["sha"]): (each["requests"], each["spent"]) for each in said["left_out"]}
    assert left == {
        ("testers", made.silent): (2, {"USD": 1e-5}), ("tombstoned", made.child): (1, {"USD": 1e-5}),
        ("not registered", "e" * 64): (1, {"USD": 1e-5}), ("no entry", None): (1, {"USD": 1e-5}),
        ("testers", None): (1, {"USD": 1e-5}),
    }  # fmt: skip
    counted = sum(each["requests"] for each in [*said["entries"], *said["left_out"]])
    assert said["requests"] == len(asked) == counted
    (silent, _), (day,) = said["entries"], said["idle"]
    assert (silent["requests"], silent["testers"], silent["cost"]) == (1, 2, 1e-5)
    assert (day["spent"], day["testers"]) == (pytest.approx(6e-5), pytest.approx(2e-5))
    assert day["idle"] == pytest.approx(0.05 - 6e-5)
    assert silent["idle"] == pytest.approx(day["idle"] / 4), "testers bear none of it"
    text = " ".join(run(capsys, "cost", "--day", "2026-03-02", root=made.root).out.split())
    for part in (
        "3 of 7 requests are in no figure, because testers asked them: v0.1.0 (n 2, 10 µUSD), no entry (n 1, 10 µUSD).",
        "Their price counts as spent, and not as idle time",
        f"1 of 7 requests is in no figure, because their entry is tombstoned: {made.child[:12]} (n 1, 10 µUSD)",
        "because their entry is not registered: eeeeeeeeeeee (n 1, 10 µUSD)",
        "because they reached no entry: 10 µUSD",
    ):
        assert part in text


def test_an_unknown_price_says_why_and_what_would_make_it_known(world: World, capsys: Capture) -> None:
    loud = run(capsys, "cost", "--json").json["entries"][1]
    assert loud["unknown"]["cost"].startswith("it answered no request; set `rate_per_hour`")
    assert "it answered no request; set `rate_per_hour`" in " ".join(run(capsys, "cost").out.split())


def test_another_moment(world: World, capsys: Capture) -> None:
    then = run(capsys, "cost", "--at", "2026-03-02T00:00:00Z", "--json").json
    assert (then["requests"], then["entries"]) == (1, []), "no entry was registered by then"
    with open_spine(world.root, readonly=True) as spine:
        at = spine.registry.events()[1].at
    then = run(capsys, "cost", "--at", at, "--json").json
    assert [entry["sha"] for entry in then["entries"]] == [world.silent]
    assert then["entries"][0]["requests"] == 1


def test_a_page(world: World, capsys: Capture, tmp_path: Path) -> None:
    done = run(capsys, "cost", "--md", str(tmp_path / "costs.md"))
    assert done.code == 0
    page = (tmp_path / "costs.md").read_text(encoding="utf-8")
    assert "| `v0.1.0 " in page
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1
    check_refused(run(capsys, "cost", "--md", str(tmp_path / "no" / "such.md")), 3)


def test_a_hostile_name_draws_nothing(tmp_path: Path, capsys: Capture) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    head = json.loads(lines[0])
    head["of"] = "\x1b[31m`x`"
    head["entries"][0] |= {"semver": "a|`b`\x1b]0;x\x07"}
    (tmp_path / "bad.jsonl").write_text("\n".join([json.dumps(head), *lines[1:3]]), encoding="utf-8")
    done = run(capsys, "cost", "--traces", str(tmp_path / "bad.jsonl"), "--md", str(tmp_path / "page.md"))
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "\x1b" not in done.out + page
    assert "`a\\|´b´" in page


@pytest.mark.parametrize("text", ["", "{", "{}\n", '{"schema": "spine.cost-sample/2"}\n'])
def test_a_file_that_is_no_sample(tmp_path: Path, capsys: Capture, text: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    check_refused(run(capsys, "cost", "--traces", str(tmp_path / "bad.jsonl")), 2)


def test_costs_md_is_current() -> None:
    """`python bench/costs.py` writes it from the sample; the sample's own time stands still."""
    page = (ROOT / "docs" / "COSTS.md").read_text(encoding="utf-8")
    assert page == "\n".join(markdown(sampled(SAMPLE))) + "\n"


def test_what_right_answers_cost_has_one_unit_at_the_gate_and_live(capsys: Capture) -> None:
    costs = sampled(SAMPLE)
    gate = {costs.entries[0].sha: CostPerQuality(usd=0.00254, low=0.0025, high=0.0026, runs=2, rate_per_hour=0.05)}
    head, _, *rows = (line for line in markdown(costs, gate) if line.startswith("|"))
    assert [name.strip() for name in head.split("|")[5:8]] == ["USD/M right", "live", "live with idle"]
    for row, cost, at_gate in zip(rows, costs.entries, ("0.00254", "–"), strict=True):
        assert cost.cost_per_correct is not None
        assert cost.amortised_per_correct is not None
        live = f"{1e6 * cost.cost_per_correct.value:.3g}", f"{1e6 * cost.amortised_per_correct:.3g}"
        assert [cell.strip() for cell in row.split("|")[5:8]] == [at_gate, *live]
    human = " ".join(run(capsys, "cost", "--traces", str(SAMPLE)).out.split())
    assert "USD/M right: USD per million right answers, measured at the gate on the eval set. live: the same" in human


def test_the_sample_is_real_and_its_prices_are_its_seconds() -> None:
    traces = [msgspec.json.decode(line, type=Spent) for line in SAMPLE.read_bytes().splitlines()[1:]]
    assert len(traces) >= 100
    for trace in traces:
        assert trace.rate_per_hour is not None
        assert trace.priced_by == "busy/1"
        assert trace.cost == pytest.approx(busy_seconds(trace.stages) * trace.rate_per_hour / 3600, rel=1e-3)
    made = sampled(SAMPLE)
    assert any(cost.break_even is not None for cost in made.entries), "two entries that answered side by side"
    assert not any(cost.shadow for cost in made.entries), "copies have no price"
    assert all(cost.standing is not None and cost.idle is not None for cost in made.entries)
    assert all(cost.unexplained is not None and cost.unexplained < 1e-3 for cost in made.entries)
    assert sum(cost.cost or 0 for cost in made.entries) == pytest.approx(sum(t.cost or 0 for t in traces), rel=1e-3)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unknown"),
        (0.0, "0 USD"),
        (1.5, "1.5 USD"),
        (-2e-6, "-2 µUSD"),
        (999.9, "1,000 USD"),
        (3e-10, "0.3 nUSD"),
    ],
)
def test_money_has_its_unit(value: float | None, shown: str) -> None:
    assert money(value, "USD") == shown
