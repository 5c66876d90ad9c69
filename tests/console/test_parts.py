"""The parts by themselves: table, filter, jobs, jumps, charts, safe text."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from textual.app import App, ComposeResult

from miniobserve.traces import Assignment, Trace, set_apart
from modelspine.gate.eval_report import Count, EvalReport, EvalSet, Score
from modelspine.traffic.report import ShadowReport, Square
from modelspine_console.controllers.jump import Jump, parse
from modelspine_console.data import filter as filters
from modelspine_console.data.jobs import Jobs, Outcome
from modelspine_console.draw.charts import heat, tables
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import cut, folded, row, safe, strip
from modelspine_console.draw.theme import Palette
from modelspine_console.frame import Context, header
from modelspine_console.screens import registry_tabs
from modelspine_console.screens.incident_list import request_columns
from modelspine_console.screens.incident_text import trace_lines
from modelspine_console.screens.traffic_tabs import shadow
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table


class Bench(App[None]):
    """A table and nothing else."""

    def __init__(self, table: Table | Doc | Pane) -> None:
        super().__init__()
        self.palette = Palette("dusk")
        self.table = table

    def compose(self) -> ComposeResult:
        """The table."""
        yield self.table


def number_table() -> Table:
    columns = (
        Column(title="n", width=9, cell=lambda n: safe(f"{n:,}"), sort=lambda n: n, right=True),
        Column(title="odd", width=5, cell=lambda n: safe("odd" if n % 2 else "even"), rank=1, grow=True),
    )
    return Table(columns, lambda n: n)


async def test_a_million_rows_open_move_and_sort() -> None:
    table = number_table()
    async with Bench(table).run_test(size=(40, 20)) as pilot:
        table.load(range(1_000_000))
        await pilot.pause()
        table.jump(end=True)
        await pilot.pause()
        assert table.current == 999_999
        assert "999,999" in "".join(s.text for s in table.render_line(19))
        table.move(-5)
        assert table.current == 999_994
        table.jump(end=False)
        assert table.current == 0


async def test_a_wide_column_that_does_not_fit_leaves_its_place_to_a_narrow_one() -> None:
    columns = tuple(
        Column(title=title, width=width, cell=lambda _n, title=title: safe(title), rank=rank)
        for title, width, rank in (("name", 8, 0), ("wide", 30, 1), ("thin", 6, 2))
    )
    table = Table(columns, lambda n: n)
    async with Bench(table).run_test(size=(30, 10)) as pilot:
        table.load((1,))
        await pilot.pause()
        assert "".join(s.text for s in table.render_line(0)).split() == ["name", "thin"]


async def test_the_cursor_stays_on_its_row_when_rows_come_and_go() -> None:
    table = number_table()
    async with Bench(table).run_test(size=(40, 20)) as pilot:
        table.load(tuple(range(100)))
        table.go(50)
        table.load(tuple(range(20, 100)))
        assert table.current == 50
        table.load(tuple(range(20, 100)), range(0, 80, 2))
        assert table.current == 50
        table.load(tuple(range(51, 60)))
        assert table.current in range(51, 60)
        table.load(())
        assert table.current is None
        await pilot.pause()
        table.move(1)
        table.mark()
        assert not table.marks


async def test_columns_that_do_not_fit_are_left_out_and_numbers_stand_right() -> None:
    table = number_table()
    async with Bench(table).run_test(size=(14, 6)) as pilot:
        table.load((7,))
        await pilot.pause()
        line = "".join(s.text for s in table.render_line(1))
        assert line == "▌         7   "
        head = "".join(s.text for s in table.render_line(0))
        assert "odd" not in head


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("abc", True),
        ("ABC", True),
        ("xyz", False),
        ("!xyz", True),
        ("!abc", False),
        ("kind:x", True),
        ("kind:y", False),
        ("!kind:y", True),
        ("kind:", False),
        ("nofield:x", False),
        ("abc kind:x", True),
        ("abc kind:y", False),
        ("!", True),
    ],
)
def test_filter(text: str, passes: bool) -> None:
    found = filters.parse(text, frozenset({"kind"}))
    for haystack, complete in (("abc def", False), ("abc def x", True)):
        assert found.matches(haystack, {"kind": "X"}.get) == passes
        places = found.places([haystack, haystack], lambda _place: {"kind": "X"}.get, complete=complete)
        assert list(places) == ([0, 1] if passes else [])


class Counted(list[str]):
    """Texts that count how often one is looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return super().__getitem__(place)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    "typed",
    ["promoted", "kind:x", "!kind:x", "!re", "pro !mo", "pro kind:", "kind: pro", "re kind:re", "x !x", "kind:!"],
)
def test_a_filter_that_is_typed_and_taken_back_passes_what_a_whole_search_passes(typed: str, *, complete: bool) -> None:
    kinds = [["x", "", "re", "promote"][place % 4] for place in range(60)]
    words = [["promoted", "re", "px", "moved", "!"][place % 5] for place in range(60)]
    texts = [f"{word} {kind}" for word, kind in zip(words, kinds, strict=True)]
    narrowing = filters.Narrowing()
    forth = [typed[:end] for end in range(len(typed) + 1)]
    for text in [*forth, *reversed(forth), typed, "m", typed]:
        wanted = filters.parse(text, {"kind"})
        found = narrowing.places(wanted, texts, lambda at: {"kind": kinds[at]}.get, complete=complete)
        assert list(found) == list(wanted.places(texts, lambda at: {"kind": kinds[at]}.get, complete=complete)), text


