"""``spine eval import`` and ``spine baseline new``: from another tool's result to a baseline, without Python."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report, write_baseline, write_bundle
from cli_world import HOSTILE, check_refused, run
from modelspine.gate.baseline import Item, baseline_bytes, baseline_of, read_baseline
from modelspine.gate.eval_report import read_report
from modelspine.ledger.store import Draft
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
IMPORT = ("--right", "said=label", "--bucket", "topic", "--set", "data/eval.csv", "--lower", "wer=edits/words")


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an eval set of 40 items and two results, of which the second one is worse."""
    monkeypatch.chdir(project)
    (project / "data").mkdir()
    rows = [f"i{n},{'ab'[n % 2]},{'sea' if n % 2 else 'land'},10" for n in range(40)]
    (project / "data" / "eval.csv").write_text("\n".join(["id,label,topic,words", *rows]) + "\n")
    for name, wrong, edits in (("good", 2, 3), ("bad", 9, 35)):
        lines = [f"{row},{'?' if n < wrong else row.split(',')[1]},{int(n < edits)}" for n, row in enumerate(rows)]
        (project / f"{name}.csv").write_text("\n".join(["id,label,topic,words,said,edits", *lines]) + "\n")
    return project


def registered(root: Path, name: str, number: int, report: bytes) -> str:
    folder = write_bundle(root / "made" / name, number, report=False)
    (folder / "eval_report.json").write_bytes(report)
    with open_spine(root) as spine:
        return spine.registry.register(folder).sha


def test_from_two_results_to_a_gate_that_fails(here: Path, capsys: Capture) -> None:
    shas = {}
    for number, name in enumerate(("good", "bad")):
        done = run(capsys, "eval", "import", f"{name}.csv", *IMPORT, "--out", f"{name}.json")
        assert (done.code, done.err) == (0, "")
        assert "40 items of data/eval.csv" in done.out
        shas[name] = registered(here, name, number, (here / f"{name}.json").read_bytes())
    assert "wer      3/400, lower is better" in run(capsys, "eval", "import", "good.csv", *IMPORT, "--out", "x").out
    done = run(capsys, "baseline", "new", shas["good"], "--reason", "the first model")
    assert (done.code, "not committed" in done.out) == (0, True)
    assert subprocess.run(["git", "ls-files"], capture_output=True, check=True).stdout == b"", "it commits nothing"
    made = read_baseline((here / "eval_baseline.json").read_bytes())
    assert (made.entry_sha, made.reason, made.anchor) == (shas["good"], "the first model", None)
    assert run(capsys, "gate", shas["good"]).code == 0
    failed = run(capsys, "gate", shas["bad"])
    assert failed.code == 1
    assert "wer: 3/400 → 35/400 (+8.00 pp), lower is better" in failed.out
    assert "lost in topic/sea: i3, i5, i7" in failed.out


def test_each_answer_names_the_command_that_comes_next(here: Path, capsys: Capture) -> None:
    """From a bundle without a report to a gate that passes, by nothing but what the commands say."""
    write_bundle(here / "made" / "a model", 1, report=False)
    refused = run(capsys, "gate", run(capsys, "register", "made/a model", "--json").json["sha"])
    check_refused(refused, 1)
    assert "`spine evaluate import RESULT --entry" in refused.err
    write_bundle(here / "made" / "b", 2, report=False)
    chosen = {"RESULT": "good.csv", "EVAL_SET": "data/eval.csv", "TEXT": "first"}
    done, taken = run(capsys, "register", "made/b"), []
    while (found := re.search(r"next: `spine (.+)`", done.out)) is not None:
        words = [chosen.get(word, word) for word in shlex.split(found[1])]
        taken.append(words[0])
        done = run(capsys, *words, *(IMPORT if words[0] == "evaluate" else ()))
        assert done.code == 0, done
    assert (taken, "gate: pass" in done.out) == (["evaluate", "baseline", "gate"], True)
    imported = run(capsys, "eval", "import", "good.csv", *IMPORT, "--entry", "made/a model", "--out", "r.json")
    assert "next: `spine register 'made/a model' --eval r.json`" in imported.out
    assert "next: `spine gate r.json`" in run(capsys, "eval", "import", "good.csv", *IMPORT, "--out", "r.json").out


