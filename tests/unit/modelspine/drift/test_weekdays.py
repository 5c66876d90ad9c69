"""Drift reports by weekday, and the sentences about several days."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modelspine.drift.features import Feature
from modelspine.drift.grades import Graded
from modelspine.drift.report import Against, DriftReport, Window
from modelspine.drift.weekdays import by_weekday, name_of, trend_sentence, weekday_sentence, weeks, with_weekday
from modelspine.gate.eval_report import Count


def report(day: str, status: Any, psi: float | None = 0.05, n: int = 100) -> DriftReport:
    feature = Feature(psi=psi, kl=psi, p=0.5, p_adjusted=0.5, status=status, n=n, needed=50, missing=0, bins=())
    return DriftReport(
        day=day, entry_sha="e" * 64, reference=Against(corpus_dvc_hash=None, corpora=(), n=9), status=status,
        window=Window(start=day, to=day, n=n), features={"length": feature}, coverage=None, expected_accuracy=None,
        graded=Graded(k=n - 1, n=n),
    )  # fmt: skip


def test_the_name_of_a_weekday() -> None:
    assert name_of("2026-11-26") == "Thursday"
    assert with_weekday("2026-11-26") == "2026-11-26 Thu"
    assert (name_of("\x1b[2J"), with_weekday("\x1b[2J")) == ("", "␛[2J")


def test_reports_are_grouped_by_weekday_monday_first() -> None:
    found = by_weekday(
        [report("2026-11-22", "act", 0.5), report("2026-11-23", "stable"), report("2026-11-29", "stable", 0.1)]
    )
    assert [each.name for each in found] == ["Monday", "Sunday"]
    sunday = found[1]
    assert (sunday.days, sunday.drifted, sunday.judged, sunday.requests) == (2, 1, 2, 200)
    assert sunday.psi == pytest.approx(0.3)
    assert sunday.graded == Count(198, 200)


def test_a_report_whose_day_is_no_date_or_that_has_no_figure_is_no_weekday_of_its_own() -> None:
    assert by_weekday([report("someday", "stable")]) == ()
    empty = msgspec.structs.replace(report("2026-11-22", "insufficient"), features={}, graded=None)
    (sunday,) = by_weekday([empty])
    assert (sunday.psi, sunday.judged, sunday.graded) == (None, 0, Count(0, 0))


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ([], "No day has a report yet"),
        ([("2026-11-22", "insufficient")], "Not judged: none of 1 day had enough requests"),
        ([("2026-11-22", "stable"), ("2026-11-23", "insufficient")], "No weekday drifted in 1 judged day"),
        (
            [("2026-11-22", "act"), ("2026-11-23", "stable")],
            "Drifted on 1 of 1 Sunday; no other weekday drifted; one week is too little to tell whether it repeats",
        ),
        ([("2026-11-22", "act"), ("2026-11-29", "watch")], "Drifted on 2 of 2 Sundays"),
        (
            [(f"2026-11-2{n}", "act") for n in range(5)],
            "Drifted on 5 of 5 weekdays, so it does not depend on the weekday alone",
        ),
    ],
)
def test_the_sentence_about_weekdays(days: list[tuple[str, str]], said: str) -> None:
    assert weekday_sentence([report(*each) for each in days]) == said


def test_the_sentence_about_the_trend() -> None:
    assert trend_sentence([]) == "No day has a report yet"
    one = report("2026-11-22", "stable")
    assert trend_sentence([one]) == "2026-11-22 Sun: No drift: 100 requests like the training data by length"
    several = [one, report("2026-11-23", "act"), report("2026-11-24", "insufficient")]
    assert trend_sentence(several).startswith(
        "Drifted on 1 of 2 days, 1 not judged; newest (2026-11-24 Tue) not judged"
    )
    assert trend_sentence([one, one]).startswith("No drift on 2 days; newest (2026-11-22 Sun) no drift: ")


def test_weeks_begin_on_monday() -> None:
    assert weeks(["2026-11-22", "2026-11-29", "2026-11-23", "x"]) == ["2026-11-16", "2026-11-23"]