def test_one_more_letter_searches_what_passed_and_one_less_searches_nothing() -> None:
    texts = Counted(["promoted"] * 3 + ["registered"] * 97)
    narrowing = filters.Narrowing()
    looks = []
    for text in ("p", "pr", "pro", "pr", "p", "pr"):
        texts.looks = 0
        assert list(narrowing.places(filters.parse(text, ()), texts, lambda _at: {}.get, complete=True)) == [0, 1, 2]
        looks.append(texts.looks)
    assert looks == [100, 3, 3, 0, 0, 3]
    other = Counted(["registered", "promoted"])
    assert list(narrowing.places(filters.parse("pr", ()), other, lambda _at: {}.get, complete=True)) == [1]


def test_a_search_stops_once_enough_has_passed_and_goes_on_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "SLICE", 10)
    texts, narrowing = ["registered", "promoted"] * 50, filters.Narrowing()

    def places(text: str, **more: Any) -> list[int]:
        return list(narrowing.places(filters.parse(text, ()), texts, lambda _at: {}.get, complete=True, **more))

    every = list(range(1, 100, 2))
    assert places("p", enough=7) == every[:10]
    assert narrowing.unfinished
    assert places("pr", enough=2, row=36) == every[:20]
    assert places("pr", enough=2, row=37) == every[:25], "two have to pass behind the row"
    assert places("pro", enough=1) == every[:5], "a letter more, of a search that was not finished"
    while narrowing.go_on():
        pass
    assert not narrowing.unfinished
    assert places("pro", enough=1) == every
    assert places("prom", enough=50) == every
    assert places("x", enough=1) == [], "where nothing passes, all is searched at once"
    assert not narrowing.unfinished
    places("p", enough=1)
    narrowing.stop()
    assert not narrowing.go_on()
    assert places("p") == every


def test_jobs_keep_only_the_newest_waiting_request() -> None:
    jobs = Jobs()
    gate = threading.Event()
    ran: list[int] = []
    done: list[Any] = []

    def work(number: int) -> int:
        gate.wait(5)
        ran.append(number)
        return number

    for number in range(100):
        jobs.submit("slot", lambda number=number: work(number), lambda outcome: done.append(outcome.value))
    gate.set()
    for _ in range(500):
        if jobs.idle:
            break
        time.sleep(0.01)
    assert ran in ([0, 99], [99])
    assert done == ran


def test_jobs_turn_every_exception_into_an_outcome() -> None:
    jobs = Jobs()
    done: list[Outcome[Any]] = []
    jobs.submit("slot", lambda: 1 // 0, done.append)
    for _ in range(500):
        if done:
            break
        time.sleep(0.01)
    assert "ZeroDivisionError" in done[0].error
    jobs.close()
    jobs.submit("slot", lambda: 1, done.append)
    assert jobs.idle


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("registry", Jump("registry")),
        ("lin v1.0.0", Jump("lineage", "v1.0.0")),
        ("history", Jump("ledger")),
        ("q", Jump("leave")),
        ("at 2026-11-22", Jump("at", "2026-11-22")),
        ("", None),
        ("nowhere", None),
        ("e", None),
    ],
)
def test_jump(text: str, place: Jump | None) -> None:
    assert parse(text) == place


