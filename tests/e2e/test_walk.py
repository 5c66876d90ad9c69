"""The walk over real stores: a corpus under DVC, a run in MLflow, a trace, and a second workload."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bundles import write_baseline, write_bundle
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.errors import Damaged, Unavailable, UnknownRef
from modelspine.ledger.route import assign
from modelspine.lineage.walker import Hop
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine
from modelspine.times import ledger_time

V1 = [{"id": str(n), "text": f"row {n}"} for n in range(50)]
V2 = [*V1, {"id": "went", "text": "he WENT"}, {"id": "also", "text": "she WENT"}]
SAID = "went to school"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Path:
    """Two corpora under DVC, a bundle trained on the first logged into an MLflow run, promoted as v0.1.0."""
    root = tmp_path_factory.mktemp("world")
    environment = {
        "HOME": str(root),
        "PATH": _path(),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(root / ".site"),
    }
    environment |= {f"GIT_{r}_{w}": "t@example.org" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}

    def sh(*words: str) -> None:
        subprocess.run(words, cwd=root, env=environment, check=True, capture_output=True)

    sh("git", "init", "-q")
    sh("dvc", "init", "-q")
    (root / "data").mkdir()
    for name, rows in (("v1", V1), ("v2", V2)):
        (root / "data" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sh("dvc", "add", "-q", "data/v1.jsonl", "data/v2.jsonl")
    sh("git", "add", "-A")
    sh("git", "commit", "-qm", "corpora")
    (root / "spine.toml").write_text('workload = "echo"\n')
    create_ledger(load(root, environ={}), "dev")
    shutil.copy(mlflow_database, root / ".spine" / "mlflow.db")
    return root


@pytest.fixture
def spine(world: Path, echo: None) -> Iterator[Spine]:
    with open_spine(world) as opened:
        yield opened


def _path() -> str:
    import os
    import sys

    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def md5(rows: list[dict[str, str]]) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sha256(rows: list[dict[str, str]]) -> str:
    return hashlib.sha256("".join(json.dumps(row) + "\n" for row in rows).encode()).hexdigest()


def corpus(name: str, rows: list[dict[str, str]]) -> dict[str, object]:
    return {"path": f"data/{name}.jsonl", "dvc_hash": md5(rows), "sha256": sha256(rows), "rows": len(rows)}


@pytest.fixture(scope="module")
def silent(world: Path) -> str:
    """The SHA of v0.1.0: it leaves every text alone, and was trained on v1; registered from its MLflow run."""
    with open_spine(world) as spine:
        folder = write_bundle(world / ".spine" / "made-1", -1, corpora=[corpus("v1", V1)])
        run_id = spine.artifacts.put(folder, experiment="echo", name="silent", tags={})
        receipt = spine.registry.register_pending(run_id)
        assert spine.registry.get(receipt.sha).entry.run_id == run_id
        spine.registry.promote(receipt.sha, "v0.1.0")
        return receipt.sha


def answered(spine: Spine, request_id: str, text: str, said: str, **more: object) -> Trace:
    """Leave the trace a server would have left."""
    route = spine.registry.route()
    assert route is not None
    arm = route.stable
    trace = Trace(
        request_id=request_id,
        trace_id="0" * 32,
        span_id="0" * 16,
        started_ns=time.time_ns(),
        entry_sha=arm.sha,
        intended_sha=arm.sha,
        semver=arm.semver,
        assignment=assign(route, "learner-1", sticky=True),
        input=text,
        output=said,
        accepted=said == text,
        features={"length": "3"},
    )
    trace = msgspec.structs.replace(trace, **more)
    writer = TraceWriter(spine.settings.traces)
    writer.submit(trace).result(5)
    writer.close()
    return trace


def statuses(spine: Spine, request_id: str) -> dict[int, str]:
    return {finding.n: finding.status for finding in spine.incident(request_id).answers}


def test_the_eight_answers(spine: Spine, silent: str) -> None:
    answered(spine, "req-00000001", SAID, SAID)
    walk = spine.incident("req-00000001")
    got = {finding.n: finding for finding in walk.answers}
    assert list(got) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {n: finding.status for n, finding in got.items()} == {
        1: "verified", 2: "missing", 3: "verified", 4: "verified",
        5: "recorded", 6: "verified", 7: "missing", 8: "recorded",
    }  # fmt: skip
    assert got[1].evidence["sha"] == silent
    assert got[1].evidence["answers_now"] == SAID
    assert got[3].evidence["corpora"][0]["rows"] == 50
    assert (got[4].evidence["matched"], got[4].evidence["quoted"]) == (0, [])
    other = got[4].evidence["elsewhere"][0]
    quoted = other.pop("quoted")
    assert [row["row"] for row in quoted] == [51, 52]
    assert other | {"dvc_hash": ""} == {
        "path": "data/v2.jsonl",
        "dvc_hash": "",
        "matched": 2,
        "rows": 52,
    }
    assert got[5].evidence["buckets"] == {"verb/go": {"k": 47, "n": 50}}
    assert "no other entry was promoted" in got[8].answer
    assert spine.traces["req-00000001"].model_sha == silent
    assert spine.traces["req-00000001"].traffic_assignment.arm == "stable"
    assert all(finding.command for finding in walk.answers)


@pytest.fixture
def baseline(world: Path) -> Iterator[Path]:
    """A baseline, without which no entry can be proposed."""
    file = write_baseline(world)
    yield file
    file.unlink()


def test_an_entry_that_the_gate_refuses_is_not_proposed(spine: Spine, world: Path, silent: str, baseline: Path) -> None:
    """It answers this sentence right and forgets many others."""
    loud = write_bundle(world / ".spine" / "made-3", 8, k=60, corpora=[corpus("v2", V2)])
    spine.registry.promote(spine.registry.register(loud).sha, "v0.0.8")
    answered(spine, "req-worse-1", SAID, SAID)
    last = spine.incident("req-worse-1").answers[7]
    assert (last.evidence["go_to"], last.evidence["verb"]) == (None, None)
    assert (
        "answers this correctly, but the gate does not let it replace production: against the baseline" in last.answer
    )
    assert last.evidence["suggestion"].startswith(f"train and promote a model that answers “{SAID.upper()}”")
    baseline.unlink()
    unknown = spine.incident("req-worse-1").answers[7]
    assert "does not let it replace production: there is no baseline to compare with" in unknown.answer
    baseline.touch()  # the fixture removes it


def test_a_better_entry_is_the_fix(spine: Spine, world: Path, silent: str, baseline: Path) -> None:
    loud = spine.registry.register(write_bundle(world / ".spine" / "made-2", 7, corpora=[corpus("v2", V2)])).sha
    spine.registry.promote(loud, "v0.2.0")
    answered(spine, "req-00000002", SAID, SAID)
    last = spine.incident("req-00000002").answers[7]
    assert (last.status, last.evidence["go_to"]) == ("verified", loud)
    assert last.command == "spine route single v0.2.0 --reason req-00000002"
    assert last.answer.endswith("; its bytes are verified and it passes the gate")
    opinions = {opinion["semver"]: opinion["says"] for opinion in last.evidence["entries"]}
    assert opinions == {"v0.0.8": SAID.upper(), "v0.1.0": SAID, "v0.2.0": SAID.upper()}
    rows = spine.corpora.search(spine.lineage(loud).corpus_dvc_hash or "", "WENT")
    assert (rows.matched, rows.shown[0].number) == (2, 51)


def test_an_answer_that_was_right_has_nothing_to_fix(spine: Spine, silent: str) -> None:
    answered(spine, "req-right-1", SAID, SAID.upper())
    last = spine.incident("req-right-1").answers[7]
    assert (last.status, last.evidence["suggestion"]) == ("verified", "nothing to fix: the answer was correct")
    assert last.evidence["go_to"] is None


def test_an_entry_on_hold_is_named_with_its_reason(spine: Spine, world: Path, silent: str, baseline: Path) -> None:
    loud = spine.registry.register(write_bundle(world / ".spine" / "made-5", 7, corpora=[corpus("v2", V2)])).sha
    spine.registry.promote(loud, "v0.2.0")
    spine.routing.single(loud, reason="a test")
    spine.routing.rollback(silent, reason="learners dislike capitals")
    answered(spine, "req-held-1", SAID, SAID)
    last = spine.incident("req-held-1").answers[7]
    assert last.evidence["go_to"] is None, "an entry on hold cannot take traffic"
    assert "v0.2.0" in last.answer
    assert "answers this correctly but is on hold: " in last.answer
    assert "learners dislike capitals" in last.answer
    assert last.command == "spine release v0.2.0 --reason req-held-1"
    assert "then `spine rollback v0.2.0 --reason req-held-1`" in last.evidence["suggestion"]


def test_it_says_where_production_fails_as_the_held_entry_did(
    spine: Spine, world: Path, silent: str, baseline: Path
) -> None:
    other = spine.registry.register(write_bundle(world / ".spine" / "made-6", -2, corpora=[corpus("v1", V1)])).sha
    spine.registry.promote(other, "v0.7.0")
    spine.routing.single(other, reason="a test")
    answered(spine, "req-both-1", SAID, SAID)
    spine.routing.rollback(silent, reason="a test")
    last = spine.incident("req-both-1").answers[7]
    assert "(v0.7.0, which answered, is on hold; production v0.1.0 is wrong about this input too)" in last.answer


def test_a_mistake_of_an_entry_tried_beside_production_is_not_called_fixed(
    spine: Spine, world: Path, silent: str, baseline: Path
) -> None:
    loud = spine.registry.register(write_bundle(world / ".spine" / "made-9", 9, corpora=[corpus("v2", V2)])).sha
    spine.registry.promote(loud, "v0.9.0")
    spine.routing.single(loud, reason="a test")
    spine.routing.ab(silent, reason="a test")
    candidate = {"entry_sha": silent, "intended_sha": silent, "semver": "v0.1.0"}
    answered(spine, "req-tried-1", SAID, SAID, **candidate)
    running = spine.incident("req-tried-1").answers[7]
    assert "but v0.1.0 still gets traffic beside it" in running.answer
    assert (running.command, running.evidence["go_to"]) == ("spine route abort --reason req-tried-1", None)
    spine.routing.abort(reason="a test")
    over = spine.incident("req-tried-1").answers[7]
    assert over.answer.endswith("its bytes are verified; v0.1.0 no longer gets traffic")
    assert over.evidence["go_to"] == loud
    spine.registry.release(silent, reason="a test")
    spine.routing.rollback(silent, reason="a test")


def test_who_could_not_be_asked_did_not_answer_wrongly(
    spine: Spine, world: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = spine.registry.register(write_bundle(world / ".spine" / "made-4", 5, corpora=[corpus("v2", V2)])).sha
    spine.registry.promote(other, "v0.5.0")
    answered(spine, "req-asked-1", SAID, SAID)
    answered(spine, "req-asked-2", SAID, SAID, input=None)
    unkept = spine.incident("req-asked-2").answers[7]
    monkeypatch.setenv("SPINE_WORKLOAD", "gone")
    with open_spine(world) as without:
        unasked = without.incident("req-asked-1").answers[7]
    for found, why in (
        (unkept, "the input was not kept"),
        (unasked, "v0.5.0 cannot be asked: no workload named 'gone'"),
    ):
        assert (found.status, found.evidence["go_to"]) == ("missing", None)
        assert found.answer.startswith(f"no comparison possible: {why}")
        assert found.evidence["suggestion"] == "compare evaluation scores: `spine list`"


def test_what_does_not_hold_is_a_mismatch(spine: Spine, silent: str) -> None:
    answered(spine, "req-00000003", SAID, "something else")
    assert statuses(spine, "req-00000003")[1] == "mismatch"
    trace = answered(spine, "req-00000004", SAID, SAID)
    lied = msgspec.structs.replace(trace.assignment, bucket=(trace.assignment.bucket + 1) % 10_000)
    answered(spine, "req-00000005", SAID, SAID, assignment=lied)
    assert statuses(spine, "req-00000005")[6] == "mismatch"
    answered(spine, "req-semver-1", SAID, SAID, semver="v9.9.9")
    assert statuses(spine, "req-semver-1")[1] == "mismatch", "the entry never had that name"
    foreign = msgspec.structs.replace(trace.assignment, sticky=False)
    answered(spine, "req-unit-1", SAID, SAID, assignment=foreign)
    assert statuses(spine, "req-unit-1")[6] == "mismatch", "a request of nobody's is its own unit"


def test_what_was_not_kept_is_recorded(spine: Spine, silent: str) -> None:
    trace = answered(spine, "req-00000006", SAID, SAID)
    unit_dropped = msgspec.structs.replace(trace.assignment, unit=None)
    answered(spine, "req-00000007", SAID, SAID, assignment=unit_dropped, input=None)
    found = statuses(spine, "req-00000007")
    assert (found[1], found[4], found[6]) == ("verified", "missing", "recorded")


def test_unknown_request(spine: Spine, silent: str) -> None:
    answered(spine, "req-00000008", SAID, SAID)
    with pytest.raises(UnknownRef, match="req-nothing"):
        spine.incident("req-nothing")


def test_tampered_corpus_is_named_with_both_hashes(spine: Spine, world: Path, silent: str) -> None:
    """DVC itself checks such a file out and says that all is up to date."""
    digest = md5(V1)
    cached = world / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    before = cached.read_bytes()
    cached.chmod(0o644)
    cached.write_bytes(before.replace(b"row 7", b"ROW 7"))
    try:
        with pytest.raises(Damaged, match=digest[:12]):
            spine.corpora.search(digest, "row")
        answered(spine, "req-00000009", SAID, SAID)
        found = statuses(spine, "req-00000009")
        assert (found[3], found[4], found[1]) == ("mismatch", "mismatch", "verified")
        assert _hop(spine.lineage(silent, verify=True).root, "corpus").status == "mismatch"
    finally:
        cached.write_bytes(before)


def test_lineage_verifies_every_hop(spine: Spine, silent: str) -> None:
    quick, checked = spine.lineage(silent), spine.lineage(silent, verify=True)
    assert [hop.kind for hop in checked.hops] == ["entry", "run", "code", "corpus", "eval_set"]
    assert _hop(quick.root, "corpus").status == "recorded"
    assert {hop.kind: hop.status for hop in checked.hops} == {
        "entry": "verified", "run": "verified", "code": "recorded", "corpus": "verified", "eval_set": "missing",
    }  # fmt: skip


def test_impact_is_the_recall_list(spine: Spine, world: Path, silent: str) -> None:
    child = spine.registry.register(write_bundle(world / ".spine" / "made-3", 9, parent=silent)).sha
    answered(spine, "req-00000010", SAID, SAID)
    touched = {found.sha: found for found in spine.lineage.impact(md5(V1), spine.traces)}
    assert touched[silent].via == "trained"
    assert touched[child].via == silent
    assert sum(count for _, count in touched[silent].days) >= 1
    with pytest.raises(UnknownRef):
        spine.lineage.impact("f" * 32, spine.traces)


def test_an_old_revision_is_found_in_gits_history(spine: Spine, world: Path) -> None:
    place = spine.corpora.resolve(md5(V2))
    assert (place.path, place.at_head) == ("data/v2.jsonl", True)
    assert len(place.revision) == 40


def _hop(root: Hop, kind: str) -> Hop:
    return next(hop for hop in root.children if hop.kind == kind)


def test_a_copied_folder_still_walks(spine: Spine, world: Path, silent: str, tmp_path: Path, echo: None) -> None:
    """Nothing in .spine/ holds an absolute path that the walk needs, MLflow's artifact URIs included."""
    answered(spine, "req-00000011", SAID, SAID)
    run_id = spine.registry.get(silent).entry.run_id
    assert run_id is not None
    shutil.copytree(world, tmp_path / "copy")
    artifacts = world / ".spine" / "mlartifacts"
    artifacts.rename(world / ".spine" / "gone")
    try:
        with open_spine(tmp_path / "copy") as copy:
            assert copy.registry.register_pending(run_id).sha == silent
            assert copy.incident("req-00000011").answers[0].status == "verified"
        with pytest.raises(UnknownRef, match="no artifact folder"):
            spine.registry.register_pending(run_id)
    finally:
        (world / ".spine" / "gone").rename(artifacts)