def test_the_report_is_printed_where_no_file_is_named(here: Path, capsys: Capture) -> None:
    printed = run(capsys, "evaluate", "import", "good.csv", *IMPORT)
    check_refused(run(capsys, "eval", "import", "good.csv", *IMPORT, "--entry", "made/x"), 2)
    sha = run(capsys, "sha", str(write_bundle(here / "made" / "x", 1))).out.strip()
    named = run(capsys, "--json", "eval", "import", "good.csv", *IMPORT, "--entry", "made/x").json
    assert named == {**json.loads(printed.out), "entry_sha": sha}
    assert read_report(printed.out.encode()).total.k == 38


def test_an_import_needs_no_ledger_and_writes_only_what_it_is_told(here: Path, capsys: Capture) -> None:
    (here / ".spine" / "ledger.db").unlink()
    before = sorted(here.rglob("*"))
    assert run(capsys, "eval", "import", "good.csv", *IMPORT).code == 0
    assert sorted(here.rglob("*")) == before


def test_gating_a_foreign_result_names_the_converter(here: Path, capsys: Capture) -> None:
    write_baseline(here)
    done = run(capsys, "gate", "good.csv")
    assert done.code == 2
    assert "spine eval import FILE --format csv" in done.out
    folder = write_bundle(here / "made" / "x", 1)
    (folder / "eval_report.json").write_text('{"accuracy": 0.9}')
    refused = run(capsys, "register", str(folder))
    check_refused(refused, 2)
    assert "spine eval import FILE" in refused.err


