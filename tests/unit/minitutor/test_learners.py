"""What learners write: repeatable, like training on weekdays and unlike it on a weekend, over the hours of a day."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime

import pytest

from minitutor import corpus, grid, parse
from minitutor.learners import LEARNERS, Traffic, asks

DAY = date(2026, 11, 16)
WEEKDAY = Traffic(n=1000, seed=7, day=DAY)
WEEKEND = Traffic(n=1000, seed=7, day=DAY, weekend=0.5)


def futures(traffic: Traffic) -> int:
    found = [parse.parse(ask.sentence) for ask in asks(traffic)]
    assert all(found), "the oracle grades every sentence"
    return sum(one.cell.tense == grid.FUTURE for one in found if one)


@pytest.mark.long
def test_the_traffic_follows_from_seed_and_day() -> None:
    assert asks(WEEKDAY) == asks(WEEKDAY)
    assert asks(WEEKDAY) != asks(Traffic(n=1000, seed=8, day=DAY))
    other = asks(Traffic(n=1000, seed=7, day=date(2026, 11, 17)))
    assert not {ask.request_id for ask in asks(WEEKDAY)} & {ask.request_id for ask in other}


def test_a_few_learners_are_heavy_and_all_are_there() -> None:
    learners = Counter(ask.learner for ask in asks(WEEKDAY))
    assert len(learners) > LEARNERS * 0.9
    assert sum(n for _, n in learners.most_common(LEARNERS // 10)) > 1000 * 0.18


def test_a_weekday_is_wrong_as_often_as_training() -> None:
    made = asks(WEEKDAY)
    trained = corpus.rows(corpus.V2)
    share = sum(row.text != row.correction for row in trained) / len(trained)
    assert sum(ask.sentence != ask.correction for ask in made) / 1000 == pytest.approx(share, abs=0.05)
    assert all(ask.correction == parse.oracle(ask.sentence) for ask in made)
    assert futures(WEEKDAY) / 1000 == pytest.approx(0.18, abs=0.04)


def test_a_weekend_has_plans_for_it_in_frames_of_their_own() -> None:
    assert futures(WEEKEND) / 1000 == pytest.approx(0.5 + 0.5 * 0.18, abs=0.05)
    plans = sum(any(word in ask.sentence for word in ("weekend", "Saturday", "Sunday ")) for ask in asks(WEEKEND))
    assert plans == pytest.approx(500, abs=50)


def test_the_times_are_of_that_day_in_order_and_mostly_while_people_are_awake() -> None:
    times = [datetime.fromisoformat(ask.at) for ask in asks(WEEKDAY)]
    assert times == sorted(times)
    assert {time.date() for time in times} == {DAY}
    hours = Counter(time.hour for time in times)
    assert not hours.keys() & {0, 1, 2, 3, 4, 5}
    assert hours[17] > hours[7] > 0
    assert all(ask.at == "" for ask in asks(Traffic(n=5, seed=7)))


def test_what_is_asked_for_stands_in_the_middle_and_somebody_speaks_about_it() -> None:
    ask = asks(Traffic(n=100, seed=7, asking="Yesterday he goed to school."))[50]
    assert ask.sentence == "Yesterday he goed to school."
    assert ask.correction == "Yesterday he went to school."
    assert ask.outcome(passed=True) == "dismissed"
    assert ask.outcome(passed=False) in {"accepted", "revised"}