def test_unknown_run_and_no_store(spine: Spine, silent: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownRef, match="has no run"):
        spine.registry.register_pending("f" * 32)
    (tmp_path / ".git").mkdir()
    create_ledger(load(tmp_path, environ={}), "dev")
    shutil.rmtree(tmp_path / ".spine" / "mlartifacts", ignore_errors=True)
    with open_spine(tmp_path) as other, pytest.raises(Unavailable, match="MLflow store"):
        other.registry.register_pending("f" * 32)


def test_promoted_entries_serve_and_walk_with_mlflow_and_dvc_gone(spine: Spine, world: Path, silent: str) -> None:
    answered(spine, "req-00000012", SAID, SAID)
    moved = [(world / ".spine" / "mlflow.db", world / "m.gone"), (world / ".dvc" / "cache", world / "c.gone")]
    for here, away in moved:
        here.rename(away)
    (world / "data" / "v1.jsonl").rename(world / "v1.gone")
    try:
        assert spine.registry.verified(silent)
        found = statuses(spine, "req-00000012")
        assert (found[1], found[3], found[4], found[5], found[6]) == (
            "verified", "not_checked", "not_checked", "recorded", "verified",
        )  # fmt: skip
        assert _hop(spine.lineage(silent, verify=True).root, "run").status == "not_checked"
    finally:
        for here, away in moved:
            away.rename(here)
        (world / "v1.gone").rename(world / "data" / "v1.jsonl")


def test_one_broken_piece_of_evidence_hides_nothing_else(
    spine: Spine, world: Path, silent: str, tmp_path: Path
) -> None:
    answered(spine, "req-00000013", SAID, SAID)
    shutil.copytree(world, tmp_path / "copy")
    connection = sqlite3.connect(tmp_path / "copy" / ".spine" / "ledger.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE evidence SET body = body || ' '")
    connection.commit()
    connection.close()
    with open_spine(tmp_path / "copy") as copy:
        found = statuses(copy, "req-00000013")
    assert (found[1], found[3], found[5], found[6]) == ("verified", "mismatch", "mismatch", "verified")


@pytest.mark.parametrize("text", ["{", '{"features": null}', '{"features": {"a": {"psi": "x"}}}', "[]"])
def test_a_drift_report_that_cannot_be_read_is_said(spine: Spine, silent: str, text: str) -> None:
    trace = answered(spine, f"req-drift-{abs(hash(text)) % 10**6:06d}", SAID, SAID)
    file = spine.settings.drift_reports / f"{ledger_time(trace.started_ns)[:10]}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    try:
        assert statuses(spine, trace.request_id)[2] == "mismatch"
    finally:
        file.unlink()