def test_hostile_names_stay_on_their_line(here: Path, capsys: Capture) -> None:
    rows = [{"id": f"{HOSTILE}{n}", "ok": n > 3, HOSTILE: HOSTILE} for n in range(9)]
    (here / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (here / "data" / "x.bin").write_bytes(b"x")
    words = ("eval", "import", "x.jsonl", "--right", "ok", "--set", "data/x.bin")
    assert run(capsys, *words, "--bucket", HOSTILE).out.isascii()
    for more in ((), ("--bucket", HOSTILE, "--out", "x.json"), ("--right", HOSTILE), ("--bucket", "nosuch")):
        done = run(capsys, *words, *more)
        for stream in (done.out, done.err):
            assert all(char.isprintable() or char == "\n" for char in stream)


def test_a_service_with_scores_alone(here: Path, capsys: Capture) -> None:
    words = ("--set", "data/eval.csv", "--lower", "wer=edits/words")
    shas = []
    for number, name in enumerate(("good", "bad")):
        assert run(capsys, "eval", "import", f"{name}.csv", *words, "--out", f"{name}.json").code == 0
        shas.append(registered(here, name, number, (here / f"{name}.json").read_bytes()))
    done = run(capsys, "baseline", "new", shas[0], "--reason", "first")
    assert (done.code, "scores alone" in done.out) == (0, True)
    assert [run(capsys, "gate", sha).code for sha in shas] == [0, 1]
    assert run(capsys, "promote", shas[0], "--semver", "v0.1.0", "--reason", "x").code == 0
    for command in (("list",), ("show", "production"), ("lineage", "production"), ("diff", *shas), ("gate", shas[0])):
        assert run(capsys, *command).code == 0
    assert "3/400  lower is better" in run(capsys, "show", "production").out
    assert run(capsys, "baseline", "new", shas[0], "--reason", "again").code == 0


# the baseline ---------------------------------------------------------------------------------------


def with_policy(root: Path, **more: Any) -> None:
    """A baseline of 95 in 100 with things that people decided."""
    report = read_report(json.dumps(eval_report(95, 100)).encode())
    item = Item(id="incident-1", text="he goed", correct_form="went")
    made = baseline_of(report, reason="old", approved_in="#1", entry_sha="a" * 64, never_regress=[item], tolerance_pp=1)
    made["floor_excludes"] = [{"entry_sha": "b" * 64, "reason": "measured wrongly"}]
    (root / "eval_baseline.json").write_bytes(baseline_bytes({**made, **more}))


def new(capsys: Capture, *words: str) -> Any:
    done = run(capsys, "baseline", "new", *words, "--json")
    assert done.code == 0, done.err
    return done.json


def baseline(root: Path, name: str = "eval_baseline.json") -> Any:
    return read_baseline((root / name).read_bytes())


def test_what_people_decided_is_kept(here: Path, capsys: Capture) -> None:
    with_policy(here)
    sha = registered(here, "x", 1, json.dumps(eval_report(93, 100)).encode())
    found = new(capsys, sha[:8], "--reason", "smaller and faster", "--approved-in", "#7")
    assert found["weaker"]["verb/go"] == {"before": {"k": 47, "n": 50}, "now": {"k": 46, "n": 50}}
    assert (found["sha"], found["replaces"]) == (sha, "a" * 64)
    made = baseline(here)
    assert (made.tolerance_pp, made.approved_in, made.total.k) == (1, "#7", 93)
    assert [item.id for item in made.never_regress] == ["incident-1"]
    assert [entry.entry_sha for entry in made.floor_excludes] == ["b" * 64]
    assert (made.anchor.entry_sha, made.anchor.total.k) == ("a" * 64, 95), "so that small losses do not add up"
    new(capsys, sha, "--reason", "again")
    assert baseline(here).anchor == made.anchor


def test_an_anchor_of_other_items_is_not_kept_and_this_is_said(here: Path, capsys: Capture) -> None:
    with_policy(here)
    other = {"path": "data/other.jsonl", "dvc_hash": "d" * 32, "sha256": "f" * 64, "n": 100}
    sha = registered(here, "x", 1, json.dumps(eval_report(93, 100, eval_set=other)).encode())
    found = new(capsys, sha, "--reason", "new items")
    assert "another eval set" in found["notes"][0]
    assert baseline(here).anchor is None


def test_another_report_and_another_file(here: Path, capsys: Capture) -> None:
    sha = registered(here, "x", 1, json.dumps(eval_report(93, 100)).encode())
    (here / "fresh.json").write_text(json.dumps(eval_report(97, 100, entry_sha=sha)))
    new(capsys, sha, "--reason", "measured again", "--report", "fresh.json", "--out", "other/baseline.json")
    assert baseline(here, "other/baseline.json").total.k == 97
    assert not (here / "eval_baseline.json").exists()
    (here / "fresh.json").write_text(json.dumps(eval_report(97, 100, entry_sha="c" * 64)))
    check_refused(run(capsys, "baseline", "new", sha, "--reason", "x", "--report", "fresh.json"), 2)


def test_what_gives_no_baseline(here: Path, capsys: Capture) -> None:
    with open_spine(here) as spine:
        bare = spine.registry.register(write_bundle(here / "made" / "bare", 2, report=False)).sha
        buried = spine.registry.register(write_bundle(here / "made" / "buried", 3)).sha
        held = spine.registry.register(write_bundle(here / "made" / "held", 4)).sha
        spine.registry.tombstone(buried, reason="wrong corpus")
        spine.ledger.append([Draft(kind="held", body={"sha": held, "reason": "slow"})], expected=None)
    for sha, why in ((bare, "no evaluation report"), (buried, "is tombstoned")):
        refused = run(capsys, "baseline", "new", sha, "--reason", "x")
        check_refused(refused, 1)
        assert why in refused.err
    assert "is on hold: slow" in run(capsys, "baseline", "new", held, "--reason", "x").out
    (here / "eval_baseline.json").write_text("{}")
    refused = run(capsys, "baseline", "new", held, "--reason", "x")
    check_refused(refused, 2)
    assert "its policy would be lost" in refused.err
    assert (here / "eval_baseline.json").read_text() == "{}"
