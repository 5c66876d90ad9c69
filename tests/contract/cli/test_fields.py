"""``spine traces list`` by the fields of answers, on a service whose answers tell a score and class probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli_world import HOSTILE, check_refused, leave_trace, run
from tickets import make_tickets

Capture = pytest.CaptureFixture[str]
NAME = HOSTILE.replace("=", "")
"""A name ends at the first sign, but may hold anything else."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = make_tickets(tmp_path_factory.mktemp("fields") / "project").root
    told: list[dict[str, Any]] = [
        {"score": 0.41, "probabilities": {"billing": 0.41, "refund": 0.3}},
        {"score": 0.9, "probabilities": {"billing": 0.05, "refund": 0.9}, "note": HOSTILE},
        {"score": 0.55, NAME: 1},
        {},
    ]
    for number, fields in enumerate(told):
        leave_trace(found, f"req-fields-{number}", f"ticket {number}", "billing", fields=fields,
                    features={"lang": "en" if number else "de"})  # fmt: skip
    return found


def listed(capsys: Capture, root: Path, *words: str) -> list[int]:
    found = run(capsys, "traces", "list", "--text", "ticket ", *words, "--json", root=root)
    assert found.code == 0, found.err
    return [int(one["request_id"][-1]) for one in found.json["traces"]]


def test_requests_are_found_and_sorted_by_the_fields_of_their_answers(root: Path, capsys: Capture) -> None:
    assert listed(capsys, root, "--field", "score<0.6") == [2, 0]
    assert listed(capsys, root, "--field", "score<0.6", "--field", "probabilities.refund>=0.3") == [0]
    assert listed(capsys, root, "--field", "score<0.6", "--feature", "lang=en") == [2]
    assert listed(capsys, root, "--sort", "score")[:3] == [0, 2, 1]
    assert listed(capsys, root, "--sort", "score", "--field", "score>0.5") == [2, 1]
    assert listed(capsys, root, "--sort", "lang")[0] == 0, "a feature is sorted by as before"
    assert listed(capsys, root, "--field", f"note={HOSTILE}") == [1]
    assert listed(capsys, root, "--field", f"{NAME}=1") == [2]


def test_a_table_shows_fields_and_how_much_was_searched(root: Path, capsys: Capture) -> None:
    shown = run(capsys, "traces", "list", "--field", "score<0.6", "--columns",
                "request,score,probabilities.refund,probabilities", root=root)  # fmt: skip
    assert [line.split() for line in shown.out.splitlines()[1:]] == [
        ["request", "score", "probabilities.refund", "probabilities"],
        ["req-fields-2", "0.55", "–", "–"],
        ["req-fields-0", "0.41", "0.3", '{"billing":0.41,"refund":0.3}'],
        ["2", "of", "2;", "searched", "all", "of", "5", "requests"],
    ]
    assert "score=0.41" in run(capsys, "traces", "show", "req-fields-0", root=root).out
    for words in (["list", "--columns", "request,note"], ["list", "--sort", HOSTILE], ["show", "req-fields-1"]):
        assert "\x1b" not in run(capsys, "traces", *words, root=root).out


@pytest.mark.parametrize("field", ["score", "<1", "score<many", "score>=1e400", NAME, f"{NAME}<nan"])
def test_what_is_no_comparison_is_refused(root: Path, capsys: Capture, field: str) -> None:
    found = run(capsys, "traces", "list", "--field", field, root=root)
    check_refused(found, 2)
    assert "does not compare a field" in found.err


def test_a_name_that_was_not_seen_is_named_with_those_that_were(root: Path, capsys: Capture) -> None:
    for words in (["--field", "scor<1"], ["--sort", "scor"], ["--columns", "scor"]):
        found = run(capsys, "traces", "list", *words, root=root)
        check_refused(found, 2)
        assert "'scor'" in found.err
        assert "probabilities.refund, score" in found.err
    assert listed(capsys, root, "--field", "scor<1", "--day", "2020-01-01") == [], "no request could have had it"
