"""How answers are drawn on a terminal and in a pipe: columns, trees, colours, pages and progress, with any data."""

from __future__ import annotations

import io
import json
import re
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_world import HOSTILE
from miniobserve.traces import Assignment, Trace
from modelspine.cli import progress
from modelspine.cli.incident import markdown
from modelspine.cli.lineage import hop_tree, mermaid
from modelspine.cli.output import Cell, Out, share
from modelspine.cli.safe_json import escape_unsafe
from modelspine.incident.finding import QUESTIONS, Finding
from modelspine.incident.walk import Walk
from modelspine.lineage.walker import Hop
from modelspine.text import cell_width, size

FOREIGN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]")


ANSI = re.compile(r"\x1b\[[\d;]*m")
HEAD = ("name", "n", "text")
PROSE = "a sentence of several words that is far longer than any terminal of this test is wide"
MARKUP = "[bold]b[/bold] [link=https://e.org]x[/link] :smile: https://e.org/y {task.fields[count]} [/]"


def drawn(*, terminal: bool = False, colour: bool = False, width: int = 80) -> tuple[Out, io.StringIO]:
    stream = io.StringIO()
    return Out(stream, terminal=terminal, colour=colour, width=width), stream


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    for terminal in (False, True):
        out, stream = drawn(terminal=terminal)
        rows = [("a", "1"), ("漢字", "1,234"), (Cell("long name", "good"), "–")]
        out.table(("name", "n"), rows, right=("n",))
        assert stream.getvalue().split("\n") == [
            "name           n",
            "a              1",
            "漢字       1,234",
            "long name      –",
            "",
        ]


def test_colours_do_not_move_columns() -> None:
    plain, coloured = drawn(terminal=True), drawn(terminal=True, colour=True)
    for out, _ in (plain, coloured):
        out.table(("name", "n"), [(Cell("a", "good"), Cell("1", "bad")), ("long", "22")], right=("n",))
    seen = coloured[1].getvalue()
    assert "\x1b[32ma" in seen
    assert "\x1b[2mname" in seen
    assert [line.rstrip() for line in ANSI.sub("", seen).split("\n")] == plain[1].getvalue().split("\n")


def test_a_terminal_without_colour_gets_no_escape() -> None:
    out, stream = drawn(terminal=True)
    draw_everything(out, "text")
    assert "\x1b" not in stream.getvalue()


def test_an_empty_table_is_its_head() -> None:
    for terminal in (False, True):
        out, stream = drawn(terminal=terminal)
        out.table(("name", "n"), [])
        assert stream.getvalue() == "name  n\n"


