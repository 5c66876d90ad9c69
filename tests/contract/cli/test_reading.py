"""Every reading verb: the shape of its JSON, that the human answer says the same, and that data cannot act."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import eval_report, write_baseline, write_bundle
from cli_world import HOSTILE, REQUEST, SAID, V1, V2, World, check_refused, leave_trace, make_world, run
from modelspine.cli import main
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("cli") / "project")


@pytest.fixture(autouse=True)
def _here(world: World, echo: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("COLUMNS", "120")


def test_list(world: World, capsys: Capture) -> None:
    entries = run(capsys, "list", "--json").json["entries"]
    assert [e["sha"] for e in entries] == [world.silent, world.loud, world.child]
    first = entries[0]
    assert {"sha", "semver", "semvers", "status", "parent_sha", "variant", "accuracy", "production", "arms"} <= set(
        first
    )
    assert (first["semver"], first["semvers"], first["status"]) == ("v0.1.0", ["v0.1.0"], "promoted")
    assert (first["production"], first["arms"], first["accuracy"]) == (True, ["stable"], 0.8)
    assert (entries[2]["semver"], entries[2]["status"], entries[2]["parent_sha"]) == (None, "pending", world.silent)
    human = run(capsys, "list").out.splitlines()
    assert human[0].split()[:3] == ["status", "semver", "sha"]
    assert "● production" in human[1]
    assert "○ promoted" in human[2]
    assert "… pending" in human[3]
    assert "80/100 80.0 %" in human[1]
    assert world.silent[:12] in human[3]


def test_list_and_show_have_the_cost_per_million_right_answers(tmp_path: Path, capsys: Capture) -> None:
    world = make_world(tmp_path / "own")
    write_baseline(world.root)
    unknown = run(capsys, "show", "v0.2.0", root=world.root).out
    assert re.search(r"cost per million right answers +unknown; measure it: `spine evaluate .* --twice", unknown)
    runtime = {"busy_seconds": [1.0, 1.5], "rate_per_hour": 0.05}
    report = tmp_path / "report.json"
    report.write_text(json.dumps(eval_report(95, 100, entry_sha=world.loud, runtime=runtime)))
    assert run(capsys, "gate", "v0.2.0", "--report", str(report), root=world.root).code == 0
    shown = run(capsys, "show", "v0.2.0", root=world.root).out
    cost = r"cost per million right answers +\$0\.183 \(0\.146–0\.219, 2 evaluation runs at \$0\.05/h\)"
    assert re.search(cost, shown)
    assert run(capsys, "show", "v0.2.0", "--json", root=world.root).json["cost_per_quality"]["runs"] == 2
    head, *rows = run(capsys, "list", root=world.root).out.splitlines()
    assert "USD/M right" in head
    end = head.index("USD/M right") + len("USD/M right")
    assert [row[:end].split()[-1] for row in rows] == ["–", "0.183", "–"]


def test_show_says_what_was_accepted_with_an_entry_that_is_its_own_baseline(tmp_path: Path, capsys: Capture) -> None:
    world = make_world(tmp_path / "own")
    from modelspine.gate.baseline import baseline_bytes, baseline_of

    with open_spine(world.root, readonly=True) as spine:
        detail = spine.registry.get("v0.1.0")
    assert detail.eval_report is not None
    made = baseline_of(detail.eval_report, reason="all there is", approved_in="#1", entry_sha=detail.entry.sha)
    (world.root / "eval_baseline.json").write_bytes(baseline_bytes(made))
    assert run(capsys, "show", "v0.1.0", "--json", root=world.root).json["own_baseline"] is None
    assert run(capsys, "gate", "v0.1.0", root=world.root).code == 0
    accepted = run(capsys, "show", "v0.1.0", "--json", root=world.root).json["own_baseline"]
    assert accepted.startswith("it is its own baseline: ")
    assert accepted.endswith("was accepted with this reason: all there is")
    assert accepted in run(capsys, "show", "v0.1.0", root=world.root).out
    assert "own baseline" not in run(capsys, "show", "v0.2.0", root=world.root).out


def test_list_at_a_time(world: World, capsys: Capture) -> None:
    with open_spine(world.root, readonly=True) as spine:
        registered = spine.registry.events()[1].at
    entries = run(capsys, "list", "--at", registered, "--json").json["entries"]
    assert [(e["sha"], e["status"]) for e in entries] == [(world.silent, "pending")]
    assert run(capsys, "list", "--at", "2001-01-01", "--json").json["entries"] == []
    assert "no entry was registered at that time" in run(capsys, "list", "--at", "2001-01-01").out
    check_refused(run(capsys, "list", "--at", "tomorrow"), 2)


@pytest.mark.parametrize("ref", ["v0.1.0", "production", "SHORT"])
def test_show(world: World, capsys: Capture, ref: str) -> None:
    ref = world.silent[:8] if ref == "SHORT" else ref
    shown = run(capsys, "show", ref, "--json").json
    assert (shown["sha"], shown["semver"], shown["status"]) == (world.silent, "v0.1.0", "promoted")
    assert shown["manifest"]["seed"] == "-1"
    assert shown["buckets"]["verb/go"] == {"k": 40, "n": 50}
    assert [event["kind"] for event in shown["history"]] == ["registered", "promoted", "routed"]
    human = run(capsys, "show", ref).out
    assert world.silent in human
    assert "verb/go" in human
    assert "the first promotion" in human


def test_route_show(world: World, capsys: Capture) -> None:
    route = run(capsys, "route", "show", "--json").json
    arm = {"name": "stable", "sha": world.silent, "semver": "v0.1.0", "weight_bp": 10_000}
    assert (route["strategy"], route["arms"]) == ("single", [arm])
    assert route["salt"] == str(route["epoch"])
    assert "100.00" in run(capsys, "route", "show").out
    none = run(capsys, "route", "show", "--at", "2001-01-01", "--json").json
    assert (none["strategy"], none["arms"]) == (None, [])


def test_history(world: World, capsys: Capture) -> None:
    events = run(capsys, "history", "--json").json["events"]
    kinds = ["opened", "registered", "registered", "registered", "promoted", "routed", "promoted"]
    assert [e["kind"] for e in events] == kinds
    assert [e["seq"] for e in events] == list(range(1, 8))
    assert all(len(e["hash"]) == 64 for e in events)
    at = run(capsys, "history", "--at", events[1]["at"], "--json").json["events"]
    assert [e["seq"] for e in at] == [1, 2]
    assert [e["seq"] for e in run(capsys, "history", "--limit", "2", "--json").json["events"]] == [6, 7]
    mine = run(capsys, "history", "--ref", "v0.2.0", "--json").json["events"]
    assert [e["kind"] for e in mine] == ["registered", "promoted"]
    assert "v0.2.0" in run(capsys, "history").out.splitlines()[-1]


def test_sha_prints_the_digits_alone(world: World, capsys: Capture) -> None:
    assert run(capsys, "sha", "made/1").out == world.silent + "\n"
    assert run(capsys, "sha", "made/3", "--json").json["parent_sha"] == world.silent


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ("made/1", "entry"),
        ("made/1/model.safetensors", "weights"),
        ("SHA", "entry"),
        ("CORPUS", "corpus"),
        ("TENSOR", "tensor w"),
    ],
)
def test_show_finds_the_entry_of_a_path_or_digest(world: World, capsys: Capture, asked: str, what: str) -> None:
    shown = run(capsys, "show", world.silent, "--json").json
    asked = {"SHA": world.silent[:10], "CORPUS": shown["corpora"][0], "TENSOR": shown["tensors"][0]["digest"][:20]}.get(
        asked, asked
    )
    found = run(capsys, "show", asked, "--json").json
    assert found["sha"] == world.silent
    if asked == world.silent[:10]:
        assert "matches" not in found, "a SHA is a REF"
        return
    assert what in {m["what"] for m in found["matches"]}
    assert world.silent in {m["sha"] for m in found["matches"]}
    assert found["digest"]
    assert what in run(capsys, "show", asked).out


def test_sha_says_whether_the_bundle_is_registered(
    world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(capsys, "sha", "made/1", "--json").json
    assert (found["registered"], found["semver"]) == (True, run(capsys, "show", world.silent, "--json").json["semver"])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("modelspine.cli.bundles.sys.stdout.isatty", lambda: True, raising=False)
    shown = [line.split() for line in run(capsys, "sha", "made/1").out.splitlines()]
    assert shown[1:3] == [["other", "files", "none"], ["left", "out", "none"]]
    assert shown[3][:2] == ["registered", "as"]
    monkeypatch.setenv("SPINE_LEDGER", "sqlite:////nowhere/none.db")
    assert run(capsys, "sha", "made/1", "--json").json["registered"] is None
    assert "unknown" in run(capsys, "sha", "made/1").out


def test_diff(world: World, capsys: Capture) -> None:
    found = run(capsys, "diff", "v0.1.0", "v0.2.0", "--json").json
    assert found["config"] == [{"path": "$.number", "a": "-1", "b": "7"}]
    assert found["tensors"] == {"added": [], "removed": [], "changed": ["w"], "same": 0}
    assert [c["path"] for c in found["corpora"]["added"]] == ["data/v2.jsonl"]
    assert [c["path"] for c in found["corpora"]["removed"]] == ["data/v1.jsonl"]
    assert found["buckets"]["total"] == {
        "a": {"k": 80, "n": 100},
        "b": {"k": 95, "n": 100},
        "delta_pp": pytest.approx(15),
    }
    assert found["buckets"]["verb/go"]["delta_pp"] == pytest.approx(14)
    assert found["tokenizer_changed"] is False
    human = run(capsys, "diff", "v0.1.0", "v0.2.0").out
    assert "+15.00" in human
    assert "$.number" in human
    everything = run(capsys, "diff", "v0.1.0", "v0.2.0", "--all").out
    assert not any(line.endswith("  unchanged") for line in human.splitlines())
    assert any(line.endswith("  unchanged") for line in everything.splitlines())
    same = run(capsys, "diff", "v0.1.0", "v0.1.0", "--json").json
    assert (same["config"], same["tensors"]["same"]) == ([], 1)


def test_lineage(world: World, capsys: Capture) -> None:
    walk = run(capsys, "lineage", world.child, "--json").json
    assert walk["sha"] == world.child
    kinds = [(hop["kind"], hop["status"]) for hop in walk["root"]["children"]]
    assert kinds == [
        ("run", "missing"),
        ("code", "recorded"),
        ("corpus", "missing"),
        ("eval_set", "missing"),
        ("entry", "recorded"),
    ]
    tree = run(capsys, "lineage", world.child).out
    assert "\n  · recorded  entry" in tree
    assert "\n    ? missing  run" in tree
    assert f"data/v1.jsonl  md5 {run(capsys, 'show', 'v0.1.0', '--json').json['corpora'][0][:12]}" in tree
    assert run(capsys, "lineage", "v0.1.0", "--json").json["corpus_dvc_hash"]


def test_lineage_names_the_runs_hyper_parameters_and_its_parents_run(tmp_path: Path, capsys: Capture) -> None:
    world = make_world(tmp_path / "own")
    folder = write_bundle(world.root / "made" / "tuned", 21, run_id="run-21")
    file = folder / "train_manifest.json"
    settings = {"steps": 600, "version.torch": "2.9", "rate": "\x1b[31m0.001"}
    more = {"hyper_parameters": settings, "parent_run_id": "run-20"}
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    with open_spine(world.root) as spine:
        sha = spine.registry.register(folder, run_id="run-21").sha
    hop = run(capsys, "lineage", sha, "--json", root=world.root).json["root"]["children"][0]
    assert (hop["kind"], hop["evidence"]["hyper_parameters"], hop["evidence"]["parent_run_id"]) == (
        "run", settings, "run-20",
    )  # fmt: skip
    tree = run(capsys, "lineage", sha, root=world.root).out
    assert "steps=600" in tree
    assert "parent run  run-20" in tree
    assert "version.torch" not in tree
    assert "\x1b" not in tree


def test_lineage_as_a_flowchart(world: World, capsys: Capture) -> None:
    lines = run(capsys, "lineage", world.child, "--mermaid").out.splitlines()
    assert lines[0] == "flowchart TD"
    nodes = [line for line in lines if "[" in line]
    assert len(nodes) == 10
    assert len([line for line in lines if "-->" in line]) == 9
    assert all(re.fullmatch(r'    n\d+\["[^"<>`]*"\]', line) for line in nodes)


def test_impact_names_an_entry_by_any_of_many_corpora(tmp_path: Path, capsys: Capture) -> None:
    """An event has room for a few of them; the recall list has to hold all."""
    world = make_world(tmp_path / "many")
    corpora = [{"path": f"data/{n}.jsonl", "dvc_hash": f"{n:032x}"} for n in range(1, 8)]
    with open_spine(world.root) as spine:
        sha = spine.registry.register(write_bundle(world.root / "made" / "many", 70, corpora=corpora)).sha
    for corpus in corpora:
        found = run(capsys, "impact", corpus["dvc_hash"], "--json", root=world.root)
        assert [e["sha"] for e in found.json["entries"]] == [sha]


def test_impact(world: World, capsys: Capture) -> None:
    corpus = run(capsys, "lineage", "v0.1.0", "--json").json["corpus_dvc_hash"]
    touched = {e["sha"]: e for e in run(capsys, "impact", corpus, "--json").json["entries"]}
    assert touched[world.silent]["via"] == "trained"
    assert sum(count for _, count in touched[world.silent]["days"]) >= 1
    assert touched[world.child]["via"] == world.silent
    assert "through " + world.silent[:12] in run(capsys, "impact", corpus[:6]).out
    check_refused(run(capsys, "impact", "f" * 32), 2)


@pytest.mark.parametrize("ref", ["v0.2.0", "HASH", "data/v2.jsonl"])
def test_corpus_grep(world: World, capsys: Capture, ref: str) -> None:
    ref = run(capsys, "lineage", "v0.2.0", "--json").json["corpus_dvc_hash"] if ref == "HASH" else ref
    found = run(capsys, "corpus", "grep", ref, "WENT", "--json").json["corpora"]
    assert [(c["path"], c["matched"], c["rows"]) for c in found] == [("data/v2.jsonl", 1, len(V2))]
    assert found[0]["shown"] == [{"row": 51, "text": json.dumps(V2[50])}]
    human = run(capsys, "corpus", "grep", ref, "WENT").out
    assert "1 of 51 rows match" in human
    assert " 51  " in human


def test_corpus_grep_without_a_match_is_no_error(capsys: Capture) -> None:
    done = run(capsys, "corpus", "grep", "v0.1.0", "WENT")
    assert (done.code, done.err) == (0, "")
    assert f"0 of {len(V1)} rows match" in done.out
    assert "46 more" in run(capsys, "corpus", "grep", "v0.1.0", "row", "--limit", "4").out
    check_refused(run(capsys, "corpus", "grep", "v0.1.0", "("), 2)


def test_traces(world: World, capsys: Capture) -> None:
    found = run(
        capsys, "traces", "list", "--text", "SCHOOL", "--outcome", "dismissed", "--feature", "length=3", "--json"
    ).json
    assert [t["request_id"] for t in found["traces"]] == [REQUEST]
    assert found["matched"] == 1
    assert run(capsys, "traces", "list", "--ref", "v0.2.0", "--json").json["traces"] == []
    assert run(capsys, "traces", "list", "--day", "2001-01-01", "--json").json["traces"] == []
    assert REQUEST in run(capsys, "traces", "list", "--arm", "stable").out
    for order in ("time", "latency", "outcome", "length"):
        asked = ("--sort", order, "--text", "SCHOOL", "--arm", "stable", "--feature", "length=3")
        by_order = run(capsys, "traces", "list", *asked, "--json").json
        assert [t["request_id"] for t in by_order["traces"]] == [REQUEST]
        assert (by_order["matched"], by_order["searched"], by_order["since"]) == (1, 1, None)
        human = run(capsys, "traces", "list", *asked).out
        assert "1 of 1; searched all of 1 request" in human
        head = next(line.split() for line in human.splitlines() if line.startswith("at "))
        assert head[-1] == {"time": "feedback", "outcome": "feedback", "latency": "ms"}.get(order, order)
    assert run(capsys, "traces", "list", "--sort", "latency", "--arm", "stab", "--json").json["traces"] == []
    shown = run(capsys, "traces", "show", REQUEST, "--json").json
    assert (shown["model_sha"], shown["traffic_assignment"]) == (shown["entry_sha"], shown["assignment"])
    assert shown["traffic_assignment"]["arm"] == "stable"
    assert [said["outcome"] for said in shown.pop("said")] == ["dismissed"]
    assert shown.pop("files") == []
    assert found["traces"] == [shown]
    assert (shown["input"], shown["entry_sha"], shown["feedback"]) == (SAID, world.silent, "dismissed")
    assert f"spine incident {REQUEST}" in run(capsys, "traces", "show", REQUEST).out


def test_incident_never_regress(tmp_path: Path, capsys: Capture) -> None:
    """A branch with one commit, ready for review; the same request again is the same branch."""
    world = make_world(tmp_path / "own")
    words = ("incident", REQUEST, "--never-regress", "--reason", "a learner was misled", "--root", str(world.root))
    check_refused(run(capsys, *words), 1)
    write_baseline(world.root)
    for command in (["init", "-q"], ["add", "eval_baseline.json"], ["commit", "-qm", "a baseline"]):
        subprocess.run(["git", *command], cwd=world.root, check=True)
    first, second = (run(capsys, *words, "--json").json["never_regress"] for _ in range(2))
    assert first == second
    assert first["branch"] == f"never-regress/{REQUEST}"
    assert first["item"]["reason"] == "a learner was misled"
    human = run(capsys, *words).out
    assert f"branch never-regress/{REQUEST} makes the baseline require " in human
    assert f"next: git merge never-regress/{REQUEST}" in human
    subprocess.run(["git", "merge", "-q", first["branch"]], cwd=world.root, check=True)
    assert "nothing was changed" in run(capsys, *words).out


@pytest.fixture
def baseline(world: World) -> Iterator[None]:
    """A baseline, without which no entry can be proposed."""
    file = write_baseline(world.root)
    yield
    file.unlink()


def test_incident(world: World, capsys: Capture, tmp_path: Path, baseline: None) -> None:
    done = run(capsys, "incident", REQUEST, "--json", "--md", str(tmp_path / "walk.md"))
    walk = done.json
    assert (done.code, walk["request_id"], walk["found"]) == (0, REQUEST, True)
    shown = run(capsys, "traces", "show", REQUEST, "--json").json
    assert walk["trace"] == {name: value for name, value in shown.items() if name not in ("said", "files")}
    assert walk["trace"]["model_sha"] == world.silent
    assert [answer["n"] for answer in walk["answers"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all({"n", "question", "answer", "status", "evidence", "command"} == set(a) for a in walk["answers"])
    assert walk["suggestion"].startswith("spine route single v0.2.0")
    page = (tmp_path / "walk.md").read_text()
    assert page.startswith(f"# Incident `{REQUEST}`")
    assert page.count("\n| ") == 9
    human = run(capsys, "incident", REQUEST).out
    assert "feedback: dismissed" in human
    assert "✖ false accept" in human
    assert "1 model   ✔ verified" in human
    assert "8 fix     ✔ verified" in human
    assert "suggestion" in human
    assert walk["answers"][0]["command"] not in human.split("suggestion")[0]
    assert f"$ {walk['answers'][0]['command']}" in run(capsys, "incident", REQUEST, "-v").out


def test_incident_of_a_request_that_got_no_answer(
    world: World, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(shutil.copytree(world.root, tmp_path / "copy"))
    monkeypatch.chdir(root)
    more = {"output": None, "accepted": None, "status": 503, "error": "too late"}
    leave_trace(root, "req-late-0001", "went to school", "", **more)
    answer = run(capsys, "incident", "req-late-0001", "--json").json["answers"][0]
    assert (answer["status"], "the request itself failed: 503 too late" in answer["answer"]) == ("verified", True)
    out = run(capsys, "incident", "req-late-0001").out
    assert "“went to school” got no answer: 503 too late" in out
    assert "✖ wrong" not in out
    assert "answered     nothing" in run(capsys, "traces", "show", "req-late-0001").out


def test_a_better_entry_that_answers_learners_already_needs_no_change(tmp_path: Path, capsys: Capture) -> None:
    own = make_world(tmp_path / "own")
    root = str(own.root)
    write_baseline(own.root)
    leave_trace(own.root, "req-00000002", SAID, SAID, "dismissed", source="replay", started_ns=10**18)
    before = run(capsys, "incident", "req-00000002", "--json", "--root", root).json
    with open_spine(own.root) as spine:
        routed = spine.routing.single(own.loud, reason="it shouts").seq
        spine.registry.note("something else", ref=None)
    after = run(capsys, "incident", "req-00000002", "--json", "--root", root).json
    assert before["answers"][7]["evidence"]["verb"] == "route single"
    eighth = after["answers"][7]
    assert eighth["status"] == "verified"
    assert eighth["answer"].startswith(f"already fixed since #{routed}: production v0.2.0")
    assert (eighth["evidence"]["go_to"], eighth["evidence"]["verb"]) == (own.loud, None)
    assert after["suggestion"] == f"no rollback needed: already fixed by v0.2.0 since #{routed} (`spine route show`)"
    human = run(capsys, "incident", "req-00000002", "--root", root).out
    assert "dismissed · replayed · 2001-09-09 01:46:40 UTC" in human
    # At its simulated time nothing was routed: the epoch is what can be looked up.
    epoch = after["answers"][5]["evidence"]["epoch"]
    assert after["answers"][5]["command"] == f"spine route report --epoch {epoch}"


def test_incident_of_nobody(capsys: Capture) -> None:
    check_refused(run(capsys, "incident", "req-nobody"), 2)
    done = run(capsys, "incident", "req-nobody", "--json")
    assert (done.code, done.json["found"], done.json["error"]["code"]) == (2, False, 2)


def test_verify(world: World, capsys: Capture) -> None:
    report = run(capsys, "verify", "--json").json
    assert report["ok"] is True
    assert {c["name"]: c["checked"] for c in report["checks"]} == {
        "chain": 7,
        "schema": 1,
        "events": 7,
        "mark": 1,
        "evidence": 8,
        "bundles": 3,
        "pointers": 3,
        "verdicts": 2,
        "corpora": 2,
        "traces": 1,
        "exports": 0,
    }
    done = run(capsys, "verify", "--checkpoint", report["checkpoint"])
    assert (done.code, done.err) == (0, "")
    assert "✔ checkpoints" in done.out
    assert report["checkpoint"] in done.out


def test_info(world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_MLFLOW", "postgresql://me:secret@host/db")
    done = run(capsys, "info", "--json")
    info = done.json
    assert info["settings"]["workload"] == {"value": "echo", "origin": "SPINE_WORKLOAD"}
    assert info["settings"]["mlflow"] == {"value": "postgresql://me:•••@host/db", "origin": "SPINE_MLFLOW"}
    assert (info["stores"]["ledger"]["holds"], info["stores"]["traces"]["holds"]) == ("7 events", "1 trace")
    assert "secret" not in done.out + run(capsys, "info").out
    assert info["versions"]["modelspine"]


def reading_verbs(world: World) -> list[tuple[str, ...]]:
    """Every verb that only reads."""
    return [
        ("list",), ("show", "v0.1.0"), ("history",), ("route", "show"), ("route", "epochs"), ("route", "report"),
        ("lineage", world.child), ("impact", track_hash(world)), ("corpus", "grep", "v0.2.0", "row", "--limit", "3"),
        ("traces", "list"), ("traces", "show", REQUEST), ("incident", REQUEST, "-v"), ("diff", "v0.1.0", "v0.2.0"),
        ("cost",), ("drift", "show"), ("verify",), ("info",), ("sha", "made/1"),
    ]  # fmt: skip


def track_hash(world: World) -> str:
    with open_spine(world.root, readonly=True) as spine:
        return str(spine.lineage(world.silent).corpus_dvc_hash)


def test_a_pipe_is_one_line_a_row_whatever_the_width(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wrapped or cut for a pipe, so that ``grep`` finds whole rows; no colour, no box."""
    world = make_world(tmp_path / "long")
    monkeypatch.chdir(world.root)
    said = "word " * 60 + "end"
    with open_spine(world.root) as spine:
        spine.registry.note(said, ref="v0.1.0")
        spine.routing.single("v0.2.0", reason=said)
    leave_trace(world.root, "req-long-0001", said, said)
    for words in reading_verbs(world):
        shown = []
        for columns in ("40", "500"):
            monkeypatch.setenv("COLUMNS", columns)
            shown.append(re.sub(r"\b\d+ (s|min)\b", "AGE", run(capsys, *words).out))
        assert shown[0] == shown[1], words
        assert shown[0], words
        assert not re.search("[\x1b│┃─━├└]", shown[0].replace(" ── ", "")), words
    for words in (("history",), ("show", "v0.1.0"), ("route", "epochs"), ("traces", "list")):
        if words != ("show", "v0.1.0"):
            assert any(said in line for line in run(capsys, *words).out.splitlines()), words
    assert len(run(capsys, "history").out.splitlines()) == 1 + 9