def test_folding_keeps_every_word_and_fits() -> None:
    text = " name    " + "word " * 40
    lines = folded(safe(text), 40)
    assert all(line.cell_length <= 40 for line in lines)
    assert " ".join("".join(line.plain + " " for line in lines).split()) == " ".join(text.split())
    assert lines[1].plain.startswith(" " * 9)
    wide = folded(safe("漢字" * 60), 31)
    assert all(line.cell_length <= 31 for line in wide)
    assert "".join(line.plain for line in wide).replace(" ", "") == "漢字" * 60


@pytest.mark.parametrize("text", ["abc", "", "漢字漢字", "x" * 90, "e\u0301" * 5, "👩‍👩‍👧‍👦 family"])
@pytest.mark.parametrize("width", [1, 2, 5, 10, 33])
def test_a_strip_is_as_wide_as_it_must_be(text: str, width: int) -> None:
    for right in (False, True):
        assert cut(safe(text), width, right=right).cell_length == width
    drawn = strip(row(safe(text, "bad"), safe("z", "good")), width, Palette("dusk"), "cursor")
    assert sum(segment.cell_length for segment in drawn) == width


def test_two_way_tables_are_found_whatever_they_are_called() -> None:
    buckets = {"verb×tense/go/past": Count(1, 4), "verb×tense/be/past": Count(4, 4), "verb/go": Count(1, 4)}
    views = {
        "by_age_and_size": {"old": {"big": 0.5, "small": {"k": 1, "n": 2}}},
        "flat": {"a": 0.5},
        "kn": {"a": {"k": 1, "n": 2}},
    }
    grids, used = tables(buckets, views)
    assert [grid.title for grid in grids] == ["verb×tense", "by age and size"]
    assert used == {"verb×tense"}
    text = "\n".join(line.plain for line in heat(grids[0], 60))
    assert "25.0" in text
    assert "100.0" in text
    assert "n = 4 a cell" in text


def test_heat_map_heads_are_whole_words_on_as_many_lines_as_they_need() -> None:
    tenses = ("infinitive", "present_simple", "past_participle")
    buckets = {f"g/go/{tense}": Count(1, 4) for tense in tenses}
    lines = [line.plain for line in heat(tables(buckets, {})[0][0], 40)]
    head = [line.split() for line in lines[: next(n for n, line in enumerate(lines) if " go" in line)]]
    assert "present" in head[0]
    assert "simple" in head[1]
    assert any("particip" in word for row_ in head for word in row_)
    assert not any("…" in line for line in lines)
    narrow = [line.plain for line in heat(tables(buckets, {})[0][0], 20)]
    assert "past_participle" in narrow[-1], "a column that does not fit is named"


async def test_a_document_that_gets_a_scroll_bar_is_folded_beside_it() -> None:
    doc = Doc()
    async with Bench(doc).run_test(size=(20, 5)) as pilot:
        for many, room in ((3, 20), (30, 19), (2, 20)):
            doc.show(lambda width, many=many: [safe("x" * width)] * many)
            await pilot.pause()
            assert [line.cell_length for line in doc.lines] == [room] * many
            shown = "".join(part.text for part in doc.render_line(0))
            assert shown.count("x") == room


def test_ids_in_a_list_are_told_apart_by_their_end() -> None:
    column = next(column for column in request_columns(lambda: datetime.now(UTC)) if column.title == "id")
    shown = [column.cell(SimpleNamespace(request_id=f"req-1122-7-00599-f1889{n}")).plain for n in (1, 2)]
    assert shown == ["…-00599-f18891", "…-00599-f18892"]
    assert all(len(each) == column.width for each in shown)


@pytest.mark.parametrize("width", [70, 100])
def test_the_moment_that_is_shown_is_told_in_full(width: int) -> None:
    now = datetime(2026, 11, 24, 23, 18, tzinfo=UTC)
    told = Context(
        env="dev", service="tutor", ledger="ledger.db", production="", since="", rollout="", servers=2,
        writing=600.0, link="live", age=0.0, read=None, now=now, at="2026-11-24T23:08:26.000000Z",
    )  # fmt: skip
    line = header(told, width).plain
    assert "AT 2026-11-24T23:08:26Z" in line
    assert "● live 0s" in line
    assert ("23:18:00 UTC" in line) == (width == 100)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("at", [None, "2026-11-24T23:08:26.000000Z"])
