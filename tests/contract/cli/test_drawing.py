"""How answers are drawn: columns, colours, trees, flowcharts, pages and progress, whatever the data holds."""

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
from modelspine.cli.lineage import lines, mermaid
from modelspine.cli.output import Cell, Out, harmless, percent
from modelspine.incident.finding import QUESTIONS, Finding
from modelspine.incident.walk import Walk
from modelspine.lineage.walker import Hop
from modelspine.text import cell_width, size

FOREIGN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]")


def drawn(*, colour: bool = False, width: int = 80) -> tuple[Out, io.StringIO]:
    stream = io.StringIO()
    return Out(stream, colour=colour, width=width), stream


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    out, stream = drawn()
    out.table(("name", "n"), [("a", "1"), ("漢字", "1,234"), (Cell("long name", "good"), "–")], right=("n",))
    assert stream.getvalue().split("\n") == [
        "name           n",
        "a              1",
        "漢字       1,234",
        "long name      –",
        "",
    ]


def test_colours_do_not_move_columns() -> None:
    plain, coloured = drawn(), drawn(colour=True)
    for out, _ in (plain, coloured):
        out.table(("name", "n"), [(Cell("a", "good"), Cell("1", "bad")), ("long", "22")], right=("n",))
    seen = coloured[1].getvalue()
    assert "\x1b[32ma\x1b[0m" in seen
    assert re.sub(r"\x1b\[\d+m", "", seen) == plain[1].getvalue()


def test_an_empty_table_is_its_head() -> None:
    out, stream = drawn()
    out.table(("name", "n"), [])
    assert stream.getvalue() == "name  n\n"


def test_numbers() -> None:
    assert percent(2871, 3000) == "2,871/3,000 95.7 %"
    assert percent(0, 0) == "0/0 –"
    assert [size(n) for n in (0, 999, 1000, 2_500_000, 3 * 10**12)] == ["0 B", "999 B", "1.0 KB", "2.5 MB", "3000.0 GB"]
    assert [cell_width(text) for text in ("abc", "漢", "e\u0301")] == [3, 2, 1]


@given(st.text())
def test_json_on_a_terminal_reads_back_as_the_same_data(text: str) -> None:
    raw = harmless(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(raw) == {"text": text}
    assert FOREIGN.search(raw) is None


def hop(label: str, *children: Hop, **more: object) -> Hop:
    found = Hop(kind="entry", label=label, status="verified", evidence={}, command="", children=children)
    return msgspec.structs.replace(found, **more)


def test_a_tree() -> None:
    out, _ = drawn()
    root = hop("a", hop("b", hop("c")), hop("d", status="mismatch", evidence={"why": "two hashes"}))
    assert list(lines(out, root)) == [
        "✔ verified  entry  a",
        "├─ ✔ verified  entry  b",
        "│  └─ ✔ verified  entry  c",
        "└─ ‼ mismatch  entry  d",
        "      two hashes",
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
    out, _ = drawn()
    tree = list(lines(out, hop(label, evidence={"why": label or "x"})))
    assert len(tree) == 2
    assert not any(FOREIGN.search(line) or "\n" in line for line in tree)


@given(st.text() | st.text("`|\n*<>[]()\\"))
def test_no_data_leaves_its_code_span(text: str) -> None:
    given_ = Assignment(strategy="single", epoch=1, salt="1", arm="stable", bucket=1, sticky=True, u="0" * 16)
    trace = Trace(
        request_id=text, trace_id="", span_id="", started_ns=0, entry_sha="", intended_sha="", semver="",
        assignment=given_, sentence=text, correction=text,
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
    monkeypatch.setattr(progress, "AFTER", 0.01)
    monkeypatch.setenv("SPINE_QUIET", quiet)
    with progress.working("hashing \x1b[31m") as working:
        time.sleep(0.1)
        working.step("bundles", 3, 1000)
    seen = terminal.getvalue()
    assert ("bundles 3 of 1,000" in seen) is shown
    assert seen.endswith("\r\x1b[K") is shown
    assert "\x1b[31m" not in seen


def test_progress_is_silent_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progress, "AFTER", 0.0)
    with progress.working("hashing") as working:
        time.sleep(0.05)
        working.step("bundles", 3, 1000)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