@pytest.mark.long
def test_rich_is_loaded_for_a_terminal_alone(world: World) -> None:
    """A pipe and ``--json`` must not wait for it."""
    look = (
        "import sys; from modelspine.cli import main; code = main(sys.argv[1:]); "
        "sys.stderr.write('rich' * ('rich' in sys.modules)); sys.exit(code)"
    )
    for words in (["list"], ["lineage", "v0.1.0"], ["info"], ["list", "--json"], ["history"]):
        done = subprocess.run([sys.executable, "-P", "-c", look, *words], capture_output=True, text=True, check=True)
        assert done.stderr == "", words
    screen, terminal = os.openpty()
    try:
        for words, loaded in ((["list"], True), (["list", "--json"], False)):
            done = subprocess.run(
                [sys.executable, "-P", "-c", look, *words, "--no-color"], stdout=terminal, stderr=subprocess.PIPE,
                text=True, check=True,
            )  # fmt: skip
            assert done.stderr == ("rich" if loaded else ""), words
    finally:
        os.close(screen)
        os.close(terminal)


def test_hostile_text_never_reaches_the_terminal(world: World, tmp_path: Path, capsys: Capture) -> None:
    hostile = make_world(tmp_path / "hostile")
    with open_spine(hostile.root) as spine:
        spine.registry.note(HOSTILE, ref="v0.1.0")
        spine.routing.single("v0.2.0", reason=HOSTILE)
    leave_trace(hostile.root, "req-hostile1", HOSTILE, HOSTILE, features={"length": HOSTILE})
    (hostile.root / "data" / "v1.jsonl").write_text(HOSTILE)
    track_again(hostile.root)
    for words in (
        ("history",), ("show", "v0.1.0"), ("show", "v0.2.0"), ("list",), ("route", "show"), ("traces", "list"),
        ("verify",),
        ("traces", "show", "req-hostile1"), ("incident", "req-hostile1", "-v"), ("lineage", "v0.1.0"), ("info",),
        ("corpus", "grep", "data/v1.jsonl", "."), ("show", HOSTILE), (HOSTILE,), ("traces", "list", "--day", HOSTILE),
        ("incident", HOSTILE), ("--root", HOSTILE, "list"), ("lineage", HOSTILE), ("show", HOSTILE), ("list", HOSTILE),
    ):  # fmt: skip
        done = run(capsys, *words, root=hostile.root if "--root" not in words else None)
        for text in (done.out, done.err):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b]", text), words
    raw = run(capsys, "traces", "show", "req-hostile1", "--json", root=hostile.root)
    assert raw.json["input"] == raw.json["sentence"] == HOSTILE
    assert "\u202e" not in raw.out
    assert "\x1b" not in raw.out


