"""Fields of answers in the list of requests: as names of the filter, as comparisons, as orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli_world import leave_trace
from miniobserve.field_tests import FieldTest
from modelspine.spine import open_spine
from modelspine_console.data.filter import Term
from modelspine_console.data.source import Source
from modelspine_console.screens import incident_search as module
from modelspine_console.screens.incident_list import divided as compared
from tickets import make_tickets

SCORES: list[float | str] = [0.41, 0.9, 0.55, "none"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = make_tickets(tmp_path_factory.mktemp("fields") / "project").root
    for number, score in enumerate(SCORES):
        fields = {"Score": score, "probabilities": {"refund": number / 10}}
        leave_trace(found, f"req-fields-{number}", f"ticket {number}", "billing", fields=fields)
    return found


async def test_the_store_is_searched_and_sorted_by_the_fields_of_answers(
    root: Path, run_console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> list[str]:
        return [each.request_id[-1] for each in desk.app.view.table.shown]

    monkeypatch.setattr(module, "_TYPING", 0.0)
    with open_spine(root, readonly=True) as spine:
        async with run_console(Source(spine), screen="incident", size=(150, 40)) as desk:
            await desk.press("slash")
            await desk.type("prob")
            await desk.press("tab")
            assert desk.app.prompt.text == "probabilities.refund:"
            await desk.press("escape", "slash")
            await desk.type("score:<0.6")
            assert shown() == ["2", "0"]
            assert "2 of 2  /score:<0.6  searched all 5 requests" in desk.lines()[2]
            desk.app.view.parsed("score:>0.6")
            desk.app.view.refilter()
            assert shown() == ["2", "0"], "reading another text changes nothing of the list"
            await desk.type(" !probabilities.refund:0.2")
            assert shown() == ["0"], "what excludes is compared too"
            await desk.press("escape", "slash")
            await desk.type("score:<none")
            assert "score:<none is not a comparison" in desk.lines()[2]
            assert len(shown()) == 5, "it excludes nothing"
            await desk.press("escape", "slash")
            await desk.type("score:>2")
            assert "no matches in all 5 requests" in desk.text()
            await desk.press("escape")
            table = desk.app.view.table
            for _ in table.columns:
                if table.sort_name != "Score":
                    await desk.press("s")
            assert shown()[:3] == ["0", "2", "1"]
            assert "0.41" in desk.text(), "the column is shown while it is the order"
            await desk.press("S")
            assert shown()[:3] == ["1", "2", "0"]


def test_a_sign_compares_and_no_sign_means_equal() -> None:
    terms = [Term("<=.5", "score"), Term("dog", "label", inverted=True), Term("word")]
    assert compared(terms, {"score": "Score", "label": "label"}) == (
        (terms[2],),
        (FieldTest("Score", "<=", ".5"), FieldTest("label", "=", "dog", inverted=True)),
        (),
    )
    unfinished = [Term(text, "score") for text in ("", "!", ">x")]
    assert compared(unfinished, {"score": "score"}) == ((), (), ("score:", "score:!", "score:>x"))
