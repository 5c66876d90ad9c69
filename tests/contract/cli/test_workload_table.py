"""A workload without a class: what the table ``[workload]`` is enough for, and what it cannot do."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest

from cli_world import check_refused, leave_trace, run
from miniobserve.writer import TraceWriter
from modelspine.attestation.trust import must_load
from modelspine.collect_table import CollectTable, Tokens
from modelspine.described.service import Described
from modelspine.gate.eval_report import read_report
from modelspine.incident.pack import pack
from modelspine.incident.told_answers import told_fix
from modelspine.settings import load
from modelspine.spine import open_spine
from tickets import ASKED, REQUEST, TABLE, Tickets, make_tickets, told_day, told_label

Capture = pytest.CaptureFixture[str]
NAME = 'workload = "echo"\n'


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Tickets:
    return make_tickets(tmp_path_factory.mktemp("tickets") / "project")


@pytest.mark.parametrize(("compare", "answer", "found"), [
    ("casefold", "Billing", True), ("casefold", " BILLING", True), ("exact", "Billing", False),
    ("exact", "billing", True),
])  # fmt: skip
def test_the_score_of_an_answer_is_found_as_answers_are_compared(
    tickets: Tickets, compare: str, answer: str, found: bool
) -> None:
    """An evaluation counts the answers under the name that a walk looks for, whatever the case of both."""
    with open_spine(tickets.root, readonly=True) as spine:
        workload = spine.workload
        assert isinstance(workload, Described)
        table = msgspec.structs.replace(workload.table, compare=compare)
        trace = msgspec.structs.replace(spine.trace(REQUEST), output=answer)
        line = told_fix(spine.registry, Described(table), trace, None, Mock()).answer
    assert ("it was right in 100/180" in line) is found


def test_the_walk_answers_by_labels(tickets: Tickets, capsys: Capture) -> None:
    """Answers 1, 3, 4, 5 and 8 without a model to ask: first by the answer alone, then by the label."""
    found = run(capsys, "incident", REQUEST, "--json", root=tickets.root)
    assert found.code == 0
    answers = [answer["answer"] for answer in found.json["answers"]]
    assert answers[0].endswith("bytes verified; told by the server, which Spine cannot ask again")
    assert answers[3].startswith("121 of 243 rows contain the label “billing”; 1 has the same text;")
    assert answers[4].startswith("label/billing 100/100")
    assert answers[7] == (
        "no comparison possible: the right answer is not known yet; it was right in 100/180 = 55.6 % of the items that "
        "it answered with “billing”"
    )
    with open_spine(tickets.root, readonly=True) as spine:
        walk = spine.walk(told_label(tickets.root, REQUEST, "refund"))
    told = [answer.answer for answer in walk.answers]
    assert (told[0], walk.answers[0].status) == (answers[0], "recorded")
    assert told[2].startswith("data/v1.jsonl")
    assert told[3] == (
        "2 of 243 rows contain the label “refund”, and 1 teach the same text as “billing”; 1 has the same text; "
        "data/v2.jsonl has 121"
    )
    assert walk.answers[3].evidence["quoted"][0]["row"] == 243, "the row that teaches the wrong label is quoted"
    assert told[4].startswith("label/refund 20/100 = 20.0 %  lang/en ")
    assert "v0.2.0" in told[7]
    assert "scored 98/100 on label/refund and passes the gate" in told[7]
    assert walk.suggestion == f"spine route single v0.2.0 --reason {REQUEST}"
    assert (walk.expected, walk.answers[7].evidence["go_to"]) == ("refund", tickets.strong)


@pytest.mark.parametrize("label", [None, "refund"])
def test_a_pack_of_such_a_walk_is_verified(tickets: Tickets, tmp_path: Path, label: str | None) -> None:
    with open_spine(tickets.root, readonly=True) as spine:
        trace = spine.trace(REQUEST) if label is None else told_label(tickets.root, REQUEST, label)
        pack(spine, spine.walk(trace), "page", tmp_path / "pack.zip")
    zipfile.ZipFile(tmp_path / "pack.zip").extractall(tmp_path / "pack")
    command = [sys.executable, "-I", "verify.py"]
    done = subprocess.run(command, cwd=tmp_path / "pack", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_text_that_no_row_has_is_looked_for_by_its_words(tickets: Tickets, capsys: Capture) -> None:
    leave_trace(tickets.root, "req-ticket-0002", "MONEY back, I want my order!", "billing")
    rows = run(capsys, "incident", "req-ticket-0002", "--json", root=tickets.root).json["answers"][3]
    assert "1 has the same words" in rows["answer"]
    assert json.loads(rows["evidence"]["same"]["quoted"][0]["text"])["ticket"] == "wrong"


def test_a_report_has_buckets_by_label_and_feature_without_any_option(tickets: Tickets, capsys: Capture) -> None:
    report = read_report((tickets.root / "made" / "weak" / "eval_report.json").read_bytes())
    assert {name: (count.k, count.n) for name, count in report.buckets.items() if "label" in name} == {
        "label/billing": (100, 100), "label/refund": (20, 100), "label/spam": (100, 100),
    }  # fmt: skip
    assert {"lang/de", "lang/en"} < set(report.buckets)
    assert (report.total.k, report.false_accept.k, report.false_accept.n) == (220, 0, 200)
    assert report.decoding == {"right": "the answer equals queue"}
    shown = run(capsys, "eval", "import", str(tickets.root / "weak.csv"), "--out", "/dev/null", root=tickets.root)
    assert "false accepts  0/200" in shown.out


def test_a_result_cannot_choose_its_own_labels(tickets: Tickets, capsys: Capture) -> None:
    lines = (tickets.root / "weak.csv").read_text().splitlines()
    forged = [f"{lines[0]},queue", *(f"{line},{line.rpartition(',')[2]}" for line in lines[1:])]
    (tickets.root / "forged.csv").write_text("\n".join(forged))
    refused = run(capsys, "eval", "import", str(tickets.root / "forged.csv"), root=tickets.root)
    check_refused(refused, 2)
    assert "has the label 'billing', and the eval set says 'refund'" in refused.err


@pytest.mark.parametrize(
    "words", [("evaluate", "v0.1.0"), ("diff", "v0.1.0", "v0.2.0", "--traffic"), ("serve", "--port", "0")]
)
def test_what_would_ask_a_model_names_the_way_out(tickets: Tickets, capsys: Capture, words: tuple[str, ...]) -> None:
    refused = run(capsys, *words, root=tickets.root)
    check_refused(refused, 2)
    assert "describes this workload by a table" in refused.err
    assert "`spine eval import FILE`" in refused.err


def test_info_says_what_the_table_says(tickets: Tickets, capsys: Capture) -> None:
    assert "classifier: input body; label queue; features lang" in run(capsys, "info", root=tickets.root).out
    shown = run(capsys, "info", "--json", root=tickets.root).json["settings"]["workload"]
    assert shown["value"]["label"] == "queue"
    assert shown["origin"] == "spine.toml"


def test_info_says_what_collect_reads(tickets: Tickets, capsys: Capture) -> None:
    table = CollectTable(model="app.model", features={"lang": "app.lang"}, tokens=Tokens(input="app.n"), wait_seconds=2)
    said = "model = app.model, features.lang = app.lang, tokens.input = app.n, wait_seconds = 2"
    assert table.summary == said
    out = run(capsys, "info", root=tickets.root).out
    assert "the usual attributes" in out
    assert "Table(" not in out
    assert run(capsys, "info", "--json", root=tickets.root).json["settings"]["collect"]["value"]["wait_seconds"] == 10


def test_a_walk_says_that_there_is_no_answer(tickets: Tickets, capsys: Capture) -> None:
    with open_spine(tickets.root, readonly=True) as spine:
        made = msgspec.structs.replace(spine.trace(REQUEST), request_id="req-unanswered", output=None)
        writer = TraceWriter(spine.settings.traces)
    writer.submit(made).result(5)
    unread = msgspec.structs.replace(made, request_id="req-unread", fields={"unread": "an object"})
    writer.submit(unread).result(5)
    writer.close()
    assert f"“{ASKED}”; there is no answer\n" in run(capsys, "incident", made.request_id, root=tickets.root).out
    assert (
        "there is no answer: it could not be read" in run(capsys, "incident", unread.request_id, root=tickets.root).out
    )


def test_drift_is_measured_in_the_declared_features_and_the_answers(tickets: Tickets, capsys: Capture) -> None:
    """The reference is the corpus, read by the same table; an ordinary day, and one in another language and queue."""
    told_day(tickets.root, 400, "2026-05-04", german=0.5)
    told_day(tickets.root, 400, "2026-05-05", german=0.05, queues=("spam",))
    statuses = {}
    for day in ("2026-05-04", "2026-05-05"):
        words = ("drift", "report", "--day", day, "--against", "v0.2.0", "--json")
        report = run(capsys, *words, root=tickets.root).json
        statuses[day] = {name: each["status"] for name, each in report["features"].items()}
    assert statuses["2026-05-04"] == {"lang": "stable", "answer_label": "stable"}
    assert statuses["2026-05-05"] == {"lang": "act", "answer_label": "act"}


def test_a_never_regress_item_is_answered_by_the_result_or_blocks(tmp_path: Path, capsys: Capture) -> None:
    """Nobody can ask the model, so an item that the result leaves out was not evaluated."""
    root = make_tickets(tmp_path / "project").root
    baseline = root / "eval_baseline.json"
    guard = {"id": "incident-1", "text": ASKED, "correct_form": "refund"}
    baseline.write_text(json.dumps({**json.loads(baseline.read_text()), "never_regress": [guard]}))
    lines = (root / "strong.csv").read_text()
    seen = {}
    for name, said in (("none", ""), ("wrong", "incident-1,billing\n"), ("right", "incident-1,refund\n")):
        (root / f"{name}.csv").write_text(lines + said)
        words = ("--entry", "v0.2.0", "--out", str(root / f"{name}.json"))
        assert run(capsys, "eval", "import", str(root / f"{name}.csv"), *words, root=root).code == 0
        done = run(capsys, "gate", "v0.2.0", "--report", str(root / f"{name}.json"), root=root)
        seen[name] = (done.code, done.out)
    assert [code for code, _ in seen.values()] == [2, 1, 0]
    assert "was not evaluated" in seen["none"][1]
    assert "is wrong again" in seen["wrong"][1]
    assert json.loads((root / "right.json").read_text())["total"]["n"] == 300


@pytest.mark.parametrize(
    ("committed", "here", "loads"),
    [(NAME, TABLE, True), (TABLE, NAME, True), (TABLE, TABLE, False), (NAME, NAME, True), ("", TABLE, False)],
)
def test_a_table_takes_no_place_of_a_committed_name(tmp_path: Path, committed: str, here: str, loads: bool) -> None:
    """In prod a promotion needs what the named class loaded; a table on disk must be no way around that."""
    (tmp_path / "spine.toml").write_text(committed)
    for words in (("init", "-q"), ("add", "spine.toml"), ("commit", "-qm", "settings")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "spine.toml").write_text(here)
    assert must_load(load(tmp_path, environ={})) is loads