def track_again(root: Path) -> None:
    """Let the .dvc file agree with what stands in v1 now."""
    import hashlib

    raw = (root / "data" / "v1.jsonl").read_bytes()
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    (root / "data" / "v1.jsonl.dvc").write_text(f"outs:\n- md5: {md5}\n  path: v1.jsonl\n")


def test_reading_verbs_write_nothing(world: World, capsys: Capture) -> None:
    with open_spine(world.root, readonly=True) as spine:
        before = spine.ledger.head()
    for words in (["list"], ["show", "production"], ["verify"], ["info"], ["lineage", "production"], ["history"]):
        assert main(words) == 0
    with open_spine(world.root, readonly=True) as spine:
        assert spine.ledger.head() == before


def test_a_walk_that_found_something_wrong_says_so_in_json_too(world: World, capsys: Capture) -> None:
    assert "error" not in run(capsys, "lineage", world.loud, "--json").json
    rows = world.root / "data" / "v2.jsonl"
    whole = rows.read_bytes()
    try:
        for raw, code, kind in ((whole, 3, "unavailable"), (whole + b"{}\n", 5, "damaged")):
            rows.write_bytes(raw)
            done = run(capsys, "lineage", world.loud, "--verify", "--json")
            assert (done.code, done.json["error"]["code"], done.json["error"]["kind"]) == (code, code, kind)
            assert done.json["root"]
    finally:
        rows.write_bytes(whole)


