"""The overview in words: no rate of the past, nothing unchecked called in order, replayed traffic named so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from modelspine.overview.day import DayFigures, Drift
from modelspine.overview.glance import Glance, Hold, Rollout, Standing
from modelspine.overview.lines import NAMES, Fact, facts, sentence, span

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AT = "2026-11-22T12:00:00.000000Z"
HOUR_AGO = "2026-11-22T11:00:00.000000Z"
STABLE = Standing(sha="a" * 64, semver="v0.1.0", since=HOUR_AGO, seq=3)
CANARY = Rollout(strategy="canary", sha="b" * 64, semver="", weight_bp=1_000, since=HOUR_AGO, step=2, steps=4)
SEEN = Glance(
    at=AT, seq=9, entries=2, env="dev", service="tutor", production=STABLE, rollout=None, held=(), until=AT,
    requests_per_second=2.125, last_request="2026-11-22T11:59:57.000000Z", servers=2, server_seen=AT,
)  # fmt: skip
DAY = DayFigures(
    since=HOUR_AGO, until=AT, replayed=False, graded=200, right=190, expected=0.957, expected_from="evaluation",
    dismissed=0, false_accepts=0, unattributed=0, answered=210, priced=210, prices=0.0021, rent=1.2, currency="USD",
    drift=Drift(day="2026-11-21", status="stable", reason=""),
)  # fmt: skip


def lines(seen: Any = SEEN, day: Any = DAY, now: datetime = NOW) -> dict[str, Fact]:
    found = facts(seen, day, now)
    assert tuple(fact.name for fact in found) == NAMES
    return {fact.name: fact for fact in found}


def glance(**more: Any) -> Glance:
    return msgspec.structs.replace(SEEN, **more)


def figures(**more: Any) -> DayFigures:
    return msgspec.structs.replace(DAY, **more)


def test_a_service_in_order() -> None:
    told = lines()
    assert {name: (fact.state, fact.text) for name, fact in told.items()} == {
        "production": ("good", "v0.1.0 aaaaaaaaaaaa since 2026-11-22 11:00Z (60 min)"),
        "rollout": ("muted", "no canary, A/B test or shadow is in progress"),
        "requests": ("", "2.12 req/s · last request 3 s ago"),
        "accuracy": ("", "95.0 % correct, 95.7 % expected (190 of 200 graded; evaluation)"),
        "drift": ("good", "inputs of 2026-11-21 resemble the training data"),
        "incidents": ("good", "0 dismissed, 0 false accepts, 0 unattributed"),
        "holds": ("muted", "no entry is on hold"),
        "servers": ("good", "2 running, last seen 0 s ago"),
        "money": ("", "1.2 USD rent; 2.1 mUSD for 210 answers"),
    }
    assert sentence(tuple(told.values())) == "Nothing needs attention."
    assert span(DAY) == "last 24 h"


def test_live_traffic_that_stopped_has_no_rate_of_the_past() -> None:
    told = lines(glance(requests_per_second=0.0, last_request="2026-11-22T11:02:00.000000Z"))["requests"]
    assert (told.state, told.text) == ("warn", "0 req/s · last request 58 min ago")
    later = lines(glance(requests_per_second=0.0, last_request=AT), now=NOW + timedelta(seconds=30))["requests"]
    assert later.text.endswith("last request 30 s ago"), "an age is made when it is drawn"


def test_replayed_traffic_is_named_and_needs_no_server() -> None:
    past = "2026-01-18T18:29:00.000000Z"
    seen = glance(replayed=True, until=past, last_request=past, requests_per_second=None, servers=0, rollout=CANARY)
    told = lines(seen, figures(replayed=True, until=past))
    assert told["requests"].text == "replayed traffic; its last request is dated 2026-01-18 18:29Z"
    assert "req/s" not in told["requests"].text
    assert told["servers"].state == "muted"
    assert "no server" not in told["rollout"].text
    assert span(figures(replayed=True, until=past)) == "replayed 24 h to 2026-01-18 18:29Z"


def test_a_canary_without_a_server_says_so() -> None:
    told = lines(glance(rollout=CANARY, servers=0), figures(verdict="holds"))
    assert told["rollout"].state == "warn"
    assert told["rollout"].text == (
        "canary bbbbbbbbbbbb at 10 %, step 2 of 4, for 60 min; no server is running, so it gets no requests"
    )
    assert told["servers"] == Fact(
        name="servers", state="warn", text="none running; last seen 0 s ago", hint="start one with `spine serve`"
    )
    with_one = lines(glance(rollout=CANARY), figures(verdict="waiting for: 63 more graded answers"))["rollout"]
    assert with_one.text.endswith("for 60 min; waiting for: 63 more graded answers")
    assert with_one.state == ""


def test_the_requests_of_another_server_need_none_of_spine() -> None:
    told = lines(glance(rollout=CANARY, servers=0, server_seen=None, recorded=AT), figures(verdict="holds"))
    assert told["rollout"].text.endswith("for 60 min; holds")
    assert told["servers"].state == "muted"
    assert told["servers"].text == (
        "none of Spine's is running (none has reported so far); the newest request is recorded of another server, "
        "0 s ago"
    )


def test_what_was_not_looked_at_is_not_checked_and_never_in_order() -> None:
    told = lines(glance(problem="no traces", hint="serve", servers=None), figures(problem="no traces", hint="serve"))
    blind = [name for name, fact in told.items() if not fact.checked]
    assert blind == ["requests", "accuracy", "incidents", "servers", "money"]
    assert all(told[name].text == "not checked: no traces" for name in blind)
    assert (
        sentence(tuple(told.values())) == f"Nothing that was checked needs attention; not checked: {', '.join(blind)}."
    )
    waiting = lines(day=None)
    assert [name for name, fact in waiting.items() if not fact.checked] == ["accuracy", "drift", "incidents", "money"]
    archived = lines(day=figures(false_accepts=None))["incidents"]
    assert "false accepts not checked" in archived.text


@pytest.mark.parametrize(
    ("more", "name", "state", "text"),
    [
        ({"drift": None}, "drift", "muted", "no day has a drift report yet"),
        ({"drift": Drift(day="2026-11-21", status="act", reason="tense: past 80 %")}, "drift", "bad",
         "inputs of 2026-11-21 drifted from training: tense: past 80 %"),
        ({"drift": Drift(day="2026-11-21", status="act", reason="", inputs="stable", failing="9 of 9 failed")},
         "drift", "bad", "9 of 9 failed; inputs of 2026-11-21 resemble the training data"),
        ({"drift": Drift(day="2026-11-21", status="stable", reason="", contradiction="worse")}, "drift", "bad",
         "inputs of 2026-11-21 resemble the training data; worse"),
        ({"dismissed": 3, "false_accepts": 1}, "incidents", "warn", "3 dismissed, 1 false accept, 0 unattributed"),
        ({"unattributed": 2}, "incidents", "warn", "0 dismissed, 0 false accepts, 2 unattributed"),
        ({"graded": 0, "right": 0}, "accuracy", "muted", "nothing graded; 95.7 % expected (evaluation)"),
        ({"graded": 0, "right": 0, "labels": True}, "accuracy", "muted",
         "0 of 210 labelled; 95.7 % expected (evaluation)"),
        ({"others_graded": 10, "others_right": 6, "labels": True}, "accuracy", "",
         ("95.0 % correct, 95.7 % expected (190 of 200 graded, 210 of 210 labelled; evaluation);"
         " other entries 60.0 % (6 of 10 graded)")),
        ({"graded": 0, "right": 0, "others_graded": 10, "others_right": 6}, "accuracy", "muted",
         "no answer of production is graded; 95.7 % expected (evaluation); other entries 60.0 % (6 of 10 graded)"),
        ({"expected": None}, "accuracy", "",
         "95.0 % correct, expectation unknown (190 of 200 graded; the entry was never evaluated)"),
        ({"rent": None, "priced": 200}, "money", "",
         "rent unknown (no uptime with a rate); 2.1 mUSD for 200 answers of 210; the others have no price"),
        ({"answered": 0, "priced": 0, "prices": 0.0}, "money", "", "1.2 USD rent; no answers"),
        ({"currency": "", "prices": None}, "money", "muted", "several currencies: no sum is possible"),
    ],
)  # fmt: skip
def test_the_figures_of_a_day(more: dict[str, Any], name: str, state: str, text: str) -> None:
    told = lines(day=figures(**more))[name]
    assert (told.state, told.text) == (state, text)


def test_holds_and_an_empty_registry() -> None:
    held = Hold(sha="c" * 64, semver="v0.2.0", since="2026-11-19T12:00:00.000000Z", reason="worse\x1b on go")
    told = lines(glance(held=(held, held), production=None, last_request=None))
    assert told["holds"].text == "v0.2.0 for 3 d: worse␛ on go, and 1 more"
    assert told["production"].text == "nothing is in production yet"
    assert told["requests"].text == "no request so far"
    assert sentence(tuple(told.values())) == "Production and holds need attention."
    assert sentence((told["holds"],)) == "Holds need attention."
    assert sentence((told["production"],)) == "Production needs attention."
    assert "(?)" in lines(glance(production=msgspec.structs.replace(STABLE, since="never")))["production"].text
