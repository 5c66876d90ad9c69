"""Labels from a file: what they change in every answer and figure of a service that is not ours, and bad files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cli_world import check_refused, run
from modelspine.maintenance import label_import
from modelspine.spine import open_spine
from tickets import REQUEST, Tickets, make_tickets, told_day

Capture = pytest.CaptureFixture[str]
DAY, N = "2026-03-04", 200


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Tickets:
    made = make_tickets(tmp_path_factory.mktemp("tickets") / "project")
    told_day(made.root, N, DAY, german=0.5)
    return made


def requests(root: Path) -> dict[str, str]:
    """The answers of the day, by request."""
    with open_spine(root, readonly=True) as spine:
        found = spine.traces.list(day=DAY, limit=1_000).traces
    return {trace.request_id: trace.output or "" for trace in found}


def write(path: Path, head: tuple[str, ...], rows: list[tuple[str, ...]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(head)
        writer.writerows(rows)
    return path


def test_labels_of_a_day_change_what_is_said_of_it(tickets: Tickets, capsys: Capture, tmp_path: Path) -> None:
    """A quarter of the day's answers is labelled, half of them right; then one is corrected."""
    root, answered = tickets.root, requests(tickets.root)
    before = run(capsys, "drift", "report", "--day", DAY, "--json", root=root).json
    assert before["graded"]["n"] == 0
    some = sorted(answered)[: N // 4]
    rows = [(name, answered[name] if number % 2 else "another") for number, name in enumerate(some)]
    rows += [("req-of-another-service", "refund"), (max(answered), "")]
    file = write(tmp_path / "labels.tsv", ("ticket", "queue"), rows, "\t")
    # The columns are those of the table [workload].
    tried = run(capsys, "labels", "import", str(file), "--dry-run", "--json", root=root).json
    assert (tried["stored"], tried["unknown"], tried["graded"], tried["right"]) == (50, 1, 50, 25)
    lost = tmp_path / "lost.txt"
    done = run(capsys, "labels", "import", str(file), "--unknown", str(lost), root=root)
    assert done.code == 0
    assert done.out.splitlines() == [
        "50 of 51 rows matched a request: 50 stored, 0 corrected, 0 unchanged",
        "25 of the 50 answers that they grade are right",
        "1 row said nothing",
        "1 row named no request, or several: req-of-another-service",
    ]
    assert lost.read_text() == "req-of-another-service\n"
    found = run(capsys, "drift", "report", "--day", DAY, "--json", root=root).json["graded"]
    assert (found["k"], found["n"], found["ungraded"]) == (25, 50, N - 50)
    assert "150 of 200 ungraded" in run(capsys, "drift", "report", "--day", DAY, root=root).out
    route = run(capsys, "route", "report", root=root)
    assert f"labelled answers: 50 of {N + 1} of stable" in route.out.replace("\n", " ")
    again = run(capsys, "labels", "import", str(file), "--json", root=root).json
    assert (again["stored"], again["corrected"], again["unchanged"]) == (0, 0, 50)
    fixed = write(tmp_path / "fixed.csv", ("request_id", "label", "text"), [(some[0], answered[some[0]], "we erred")])
    assert run(capsys, "labels", "import", str(fixed), "--json", root=root).json["corrected"] == 1
    assert "1 of the 1 answer that they grade is right" in run(capsys, "labels", "import", str(fixed), root=root).out
    assert run(capsys, "drift", "report", "--day", DAY, "--json", root=root).json["graded"]["k"] == 26
    shown = run(capsys, "traces", "show", some[0], root=root).out
    assert "graded right (import)" in shown
    assert "label another; graded wrong (import)" in shown, "what was said before it was corrected"
    wrong = run(capsys, "traces", "list", "--graded", "wrong", "--label", "another", "--json", root=root).json
    assert wrong["matched"] == 24
    back = write(tmp_path / "back.csv", ("request_id", "taken_back"), [(name, "yes") for name in some])
    assert run(capsys, "labels", "import", str(back), "--json", root=root).json["corrected"] == 50
    assert run(capsys, "drift", "report", "--day", DAY, "--json", root=root).json["graded"]["n"] == 0


def test_a_label_answers_what_would_be_better(tickets: Tickets, capsys: Capture, tmp_path: Path) -> None:
    """A learner's complaint names the right answer, as JSON."""
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps({"id": REQUEST, "label": "refund"}) + "\n")
    assert run(capsys, "labels", "import", str(file), root=tickets.root).code == 0
    walk = run(capsys, "incident", REQUEST, "--json", root=tickets.root).json
    assert "scored 98/100 on label/refund and passes the gate" in walk["answers"][7]["answer"]
    told = run(capsys, "incident", REQUEST, root=tickets.root).out
    assert "feedback: dismissed · labelled “refund”" in told
    assert "  ," not in told, "an entry without a variant has no empty name"
    assert run(capsys, "incident", REQUEST, "--pack", str(tmp_path / "pack.zip"), root=tickets.root).code == 0