def test_a_time_may_be_an_event_or_words_and_the_start_is_told(world: World, capsys: Capture) -> None:
    events = run(capsys, "history", "--json").json["events"]
    for words in (("--at", "#3"), ("--at", events[2]["at"])):
        assert [each["seq"] for each in run(capsys, "history", *words, "--json").json["events"]] == [1, 2, 3]
    assert run(capsys, "list", "--at", "#3", "--json").json["at"] == events[2]["at"]
    for words in ("-3d", "yesterday 14:00", "2001-01-01"):
        done = run(capsys, "list", "--at", words)
        assert (done.code, "is before the ledger's start: its first event, #1, is of" in done.err) == (0, True), words
    assert run(capsys, "list", "--at", "today").err == ""
    early = run(capsys, "show", "v0.1.0", "--at", "2001-01-01")
    check_refused(early, 2)
    assert "is before the ledger's start" in early.err
    missing = run(capsys, "history", "--at", "#99999")
    check_refused(missing, 2)
    assert "there is no event #99999" in missing.err


def test_two_moments_are_compared(world: World, capsys: Capture) -> None:
    events = run(capsys, "history", "--json").json["events"]
    made = run(capsys, "history", "--since", "#3", "--json").json
    assert [each["seq"] for each in made["events"]] == [each["seq"] for each in events[3:]]
    assert made["changed"]["events"] == len(events) - 3
    out = run(capsys, "history", "--since", "#3").out
    assert out.startswith(made["changed"]["sentence"].split(" to ")[0])
    assert "production    none → v0.1.0" in out
    assert "#3 " not in out.split("seq", 1)[1]
