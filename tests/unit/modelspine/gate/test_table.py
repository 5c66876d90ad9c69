"""The gate's table: blocked rows first, and nothing a bucket is called can act on a reader."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from gating import GO, baseline, decision_lines, raw, report_dict
from modelspine.gate.baseline import Anchor
from modelspine.gate.decision import judge
from modelspine.gate.eval_report import Count
from modelspine.gate.result import Decision
from modelspine.gate.table import HEAD, markdown, table
from modelspine.text import visible

HOSTILE = [
    "a|b",
    "`code`",
    "<script>alert(1)</script>",
    "![x](https://evil.example/x.png)",
    "[click](javascript:1)",
    "@everyone",
    "#1",
    "**bold** _x_",
    "\x1b]52;c;eA==\x07",
    "\u202egnp",
    "a\nb\r\n| c |",
    "\u200bzero",
    "https://evil.example",
    "www.evil.example",
    "$x$",
    "&lt;",
    "\\|",
    "",
    "  ",
    "x" * 300,
    "日本語",
    "\U000e0041tag",
]


def decided(wrong: dict[str, int], sizes: dict[str, int] | None = None, **more: object) -> Decision:
    given = {"sizes": sizes} if sizes else {}
    base = baseline(report=given, **more)
    answers = {GO.id: False} if "never_regress" in more else None
    return judge(
        raw(report_dict(wrong, **given)), baseline=base, stable=raw(report_dict(**given)), never_regress=answers
    )


def test_blocked_rows_come_first_the_largest_loss_on_top() -> None:
    sizes = {f"b{i}": 100 for i in range(9)}
    made = decided({"b3": 5, "b7": 50, "b5": 1}, sizes)
    named = [(line.state, line.cells[1]) for line in table(made)]
    assert named[:2] == [("blocked", "b7"), ("blocked", "b3")]
    states = [state for state, _ in named]
    assert states == sorted(states, key=["blocked", "warn", "ok"].index)
    assert {name for _, name in named} >= {*sizes, "total", "false accepts"}
    assert all(len(line.cells) == len(HEAD) for line in table(made))


def test_a_row_says_everything_a_reader_needs() -> None:
    made = decided({"verb/go": 4})
    row = next(line for line in table(made) if line.cells[1] == "verb/go")
    assert row.cells[:8] == ("✖", "verb/go", "150/150", "146/150", "−2.67", "3", "4", "0")
    assert row.cells[8] == "93.3 … 99.0"
    text = "\n".join(decision_lines(made))
    assert text.startswith("✖ gate: fail\n  ✖ against the baseline and the stable entry: verb/go: 150 → 146 of 150")
    assert "lost in verb/go: verb/go#0, verb/go#1, verb/go#2, verb/go#3" in text


def test_buckets_in_which_no_item_changed_may_be_counted_alone() -> None:
    sizes = {f"b{i}": 100 for i in range(9)}
    made = decided({"b3": 5, "b5": 1}, sizes)
    text = "\n".join(decision_lines(made, unchanged=False))
    assert "7 more buckets, in which no item changed" in text
    assert [name for name in ("b3", "b5", "total", "false accepts", "b1") if name in text][-1] == "false accepts"
    assert "b1" in "\n".join(decision_lines(made))


def test_never_regress_and_anchor_have_their_rows() -> None:
    made = decided({"verb/go": 30}, never_regress=(GO,), anchor=Anchor(entry_sha="9" * 64, total=Count(500, 500)))
    cells = {(line.cells[1], line.cells[-1]): line for line in table(made)}
    assert cells["never: incident-1", "baseline"].state == "blocked"
    assert cells["total", "anchor"].cells[2:6] == ("500/500", "470/500", "−6.00", "5 pp")
    assert cells["total", "anchor"].state == "blocked"
    for text in ("\n".join(decision_lines(made)), markdown(made)):
        assert "incident-1" in text
        assert "over the budget of 5 pp" in text


def test_columns_line_up_whatever_the_names() -> None:
    sizes = dict.fromkeys(HOSTILE, 60)
    rows = [line for line in decision_lines(decided({}, sizes)) if re.search(r"\d/\d", line)]
    assert len(rows) > len(HOSTILE)

    def column(row: str) -> int:
        return sum(
            0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
            for c in row[: row.index("60/60")]
        )

    assert len({column(row) for row in rows if "60/60" in row}) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_and_do_nothing(name: str) -> None:
    made = decided({name: 50}, {name: 60, "verb/go": 60})
    assert made.result == "fail"
    text = decision_lines(made)
    assert all(char.isprintable() for line in text for char in line)
    page = markdown(made)
    assert all(char.isprintable() or char == "\n" for char in page)
    tags, cells = rendered(page)
    assert tags <= {"h3", "ul", "li", "code", "table", "thead", "tbody", "tr", "th", "td"}
    assert len(cells) == 6 * len(HEAD)  # two buckets, total and false accepts of both sides
    shown = visible(name, 60) if name.strip() else f"“{name}”"
    assert " ".join(cells[1].split()) == " ".join(shown.split())


def rendered(page: str) -> tuple[set[str], list[str]]:
    """The tags of a page as GitHub's flavour renders it, mentions as links, and the text of its table's cells."""
    html = MarkdownIt("gfm-like", {"html": True}).render(page)
    plain = re.sub(r"<code>.*?</code>|&#?\w+;", "", html)
    assert not re.search(r"@\w|#\d|\$\w", plain), "a mention, an issue or a formula outside of code"
    cells = _Cells()
    cells.feed(html)
    return cells.tags, cells.found


class _Cells(HTMLParser):
    """Every tag there is, and the text of each table cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "td":
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


def test_an_error_has_a_reason_and_no_table() -> None:
    made = judge(b"{", baseline=baseline(), stable=None)
    assert decision_lines(made)[0] == "‼ gate: error"
    assert len(decision_lines(made)) == 2
    assert "|" not in markdown(made)
    assert "Gate: error" in markdown(made)


def test_a_pass_is_said_first() -> None:
    assert decision_lines(decided({}))[0] == "✔ gate: pass"
    assert markdown(decided({})).startswith("### ✔ Gate: pass\n")


def test_a_long_table_is_cut_and_says_what_it_left_out() -> None:
    sizes = {f"b{i:03}": 100 for i in range(500)}
    made = decided(dict.fromkeys(list(sizes)[:400], 9), sizes)
    page = markdown(made)
    assert len([line for line in page.splitlines() if line.startswith("|")]) == 302
    assert "… and 204 more lines, 100 of them blocked" in page
    assert len(page.encode()) < 2**20
    assert sum("9.00" in line for line in decision_lines(made) if line.startswith("✖  ")) == 400
