"""What is said beside figures that nobody judges: arms that fail, with the way out, and heavy units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from answers import NS, Arm, leave_answers
from cli_world import run
from miniobserve.evidence import Unit
from modelspine.ledger.route import Arm as Place
from modelspine.ledger.route import Route
from modelspine.spine import Spine
from modelspine.times import nanoseconds
from modelspine.traffic.operator_notes import LAST_HOUR_NS, failing_notes, recent_notes
from modelspine.words import words

Make = Callable[..., Path]
STABLE, OTHER = (
    Place(name=name, sha=name * 8, semver=f"v{n}.0.0", weight_bp=5_000) for n, name in ((1, "stable"), (2, "candidate"))
)
FAILS = "the stable arm fails on 60 of 60 requests; "


def units(arm: str, failed: int, count: int = 6) -> list[Unit]:
    return [Unit(arm, f"{arm}{n}", 10, failed, 0.1, 10 - failed, 9 - failed) for n in range(count)]


@pytest.mark.parametrize(
    ("arms", "rows", "said"),
    [
        ([STABLE], units("stable", 5), []),
        ([STABLE], units("stable", 10, count=4), []),
        (
            [STABLE],
            units("stable", 10),
            [FAILS + "`spine rollback REF --reason TEXT` goes back to an earlier entry, and `spine route single REF "
             "--reason TEXT` on to another one"],
        ),
        (
            [STABLE, OTHER],
            units("stable", 10) + units("candidate", 0),
            [FAILS + "if v2.0.0 is the fix, `spine route single v2.0.0 --reason TEXT` gives it all traffic"],
        ),
        (
            [STABLE, OTHER],
            units("stable", 10) + units("candidate", 9),
            [FAILS + "v2.0.0 fails as well; `spine rollback REF --reason TEXT` goes back to an earlier entry"],
        ),
        (
            [STABLE, OTHER],
            units("stable", 0) + units("candidate", 9),
            ["the candidate fails on 54 of 60 requests; `spine route abort --reason TEXT` ends it"],
        ),
    ],
)  # fmt: skip
def test_an_arm_that_fails_is_said_with_the_way_out(arms: Sequence[Place], rows: list[Unit], said: list[str]) -> None:
    assert failing_notes(arms, rows) == said
    over = failing_notes(arms, rows, ended=True)
    assert [note.split(";")[0].replace("fails", "failed") for note in said] == over[: len(said)]
    assert not any("`" in note for note in over)


@pytest.fixture
def two(spine: Spine, make_bundle: Make) -> Spine:
    """A ledger with two promoted entries; the first one answers everything."""
    for number in (1, 2):
        spine.registry.promote(spine.registry.register(make_bundle(number)).sha, f"v{number}.0.0")
    return spine


def route_of(spine: Spine) -> Route:
    route = spine.registry.route()
    assert route is not None
    return route


def fill(spine: Spine, arms: dict[str, Arm], **more: Any) -> None:
    at = spine.registry.events()[route_of(spine).epoch - 1].at
    given = {"start_ns": nanoseconds(at), "seconds": 1, "requests": 300, "learners": 60}
    leave_answers(spine.settings.traces, route_of(spine), arms, **{**given, **more})


def test_a_single_route_that_fails_now_is_said_however_long_it_did_well(two: Spine, capsys: Any) -> None:
    now = datetime.now(UTC)
    fill(two, {"stable": Arm()}, start_ns=nanoseconds(now) - 9 * LAST_HOUR_NS, requests=900, source="replay", seed=2)
    assert recent_notes(two.traces.evidence, route_of(two), now) == []
    fill(two, {"stable": Arm(failed=1.0)}, start_ns=nanoseconds(now) - NS)
    shown = run(capsys, "route", "show", "--json", root=two.settings.root).json
    (note,) = shown["notes"]
    assert note.startswith("over the hour up to 20")
    assert "Z: the stable arm fails on 300 of 300 requests; `spine rollback REF " in note
    assert "note  over the hour" in run(capsys, "route", "show", root=two.settings.root).out
    earlier = now - timedelta(hours=5)
    assert recent_notes(two.traces.evidence, route_of(two), earlier) == []


def test_an_ab_test_says_that_the_stable_arm_fails_and_judges_it(two: Spine, capsys: Any) -> None:
    """Its failed answers are wrong ones, in the headline as in the difference, whose interval ends at 100 points."""
    two.routing.ab("v2.0.0", reason="which is better?")
    fill(two, {"stable": Arm(failed=1.0), "candidate": Arm(1.0)})
    root = two.settings.root
    shown = run(capsys, "route", "show", "--json", root=root).json
    assert "`spine route single v2.0.0 --reason TEXT` gives it all traffic" in shown["notes"][0]
    report = run(capsys, "route", "report", "--json", root=root).json
    failed = report["arms"][0]["requests"]
    assert report["notes"][0].startswith(f"the stable arm fails on {failed} of {failed} requests; if v2.0.0 is the fix")
    assert (report["difference"]["graded"]["high"], report["difference"]["errors"]["low"]) == (1.0, -1.0)
    text = run(capsys, "route", "report", root=root).out
    assert text.startswith(
        f"Correct answers: candidate v2.0.0 100.0 % of {300 - failed}, stable v1.0.0 none, {failed} of"
    )
    assert "better beyond chance" in text.splitlines()[0]
    assert "note: the stable arm fails on" in text


def test_an_ab_test_names_a_heavy_unit(two: Spine, capsys: Any) -> None:
    two.routing.ab("v2.0.0", reason="which is better?")
    fill(two, {"stable": Arm(), "candidate": Arm()})
    fill(two, {"stable": Arm(), "candidate": Arm()}, requests=1_500, learner="anonymous", seed=2)
    report = run(capsys, "route", "report", "--json", root=two.settings.root).json
    (heavy,) = report["heavy"]
    assert heavy["requests"] >= 1_500
    share = round(100 * heavy["requests"] / heavy["of"])
    named = f"unit {heavy['u']} sent {share} % of the {heavy['arm']} arm's requests and counts as one {words().unit}"
    assert report["notes"] == [named, "if many people share its id, give each one of their own, or send none"]
    assert f"note: {named}" in run(capsys, "route", "report", root=two.settings.root).out
    shown = run(capsys, "route", "show", "--json", root=two.settings.root).json
    assert shown["notes"][0].endswith(f"Z: {named}")
    two.routing.weigh(2_000, reason="less")
    later = run(capsys, "route", "report", root=two.settings.root).out
    assert f"note: epoch #{report['epoch']}: {named}" in later