@pytest.mark.parametrize("demo", [False, True])
def test_a_long_name_takes_no_room_from_what_an_operator_must_see(width: int, at: str | None, demo: bool) -> None:
    told = Context(
        env="e" * 300, service="a service with a very long name " * 5, ledger="other.db", rollout="canary 30 %",
        production="" if at else "v0.1.0", since="3 d", servers=0, writing=600.0, link="live", age=0.0, read=None,
        now=datetime(2026, 11, 24, 23, 18, tzinfo=UTC), at=at, demo=demo,
    )  # fmt: skip
    line = header(told, width).plain
    assert len(line) == width
    assert "WRITE 10min" in line
    assert "● live 0s" in line
    assert ("AT 2026-11-24T23:08:26Z" in line) == (at is not None)
    assert at is not None or demo or width < 80 or "v0.1.0" in line
    assert at is not None or not demo or "v0.1.0" in line


async def test_the_open_tab_is_named_and_can_be_clicked_where_not_all_fit() -> None:
    pane, clicks = Pane("2026-01-17 Sat", Doc()), list[int]()
    pane.tabs, pane.clicked = ("features", "trend", "bins", "map", "expected", "weekdays"), clicks.append
    async with Bench(pane).run_test(size=(44, 8)) as pilot:
        for number, name in enumerate(pane.tabs):
            pane.tab = number
            line = pane._head_line(44).plain
            assert f"▸{name}" in line
            await pilot.click(pane._head, offset=(line.index(f"▸{name}") + 2, 0))
            assert clicks[-1] == number


@pytest.mark.parametrize("width", [34, 44, 60])
def test_a_name_gives_way_before_a_column_goes_and_takes_what_is_left(width: int) -> None:
    heads = (Head("name", least=10), Head("n", right=True), Head("why", rank=2), Head("who", rank=1))
    rows = [[safe("a name of twenty-four c."), safe("12,345"), safe("because it is"), safe("ada")]]
    lines = [line.plain for line in grid(heads, rows, width)]
    assert all(len(line) <= width for line in lines[:2])
    assert "12,345" in lines[1]
    assert ("because it is" in lines[1]) == (width > 34)
    assert lines[1].startswith({34: " a name of twent", 44: " a name o", 60: " a name of twenty-four c."}[width])
    assert ("hidden: why" in lines[-1]) == (width == 34)


def test_the_pairs_of_a_shadow_fit_where_there_is_one_column() -> None:
    square = Square(bucket="verb=" + "x" * 40, both=1_234, only_live=12, only_shadow=3, neither=4, p=0.03)
    lines = shadow(ShadowReport(pairs=square, buckets=(square,)), 58)
    table = [line for line in lines if "verb=" in line.plain]
    assert len(table) == 2
    assert all(line.cell_length <= 58 and line.plain.rstrip().endswith("0.03") for line in table)


def test_a_request_says_what_sets_it_apart_as_the_command_does() -> None:
    given = Assignment(strategy="canary", epoch=9, salt="8", arm="canary", bucket=1, sticky=False, u="0" * 16)
    plain = Trace(
        request_id="request-1", trace_id="0" * 32, span_id="0" * 16, started_ns=1, entry_sha="e" * 64,
        intended_sha="e" * 64, semver="v0.1.0", assignment=given,
    )  # fmt: skip
    marked = msgspec.structs.replace(
        plain, retry_of="request-0", shadow_of="request-2", assignment=msgspec.structs.replace(given, tester="alice")
    )
    said = ["alice; in no comparison", "request-0", "request-2"]
    for trace, expected in ((plain, []), (marked, said)):
        text = "\n".join(line.plain for line in trace_lines(trace))
        assert [each for each in said if each in text] == expected
        assert [value for _, value in set_apart(trace)] == expected


def test_scores_stand_below_the_buckets() -> None:
    """A measure that is no count of right items has no bar: it has its value, and which way is better."""
    scores = {
        "wer": Score(num=30, den=350, better="lower"),
        "f1": Score(num=7131, den=10_000, better="higher"),
        "perplexity": Score(num=49, den=4, better="lower", scale="value"),
    }
    eval_set = EvalSet(path="data/eval.csv", dvc_hash="d" * 32, sha256="e" * 64, n=100)
    report = EvalReport(schema="spine.eval/1", eval_set=eval_set, decoding={}, scores=scores)
    shown = [line.plain.rstrip() for line in registry_tabs.buckets(report, 80)]
    assert shown == [
        " scores",
        " wer         30/350, lower is better",
        " f1          0.7131, higher is better",
        " perplexity  12.25, lower is better",
    ]
