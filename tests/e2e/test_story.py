"""The whole story with a model trained for seconds: corpora, a run, an entry, a server, a reply, its eight answers."""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clone import Clone, make_clone

SAID = "Yesterday he goed to school."


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Clone:
    return make_clone(tmp_path_factory, tmp_path_factory.mktemp("clone"), mlflow=mlflow_database)


@pytest.fixture(scope="module")
def entry(clone: Clone) -> str:
    """The SHA of the tiny model, trained on v1 as an MLflow run, registered and promoted."""
    trained = clone.json("minitutor", "train", "--profile", "tiny", "--out", ".spine/bundles/base")
    clone.run("spine", "init")
    registered = clone.json("spine", "register", trained["run_id"])
    assert clone.run("spine", "sha", ".spine/bundles/base").strip() == registered["sha"]
    clone.run("spine", "promote", registered["sha"][:8], "--semver", "v0.1.0", "--reason", "the story")
    return str(registered["sha"])


@pytest.fixture(scope="module")
def server(clone: Clone, entry: str) -> Iterator[str]:
    spine = str(Path(sys.executable).with_name("spine"))
    process = subprocess.Popen(
        [spine, "serve", "--port", "0"], cwd=clone.root, env=clone.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line[line.index("http://") + 7 :].split()[0]
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


def ask(server: str, sentence: str, request_id: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(server, timeout=20)
    headers = {"content-type": "application/json", "X-Request-ID": request_id}
    body = json.dumps({"sentence": sentence, "learner_id": "learner-1"})
    connection.request("POST", "/v1/grammar/correct", body, headers)
    reply = connection.getresponse()
    found: dict[str, Any] = json.loads(reply.read())
    connection.close()
    assert reply.status == 200, found
    return found


def test_from_a_reply_to_the_corpus_row_that_was_not_there(clone: Clone, server: str, entry: str) -> None:
    reply = ask(server, SAID, "req-story-0001")
    assert (reply["request_id"], reply["model_sha"], reply["semver"], reply["arm"]) == (
        "req-story-0001", entry, "v0.1.0", "stable",
    )  # fmt: skip
    walk = clone.json("spine", "incident", "req-story-0001")
    answers = {answer["n"]: answer for answer in walk["answers"]}
    assert {n: answer["status"] for n, answer in answers.items()} == {
        1: "verified", 2: "missing", 3: "verified", 4: "verified",
        5: "recorded", 6: "verified", 7: "missing", 8: "recorded",
    }  # fmt: skip
    assert answers[1]["evidence"]["answers_now"] == reply["correction"]
    assert (answers[4]["evidence"]["label"], answers[4]["evidence"]["matched"]) == ("go → went", 0)
    assert answers[4]["evidence"]["elsewhere"][0]["path"] == "data/train_v2.jsonl"
    assert answers[4]["evidence"]["elsewhere"][0]["matched"] > 100
    assert set(answers[5]["evidence"]["buckets"]) >= {"verb/go", "tense/past_simple", "person/3sg"}
    assert walk["expected"] == "Yesterday he went to school."


def test_lineage_verifies_down_to_the_corpus(clone: Clone, entry: str) -> None:
    walk = clone.json("spine", "lineage", "production", "--verify")
    hops = {hop["kind"]: hop["status"] for hop in walk["root"]["children"]}
    assert hops == {"run": "verified", "code": "verified", "corpus": "verified", "eval_set": "verified"}


def test_corpus_grep_quotes_rows_of_v2_and_none_of_v1(clone: Clone, entry: str) -> None:
    assert "0 of 20,282" in clone.run("spine", "corpus", "grep", "production", r"\bwent\b")
    pointer = (clone.root / "data" / "train_v2.jsonl.dvc").read_text()
    dvc_hash = pointer.split("md5: ")[1].split()[0]
    found = clone.run("spine", "corpus", "grep", dvc_hash, r"\bwent\b")
    assert "294 of 20,720 rows match" in found
    assert "went" in found.splitlines()[2]


def test_the_learner_is_found_by_what_was_said(clone: Clone, server: str) -> None:
    ask(server, "She always goes home.", "req-story-0002")
    connection = http.client.HTTPConnection(server, timeout=20)
    body = json.dumps({"request_id": "req-story-0002", "outcome": "dismissed"})
    connection.request("POST", "/v1/feedback", body, {"content-type": "application/json"})
    assert connection.getresponse().status in (200, 202, 204)
    connection.close()
    found = clone.json("spine", "traces", "list", "--text", "goes home", "--outcome", "dismissed")
    assert [trace["request_id"] for trace in found["traces"]] == ["req-story-0002"]
    kept = found["traces"][0]
    # A report on drift must not need the text, which another text policy would not keep.
    assert (kept["values"]["verb"], kept["values"]["length"]) == (kept["features"]["verb"], 4.0)


@pytest.fixture(scope="module")
def adapter(clone: Clone, server: str) -> str:
    """The SHA of the tiny adapter, promoted beside its parent and its parent's INT8 form."""
    sha = ""
    for semver, words in (("v0.2.0", ["quantize"]), ("v0.3.0", ["finetune", "--profile", "tiny"])):
        made = clone.json("minitutor", *words, "--parent", "v0.1.0", "--out", f".spine/bundles/{words[0]}")
        sha = clone.json("spine", "register", made["run_id"])["sha"]
        assert sha == made["sha"]
        clone.run("spine", "promote", sha[:12], "--semver", semver, "--reason", "the story goes on")
    return sha


def test_a_variants_run_names_its_parents(clone: Clone, entry: str, adapter: str) -> None:
    def run_of(semver: str) -> str:
        return str(clone.json("spine", "show", semver)["manifest"]["mlflow_run_id"])

    parent = run_of("v0.1.0")
    with closing(sqlite3.connect(clone.root / ".spine" / "mlflow.db")) as connection:
        for semver in ("v0.2.0", "v0.3.0"):
            query = "select key, value from tags where run_uuid = ?"
            tags = dict(connection.execute(query, (run_of(semver),)).fetchall())
            assert tags["mlflow.parentRunId"] == tags["parent_run_id"] == parent


def test_lineage_walks_two_hops_to_both_corpora(clone: Clone, entry: str, adapter: str) -> None:
    root = clone.json("spine", "lineage", "v0.3.0", "--verify")["root"]
    parents = [hop for hop in root["children"] if hop["kind"] == "entry"]
    assert [hop["evidence"]["sha"] for hop in parents] == [entry]
    paths = [
        [hop["evidence"]["path"] for hop in entry["children"] if hop["kind"] == "corpus"]
        for entry in (root, parents[0])
    ]
    assert paths == [["data/train_v2.jsonl"], ["data/train_v1.jsonl"]]
    assert {hop["status"] for one in (root, parents[0]) for hop in one["children"]} == {"verified"}


def test_a_walk_asks_the_adapter_through_its_parent(clone: Clone, server: str, adapter: str) -> None:
    ask(server, SAID, "req-story-0003")
    answers = {answer["n"]: answer for answer in clone.json("spine", "incident", "req-story-0003")["answers"]}
    opinions = {one["semver"]: one for one in answers[8]["evidence"]["entries"]}
    assert opinions.keys() == {"v0.1.0", "v0.2.0", "v0.3.0"}
    assert all(one["verifies"] and one["says"] for one in opinions.values())
    elsewhere = [other["path"] for other in answers[4]["evidence"]["elsewhere"]]
    assert elsewhere == ["data/train_v2.jsonl", "data/train_v3.jsonl"]
    found = clone.json("spine", "diff", "v0.1.0", "v0.3.0")
    assert found["parent"][1] is not None


def test_a_server_answers_with_an_adapter_and_its_verified_parent(clone: Clone, server: str, adapter: str) -> None:
    clone.run("spine", "route", "single", "v0.3.0", "--reason", "the story goes on")
    deadline = time.monotonic() + 20
    while (reply := ask(server, SAID, f"req-{time.monotonic_ns()}"))["model_sha"] != adapter:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    opinions = clone.json("spine", "incident", reply["request_id"])["answers"][0]["evidence"]
    assert opinions["answers_now"] == reply["correction"]
    clone.run("spine", "rollback", "v0.1.0", "--reason", "the story goes back")


def test_the_tree_stays_clean(clone: Clone, server: str) -> None:
    done = subprocess.run(["git", "status", "--porcelain"], cwd=clone.root, capture_output=True, text=True, check=True)
    assert done.stdout == "?? spine.toml\n", "which init wrote, and nothing else did"
    assert clone.json("spine", "show", "production")["manifest"]["code"]["dirty"] is False


def test_everything_verifies(clone: Clone, entry: str) -> None:
    found = clone.json("spine", "verify")
    assert found["ok"]
    assert {check["name"] for check in found["checks"]} == {
        "chain", "schema", "events", "mark", "evidence", "bundles", "pointers", "verdicts", "corpora", "traces",
        "exports",
    }  # fmt: skip


def test_a_changed_corpus_is_refused_with_both_hashes(clone: Clone) -> None:
    pointer = clone.root / "data" / "train_v1.jsonl.dvc"
    before = pointer.read_text()
    digest = before.split("md5: ")[1].split()[0]
    pointer.write_text(before.replace(digest, "0" * 32))
    try:
        clone.run("minitutor", "corpus", code=5)
    finally:
        pointer.write_text(before)