def test_a_pipe_gets_one_line_a_row_however_narrow() -> None:
    out, stream = drawn(width=40)
    out.table(HEAD, [("a", "1", PROSE), ("b", "22", "x" * 300)], right=("n",), optional=("n",))
    out.pairs([("name", PROSE)])
    out.paragraph(PROSE)
    assert stream.getvalue().split("\n") == [
        "name   n  text",
        f"a      1  {PROSE}",
        f"b     22  {'x' * 300}",
        f"name  {PROSE}",
        PROSE,
        "",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_nothing_drawn_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    out, stream = drawn(terminal=True, width=width)
    digest = "0123456789abcdef" * 4
    out.table(HEAD, [("v0.1.0", "1,234", PROSE), ("v0.2.0", "2", digest)], right=("n",))
    out.pairs([("name", PROSE)])
    out.paragraph(PROSE, indent=2)
    text = stream.getvalue()
    assert max(cell_width(line) for line in text.splitlines()) <= width
    assert " ".join(text.split()).count("terminal") == 3
    assert digest in "".join(text.split())
    assert "1,234" in text


def test_a_narrow_terminal_first_leaves_out_columns_and_then_draws_blocks() -> None:
    rows = [("x" * 30, "y" * 30, "1")]
    out, stream = drawn(terminal=True, width=50)
    out.table(("a", "b", "n"), rows, right=("n",), optional=("b",))
    assert stream.getvalue() == f"{'a':<30}  n\n{'x' * 30}  1\n"
    out, stream = drawn(terminal=True, width=50)
    out.table(("a", "b", "n"), rows * 2, right=("n",))
    block = f"a  {'x' * 30}\nb  {'y' * 30}\nn  1\n"
    assert stream.getvalue() == f"{block}\n{block}"


def draw_everything(out: Out, text: str) -> None:
    out.line(text)
    out.line(Cell(text, "bad"), text)
    out.paragraph(Cell(text, "good"), indent=2)
    out.pairs([(text, text)])
    out.table((text, "n"), [(Cell(text, "warn"), "1")], right=("n",))
    out.grid([("1", text)])
    out.tree(hop_tree(hop(text, hop(text))))


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_no_markup_is_interpreted(terminal: bool, colour: bool) -> None:
    out, stream = drawn(terminal=terminal, colour=colour and terminal, width=400)
    draw_everything(out, MARKUP)
    text = stream.getvalue()
    assert ANSI.sub("", text).count(MARKUP) == 11
    assert "\x1b]8" not in text


@given(st.text() | st.just(HOSTILE), st.booleans(), st.booleans())
def test_whatever_is_drawn_is_escape_unsafe(text: str, terminal: bool, colour: bool) -> None:
    out, stream = drawn(terminal=terminal, colour=colour and terminal)
    draw_everything(out, text)
    seen = ANSI.sub("", stream.getvalue())
    assert FOREIGN.search(seen) is None
    assert set(ANSI.findall(stream.getvalue())) <= {f"\x1b[{code}m" for code in (0, 2, 31, 32, 33)}


def test_numbers() -> None:
    assert share(2871, 3000) == "2,871/3,000 95.7 %"
    assert share(0, 0) == "0/0 –"
    assert [size(n) for n in (0, 999, 1000, 2_500_000, 3 * 10**12)] == ["0 B", "999 B", "1.0 KB", "2.5 MB", "3000.0 GB"]
    assert [cell_width(text) for text in ("abc", "漢", "e\u0301")] == [3, 2, 1]


@given(st.text())
def test_json_on_a_terminal_reads_back_as_the_same_data(text: str) -> None:
    raw = escape_unsafe(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(raw) == {"text": text}
    assert FOREIGN.search(raw) is None


def hop(label: str, *children: Hop, **more: object) -> Hop:
    found = Hop(kind="entry", label=label, status="verified", evidence={}, command="", children=children)
    return msgspec.structs.replace(found, **more)


def test_a_tree() -> None:
    root = hop("a", hop("b", hop("c")), hop("d", status="mismatch", evidence={"why": "two hashes"}))
    out, stream = drawn()
    out.tree(hop_tree(root))
    assert stream.getvalue().splitlines() == [
        "✔ verified  entry  a",
        "  ✔ verified  entry  b",
        "    ✔ verified  entry  c",
        "  ✖ mismatch  entry  d — two hashes",
    ]
    out, stream = drawn(terminal=True)
    out.tree(hop_tree(root))
    assert stream.getvalue().splitlines() == [
        "✔ verified  entry  a",
        "├── ✔ verified  entry  b",
        "│   └── ✔ verified  entry  c",
        "└── ✖ mismatch  entry  d — two hashes",
    ]


@given(st.text() | st.just(HOSTILE) | st.text("\"'`[](){}<>#;&|\n\\"))
def test_no_label_leaves_its_place(label: str) -> None:
    chart = list(mermaid(hop(label, hop(label))))
    assert len(chart) == 4
    assert all(
        re.fullmatch(r'    n\d\["[^"`<>\[\](){}&|\\]*"\]', line)
        for line in chart
        if "-->" not in line and line != "flowchart TD"
    )
    out, stream = drawn()
    out.tree(hop_tree(hop(label, hop(label), evidence={"why": label or "x"})))
    assert stream.getvalue().count("\n") == 2
    assert FOREIGN.search(stream.getvalue()) is None


@given(st.text() | st.text("`|\n*<>[]()\\"))
def test_no_data_leaves_its_code_span(text: str) -> None:
    given_ = Assignment(strategy="single", epoch=1, salt="1", arm="stable", bucket=1, sticky=True, u="0" * 16)
    trace = Trace(
        request_id=text, trace_id="", span_id="", started_ns=0, entry_sha="", intended_sha="", semver="",
        assignment=given_, input=text, output=text,
    )  # fmt: skip
    findings = [
        Finding(n=n, question=question, answer=text, status="verified", evidence={}, command=text)
        for n, question in enumerate(QUESTIONS, 1)
    ]
    page = markdown(
        Walk(request_id=text, found=True, answers=tuple(findings), suggestion=text, trace=trace, expected=text)
    )
    rows = [line for line in page if line.startswith("| ")]
    assert len(rows) == 9
    assert all(row.count("|") == 6 and row.count("`") == 4 for row in rows[1:])
    assert not any(FOREIGN.search(line) for line in page)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("quiet", "shown"), [("", True), ("1", False)])
def test_progress_shows_after_a_while_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, quiet: str, shown: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "DELAY", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("SPINE_QUIET", quiet)
    with progress.working("hashing \x1b[31m") as working:
        time.sleep(0.1)
        working.step("bundles", 3, 1000)
    seen = terminal.getvalue()
    assert ("bundles" in seen and "3 of 1,000" in seen) is shown
    assert seen.endswith("\x1b[2K") is shown  # the last thing written erases the line
    assert "\x1b[31m" not in seen


def test_progress_is_silent_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress.working("hashing") as working:
        time.sleep(0.05)
        working.step("bundles", 3, 1000)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