def test_a_file_that_corrects_itself_is_imported_once(
    tickets: Tickets, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last row of a request wins before it is compared, also where the rows are in different batches."""
    monkeypatch.setattr(label_import, "BATCH", 3)
    one, two, three, four, five = sorted(requests(tickets.root))[60:65]
    rows = [
        (one, "refund", "", "", ""), (two, "spam", "", "", ""), (three, "spam", "", "late", ""),
        ("nobody", "spam", "", "", ""), (four, "spam", "", "", ""), (five, "spam", "", "", ""),
        (one, "spam", "0.5", "", ""), (two, "", "", "", "yes"), (two, "billing", "", "", ""),
        (three, "refund", "", "", ""), ("nobody", "refund", "", "", ""), (one, "billing", "", "", ""),
        (four, "", "", "", "yes"),
    ]  # fmt: skip
    file = write(tmp_path / "labels.csv", ("request_id", "label", "score", "text", "taken_back"), rows)
    first = run(capsys, "labels", "import", str(file), root=tickets.root).out.splitlines()
    assert first[:2] == [
        "11 of 13 rows matched a request: 4 stored, 0 corrected, 1 unchanged",
        "6 rows of them had a later row of the same request, which counts over them",
    ]
    with open_spine(tickets.root, readonly=True) as spine:
        said = {name: spine.traces.said(name) for name in (one, two, three, four, five)}
    assert {name: len(versions) for name, versions in said.items()} == {one: 1, two: 1, three: 1, four: 0, five: 1}
    assert (said[one][0].label, said[one][0].score) == ("billing", 0.5)
    assert (said[two][0].label, said[two][0].taken_back) == ("billing", False)
    assert (said[three][0].label, said[three][0].text) == ("refund", "late")
    again = run(capsys, "labels", "import", str(file), "--json", root=tickets.root).json
    counts = {
        name: again[name] for name in ("rows", "matched", "stored", "corrected", "unchanged", "repeated", "unknown")
    }
    assert counts == {
        "rows": 13, "matched": 11, "stored": 0, "corrected": 0, "unchanged": 5, "repeated": 6, "unknown": 2
    }  # fmt: skip
    assert again["unknown_ids"] == ["nobody"]
    with open_spine(tickets.root, readonly=True) as spine:
        assert {name: spine.traces.said(name) for name in said} == said


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "request_id,label\nreq-1,x\nreq-2\n", "row 3 has 1 cells"),
        ("a.csv", "request_id,label\nreq-1,nan\n", "row 2 has 'nan'"),
        ("a.csv", "request_id,score\nreq-1,1\nreq-2,inf\n", "row 3 has 'inf' in “score”"),
        ("a.csv", "request_id,outcome\nreq-1,loved\n", "not one of accepted"),
        ("a.csv", "request_id,taken_back\nreq-1,maybe\n", "not yes or no"),
        ("a.csv", "request_id,label\n,x\n", "row 2 names no request"),
        ("a.csv", "request_id,x\nreq-1,x\n", "no column says anything"),
        ("a.csv", "name,label\nreq-1,x\n", "no column names the requests"),
        ("a.csv", "", "has no rows"),
        ("a.jsonl", '{"request_id": "req-1", "label": NaN}\n', "row 1 has nan"),
        ("a.jsonl", '{"request_id": "req-1", "label": "x"}\n[]\n', "row 2 is no JSON object"),
        ("a.jsonl", '{"request_id": "req-1", "label": "x"', "row 1 is no JSON"),
        ("a.parquet", "no", "cannot be read"),
        ("a.txt", "x", "of no kind"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_nothing_is_stored(
    tickets: Tickets, capsys: Capture, tmp_path: Path, name: str, content: str, says: str
) -> None:
    file = tmp_path / name
    file.write_text(content.replace("req-1", max(requests(tickets.root))))
    refused = run(capsys, "labels", "import", str(file), root=tickets.root)
    check_refused(refused, 2)
    assert says in refused.err
    with open_spine(tickets.root, readonly=True) as spine:
        assert not spine.traces.said(max(requests(tickets.root)))


def test_labels_of_parquet(tickets: Tickets, capsys: Capture, tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "it's [labels].parquet"
    name = sorted(requests(tickets.root))[-2]
    query = f"SELECT '{name}' AS request_id, 0.5::FLOAT AS score, NULL::VARCHAR AS label"
    duckdb.execute(f"COPY ({query}) TO '{str(file).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
    assert run(capsys, "labels", "import", str(file), "--json", root=tickets.root).json["stored"] == 1
    only = write(tmp_path / "none.csv", ("id", "label"), [("nobody", "x")])
    assert run(capsys, "labels", "import", str(only), root=tickets.root).code == 1, "no request was found"


def test_lines_of_json_need_not_all_have_the_same_members(tickets: Tickets, capsys: Capture, tmp_path: Path) -> None:
    """The columns are those of all rows: a label is not lost because the first row has only a score."""
    one, two, three = sorted(requests(tickets.root))[-3:]
    file = tmp_path / "mixed.jsonl"
    rows: list[dict[str, object]] = [
        {"request_id": one, "score": 3},
        {"request_id": two, "label": "refund"},
        {"outcome": "revised", "request_id": three},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(capsys, "labels", "import", str(file), "--dry-run", "--json", root=tickets.root).json
    assert (found["rows"], found["empty"], found["graded"]) == (3, 0, 1), found
