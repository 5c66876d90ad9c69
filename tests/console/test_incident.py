"""The list of requests and the way through their investigations: search, order, signs, and the keys inside a walk."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from miniobserve.search import Question, SearchResult
from modelspine.errors import SpineError
from modelspine_console.action import ANSWERS
from modelspine_console.data.filter import parse
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.sanitize import Line
from modelspine_console.screens import incident_list as texts
from modelspine_console.screens import incident_search as module

BAD = "req-000000a7"
"""A false accept of *goed* that the learner dismissed."""


def trace(sentence: str | None, correction: str | None, **more: Any) -> Any:
    values = {"error": "", "in_scope": True, "graded": None, "accepted": sentence == correction, **more}
    return SimpleNamespace(input=sentence, output=correction, **values)


def coloured(line: Line, role: str) -> list[str]:
    """The pieces of a line in one colour."""
    return [line.plain[span.start : span.end] for span in line.spans if span.style == role]


# what a row says ----------------------------------------------------------------------------------------


def test_the_changed_words_are_coloured_inside_the_sentence() -> None:
    line = texts.exchange(trace("Yesterday he goed to school.", "Yesterday he went to school."), 80)
    assert line.plain == "→ Yesterday he goed → went to school."
    assert (coloured(line, "bad"), coloured(line, "good")) == (["goed"], ["went"])
    added = texts.exchange(trace("He is in the the park", "Now he is in the park", graded=True), 80)
    assert "He → Now he" in added.plain
    assert "−the" in added.plain
    assert "+soon" in texts.exchange(trace("He will come", "He will come soon"), 80).plain


def test_a_long_sentence_begins_near_its_first_change() -> None:
    start = "On a very long and winding road in the middle of the country"
    line = texts.exchange(trace(f"{start} he goed home late", f"{start} he went home late"), 48)
    assert line.plain == "→ … country he goed → went home late"
    assert texts.exchange(trace(f"{start} he", f"{start} he"), 48).plain.startswith("= On a very long")


def test_a_reply_that_is_another_text_is_shown_as_a_whole() -> None:
    assert (
        texts.exchange(trace("What is the time?", "Half past ten"), 80).plain == "→ What is the time? → Half past ten"
    )


@pytest.mark.parametrize(
    ("sign", "shown"),
    [
        ("=", trace("I go.", "I go.")),
        ("→", trace("I goes.", "I go.")),
        ("≠", trace("I goed.", "I goed.", graded=False)),
        ("≠", trace("I goed.", "I goes.", graded=False)),
        ("○", trace("Bonjour", "Bonjour", in_scope=False)),
        ("✖", trace("I go.", None, error="timeout", graded=False)),
        ("=", trace(None, None, accepted=True)),
        ("→", trace(None, None, accepted=False)),
    ],
)
def test_each_sign_is_in_the_legend(sign: str, shown: Any) -> None:
    assert texts.exchange(shown, 80).plain.startswith(f"{sign} ")
    assert f"{sign} " in texts.legend(120).plain
    assert all(texts.legend(width).cell_length <= width for width in range(20, 121))


def test_a_name_that_is_no_field_is_reported_and_its_word_still_searched() -> None:
    found = parse("verb:go vreb:go !x_1: 12:30 https://a.b :x", {"verb"})
    assert found.unknown == ("vreb", "x_1")
    assert [term.text for term in found.terms] == ["go", "vreb:go", "x_1:", "12:30", "https://a.b", ":x"]


# the list -----------------------------------------------------------------------------------------------


async def test_the_list_has_the_whole_width_and_a_legend(console: Any) -> None:
    async with console(screen="incident", size=(120, 40)) as desk:
        view = desk.app.view
        assert (view.list.size.width, view.about.display, view.trace_pane.display) == (120, True, True)
        assert view.about.region.y > view.list.region.y
        assert "≠ graded wrong" in desk.text()
        await desk.pilot.resize_terminal(400, 40)
        await desk.settle()
        assert view.about.region.y == view.list.region.y, "there is room beside the list"


async def test_typing_searches_the_whole_store_and_says_so(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 20)
    monkeypatch.setattr(module, "_TYPING", 0.0)
    async with console(screen="incident", size=(120, 40)) as desk:
        assert "20 of 240" in desk.text()
        await desk.press("slash")
        await desk.type("goed")
        assert desk.app.prompt.display, "nobody pressed enter"
        assert [each.request_id for each in desk.app.view.table.shown if each.request_id == BAD]
        assert "6 of 6  /goed  searched all 240 requests" in desk.lines()[2]
        await desk.press("escape")
        assert "20 of 240" in desk.text()


async def test_a_field_that_is_unknown_is_named_with_those_that_are_known(console: Any) -> None:
    async with console(screen="incident", size=(120, 40)) as desk:
        await desk.press("slash")
        await desk.type("vreb:go")
        text = desk.text()
        assert "no field vreb: searched as text" in text
        assert "no matches in all 240 requests" in text
        assert "fields: arm, day, id, outcome, sha, source, tense, text, verb" in text
        assert "no request selected" in text


async def test_a_search_shows_what_it_found_so_far_and_a_newer_filter_stops_it(
    console: Any, spine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = spine.traces.list(limit=3).traces
    asked: list[str] = []
    stopped: list[str] = []

    def slow(question: Question, step: Any) -> SearchResult:
        word = question.terms[0].text if question.terms else ""
        asked.append(word)
        for number in range(400 if word == "she" else 1):
            try:
                step(20_000 * number, lambda: SearchResult(traces=some, matched=3, searched=7, since_ns=1))
            except SpineError:
                stopped.append(word)
                raise
            time.sleep(0.005)
        return SearchResult(traces=(), matched=0, searched=80_000_000, since_ns=None)

    monkeypatch.setattr(module, "_TYPING", 0.0)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    async with console(screen="incident", interval=3600) as desk:
        monkeypatch.setattr(desk.app.source, "search", slow)
        desk.app.view.narrow("she")
        await desk.pilot.pause(0.2)
        assert "searching …" in desk.text()
        assert "3 so far  /she" in desk.text()
        desk.app.view.narrow("second")
        await desk.settle()
        assert (asked, stopped) == (["she", "second"], ["she"])
        assert "no matches in all 80,000,000 requests" in desk.text()
        desk.app.view.reload()
        await desk.settle()
        assert asked == ["she", "second"], "a costly search is not repeated at every poll"


async def test_the_store_is_sorted_and_not_the_page(console: Any, spine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 20)
    everything = spine.traces.list(limit=500).traces
    async with console(screen="incident", size=(120, 40)) as desk:
        table = desk.app.view.table
        await desk.press("j", "s")
        assert "sort: feedback" in desk.text()
        assert [each.feedback for each in table.shown[:6]] == ["dismissed"] * 6
        assert table.cursor == 0
        await desk.press("s")
        seconds = sorted(each.seconds for each in everything)
        assert [each.seconds for each in table.shown] == seconds[::-1][:20]
        await desk.press("S")
        assert [each.seconds for each in table.shown] == seconds[:20]
        await desk.press("s")
        name = table.columns[table.sorted_by].title
        values = [each.features.get(name, "") for each in table.shown]
        assert values == sorted(each.features[name] for each in everything if name in each.features)[:20]
        assert f"sort: {name}  searched all 240 requests" in desk.text()
        assert f"{name} ↑" in desk.lines()[3], "a feature has a column while it is the order"
        while table.sorted_by >= 0:
            await desk.press("s")
        assert [each.request_id for each in table.shown] == [each.request_id for each in everything[:20]]


# inside a walk ------------------------------------------------------------------------------------------


async def test_filter_and_place_are_kept_on_the_way_back_one_level_at_a_time(console: Any) -> None:
    async with console(screen="incident") as desk:
        view = desk.app.view
        await desk.press("slash")
        await desk.type("outcome:dismissed")
        await desk.press("enter", "j", "j", "enter")
        walked = view.request
        await desk.press("m", "enter")
        assert desk.app.view.NAME == "registry"
        await desk.press("escape")
        assert (desk.app.view.NAME, view.request, view.active) == ("incident", walked, 1)
        assert view._finding.n == 1
        await desk.press("escape")
        assert (view.active, view.filter_text, view.table.current.request_id) == (0, "outcome:dismissed", walked)
        await desk.press("escape")
        assert (desk.app.view.NAME, view.filter_text) == ("incident", "")


@pytest.mark.long
async def test_before_and_after_walk_the_neighbours_and_open_on_the_first_answer(console: Any) -> None:
    async with console(screen="incident", size=(120, 40)) as desk:
        view = desk.app.view
        await desk.press("left_parenthesis", "right_parenthesis")
        assert view.active == 0, "there is no walk to go on from"
        view.set_filter("outcome:dismissed")
        view.settle()
        await desk.settle()
        listed = [each.request_id for each in view.table.shown]
        await desk.press("enter", "G", "left_parenthesis")
        assert (view.request, view._finding.n) == (listed[0], 8), "it is the first one"
        await desk.press("right_parenthesis")
        assert (view.request, view._finding.n) == (listed[1], 1)
        assert "2 of 6" in desk.text()
        await desk.press("f", "right_parenthesis", "left_parenthesis")
        assert (view.request, view._finding.n) == (listed[1], 1)
        await desk.press(*["right_parenthesis"] * 9)
        assert view.request == listed[-1]
        assert view.reason("walk_after") == "this is the last request of the list"
        await desk.press("escape")
        assert view.table.current.request_id == listed[-1]
        assert "( before" not in desk.text()
        await desk.press("enter")
        assert "6 of 6   ( before   ) after" in desk.text()


async def test_the_list_stands_still_behind_a_walk_and_goes_on_after_it(console: Any) -> None:
    async with console(screen="incident", interval=3600) as desk:
        view, asked = desk.app.view, []
        search = desk.app.source.search
        desk.app.source.search = lambda *more: (asked.append(1), search(*more))[1]
        await desk.press("j", "enter")
        view.reload()
        await desk.settle()
        assert asked == []
        await desk.press("escape")
        assert asked == [1]
        view.reload()
        await desk.settle()
        assert asked == [1, 1]


async def test_a_walk_that_ends_late_does_not_replace_what_is_shown(console: Any) -> None:
    async with console(screen="incident", interval=3600) as desk:
        view = desk.app.view
        await desk.press("enter")
        late = view.walks[view.request]
        await desk.press("escape", "j", "j")
        shown = view.request
        view._walked(Outcome(late))
        await desk.settle()
        assert view.request == shown != late.request_id


async def test_each_answer_has_its_key(console: Any) -> None:
    async with console(screen="incident", argument=BAD) as desk:
        view = desk.app.view
        for number, (key, name) in reversed([*enumerate(ANSWERS, 1)]):
            await desk.press(key)
            assert view._finding.n == number
            assert f"{number}  {key}  {name}" in desk.text()
        await desk.press("escape", "j", "f")
        assert view.active == 0
        assert view.reason("answer_8") == "investigate the request first (enter)"
