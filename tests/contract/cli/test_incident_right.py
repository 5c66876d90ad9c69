"""Whether the page of an incident calls an answer right: by the rule that grades it, and not by its letters."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cli_world import run
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.recording.recorder import Heard, Recorder
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine
from modelspine_console.screens.incident_text import about

Capture = pytest.CaptureFixture[str]
REGRESSOR = '[workload]\nkind = "regressor"\ninput = "area"\nlabel = "price"\ntolerance = 30\n'
CLASSIFIER = '[workload]\nkind = "classifier"\ninput = "note"\nlabel = "queue"\ncompare = "casefold"\n'
ID = "req-right-0001"


def labelled(root: Path, table: str, answer: Any, label: str) -> str:
    """A project with one request, and the file of its label; returns the path of that."""
    (root / "spine.toml").write_text(table)
    create_ledger(load(root, environ={}), "dev")
    with open_spine(root) as spine:
        writer, recorder = TraceWriter(spine.settings.traces), Recorder(spine)
        heard = Heard(
            request_id=ID, trace_id="a" * 32, span_id="b" * 16, started_ns=time.time_ns(), seconds=0.1,
            models=("ours",), request="120", answer=answer,
        )  # fmt: skip
        writer.submit(recorder.trace(heard, *recorder.now())).result(5)
        writer.close()
    (root / "labels.csv").write_text(f"request_id,label\n{ID},{label}\n")
    return str(root / "labels.csv")


@pytest.mark.parametrize(
    ("table", "answer", "label", "line"),
    [
        (REGRESSOR, "401", "410", "answered  ✔ right"),
        (REGRESSOR, "401", "500", "answered  ✖ wrong: it should be “500”"),
        (CLASSIFIER, "Refund", "refund", "answered  ✔ right"),
        (REGRESSOR, "nan", "410", "the right answer is “410”; what was answered cannot be compared with it"),
        (REGRESSOR, None, "410", "the right answer is “410”; what was answered cannot be compared with it"),
    ],
)  # fmt: skip
def test_the_page_judges_by_the_rule_of_the_workload(
    tmp_path: Path, capsys: Capture, table: str, answer: Any, label: str, line: str
) -> None:
    file = labelled(tmp_path, table, answer, label)
    assert run(capsys, "labels", "import", file, root=tmp_path).code == 0
    page = run(capsys, "incident", ID, root=tmp_path).out
    assert line in page.splitlines()
    found = run(capsys, "incident", ID, "--json", root=tmp_path).json
    graded = run(capsys, "traces", "show", ID, "--json", root=tmp_path).json["graded"]
    assert found["right"] == graded
    assert ("the answer was correct by its label" in page) is (graded is True)
    with open_spine(tmp_path, readonly=True) as spine:
        trace: Trace = spine.trace(ID)
        shown = "\n".join(each.plain for each in about(trace, spine.walk(trace), 200, at=None))
    assert ("✔ as expected" in shown, "✖ wrong" in shown) == (graded is True, graded is False)
