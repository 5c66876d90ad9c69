"""``spine verify`` finds what changed beside the ledger: corpora, traces, cached evidence, verdicts."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bundles import write_bundle
from cli_world import REQUEST, World, leave_trace, make_world, run
from modelspine.attestation.keys import Trust, new_key, trusted
from modelspine.attestation.verdict import read_verdict
from modelspine.canonical_json import canonical
from modelspine.git import git_output
from modelspine.ledger.store import Draft
from modelspine.registry.entries import manifest_corpora, registered_body
from modelspine.spine import open_spine
from prod import Prod, make_prod, promote

Capture = pytest.CaptureFixture[str]
Spoil = Callable[[World], None]


def flip(file: Path) -> None:
    """Change its last byte but one."""
    raw = bytearray(file.read_bytes())
    raw[-2] ^= 1
    file.chmod(0o644)
    file.write_bytes(raw)


def spoil_traces(world: World) -> None:
    file = world.root / ".spine" / "traces.db"
    raw = bytearray(file.read_bytes())
    raw[4096 + 8 : 4096 + 200] = b"\xff" * 192
    file.write_bytes(raw)


def cached(world: World, name: str) -> Path:
    return world.root / ".spine" / "cache" / world.loud / name


def add_report(world: World) -> None:
    report = cached(world, "eval_report.json").read_bytes()
    (world.root / ".spine" / "cache" / world.child / "eval_report.json").write_bytes(report)


DAMAGE: dict[str, tuple[str, Spoil, str]] = {
    "a row of a corpus": ("corpora", lambda w: flip(w.root / "data" / "v1.jsonl"), "v1.jsonl has MD5"),
    "a page of the trace store": ("traces", spoil_traces, ""),
    "a report beside weights": ("bundles", lambda w: flip(cached(w, "eval_report.json")), "eval_report.json in its"),
    "a manifest beside weights": (
        "bundles", lambda w: cached(w, "train_manifest.json").write_bytes(b'{"parent_sha": null}'), "train_manifest",
    ),
    "a report where none was registered": ("bundles", add_report, "eval_report.json in its bundle differs"),
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, echo: None) -> World:
    return make_world(tmp_path / "world")


def checks(capsys: Capture, root: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    done = run(capsys, "verify", "--json", root=root)
    return done.code, {check["name"]: check for check in done.json["checks"]}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_changed_beside_the_ledger_is_found(what: str, world: World, capsys: Capture) -> None:
    name, spoil, said = DAMAGE[what]
    assert checks(capsys, world.root)[0] == 0
    spoil(world)
    code, found = checks(capsys, world.root)
    assert code == 5
    assert said in found[name]["problems"][0]
    assert [other for other, check in found.items() if check["problems"]] == [name]
    assert run(capsys, "verify", root=world.root).code == 5


def test_what_is_not_on_this_machine_is_not_checked(world: World, capsys: Capture) -> None:
    (world.root / "data" / "v2.jsonl").unlink()
    (world.root / ".spine" / "traces.db").unlink()
    code, found = checks(capsys, world.root)
    assert code == 0
    assert "not on this machine" in found["corpora"]["not_checked"][0]
    said = run(capsys, "verify", root=world.root).out.splitlines()[-1]
    assert said.startswith("no problem was found, but 1 not checked")
    assert re.search(r": \d+:[0-9a-f]{64}$", said)
    assert found["traces"]["notes"]


def test_what_may_not_be_read_is_not_checked(world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither sound nor damaged: nobody may be told to restore from a backup what another user can read."""
    real = os.open

    def denied(path: Any, *words: Any, **more: Any) -> int:
        if str(path) == "model.safetensors":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", denied)
    code, found = checks(capsys, world.root)
    assert code == 0
    assert [other for other, check in found.items() if check["problems"]] == []
    assert found["bundles"]["checked"] == 0
    assert all("cannot be read: Permission denied; check who" in why for why in found["bundles"]["not_checked"])
    lineage = run(capsys, "lineage", world.loud, "--verify", "--json", root=world.root)
    assert (lineage.code, lineage.json["root"]["status"]) == (3, "not_checked")


def test_the_trace_store_of_a_sound_world_is_read_whole(world: World, capsys: Capture) -> None:
    with sqlite3.connect(world.root / ".spine" / "traces.db") as database:
        (count,) = database.execute("SELECT count(*) FROM requests").fetchone()
    assert checks(capsys, world.root)[1]["traces"]["checked"] == count == 1


def test_an_index_that_does_not_find_a_key_is_found(world: World, capsys: Capture) -> None:
    """Every row is sound; a retry would make a second event of one request all the same."""
    file = world.root / ".spine" / "ledger.db"
    assert run(capsys, "note", "once", "--key", "KEY-TO-FIND", root=world.root).code == 0
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = dict(database.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'index'"))
        (size,) = database.execute("PRAGMA page_size").fetchone()
    begin = (found["sqlite_autoindex_events_2"] - 1) * size
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"KEY-TO-FIND", begin, begin + size)] ^= 1
    file.write_bytes(raw)
    code, checked = checks(capsys, world.root)
    assert (code, [name for name, check in checked.items() if check["problems"]]) == (5, ["chain"])
    assert "the database: " in checked["chain"]["problems"][0]


# verdicts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def prod(tmp_path: Path) -> Prod:
    made = make_prod(tmp_path / "prod")
    sound = made.root / ".spine" / "made" / "corrupt" / "model.safetensors"
    (made.root / ".spine" / "cache" / made.entries["corrupt"] / sound.name).write_bytes(sound.read_bytes())
    return made


def write_promotion(prod: Prod, name: str, body: dict[str, Any]) -> None:
    with open_spine(prod.root) as spine:
        body = {"sha": prod.entries[name], "semver": "v6.6.6", "reason": "past the registry", **body}
        spine.ledger.append([Draft(kind="promoted", body=body)], expected=None)


def test_a_promotion_written_past_the_registry_is_found(prod: Prod, capsys: Capture) -> None:
    assert checks(capsys, prod.root)[0] == 0
    write_promotion(prod, "bad", {"verdict": {"signed": False}})
    code, found = checks(capsys, prod.root)
    assert (code, found["verdicts"]["checked"]) == (5, 2)
    assert "without a signed verdict in a prod ledger" in found["verdicts"]["problems"][0]


def test_a_verdict_of_another_entry_and_one_that_is_gone_are_found(prod: Prod, capsys: Capture) -> None:
    with open_spine(prod.root) as spine:
        digest = spine.ledger.put(prod.signed("good"))
    write_promotion(prod, "bad", {"verdict": {"signed": True, "digest": digest}})
    code, found = checks(capsys, prod.root)
    assert code == 5
    assert "it is about" in found["verdicts"]["problems"][0]
    write_promotion(prod, "bad", {"verdict": {"signed": True, "digest": "0" * 64}})
    assert "evidence" in str(checks(capsys, prod.root)[1]["evidence"]["problems"])


def test_a_removed_key_spoils_what_serves_and_is_a_note_on_what_served(prod: Prod, capsys: Capture) -> None:
    prod.trust(new_key())
    code, found = checks(capsys, prod.root)
    assert code == 5
    assert "differs from the committed version" in found["verdicts"]["problems"][0]
    prod.commit()
    code, found = checks(capsys, prod.root)
    assert code == 5
    assert "not in the trust file" in found["verdicts"]["problems"][0]
    prod.trust(prod.key)
    prod.commit()
    second = new_key()
    envelope = prod.reseal(prod.data(), second)
    prod.trust(prod.key, second)
    prod.commit()
    assert promote(prod, envelope)[0] == 0
    prod.trust(prod.key)
    prod.commit()
    code, found = checks(capsys, prod.root)
    notes = [note for note in found["verdicts"]["notes"] if not note.startswith("not checked")]
    assert (code, len(notes)) == (0, 1)


def forge(prod: Prod, name: str, envelope: bytes, semver: str = "v6.6.6", **more: Any) -> None:
    """A promotion written past the registry, as complete as the registry's own."""
    with open_spine(prod.root) as spine:
        said = read_verdict(envelope, Trust(keys=(trusted(prod.key, name="ci", added="2026-11-01"),)))
        report = said.statement.predicate.candidate.sha256
        verdict = {"signed": True, "digest": spine.ledger.put(envelope), "key": prod.key.id, "report": report, **more}
        body = {"sha": prod.entries[name], "semver": semver, "reason": "past the registry", "verdict": verdict}
        spine.ledger.append([Draft(kind="promoted", body=body)], expected=None)


def passed_anyway(prod: Prod) -> None:
    """CI's own key under a PASS that the counts do not bear out."""
    data = prod.data("bad")
    data["predicate"]["result"] = "pass"
    forge(prod, "bad", prod.reseal(data))


def under_no_policy(prod: Prod) -> None:
    data = prod.data("bad")
    data["predicate"] |= {"result": "pass", "policy": {}, "code": "0" * 40}  # a commit that is not here
    forge(prod, "bad", prod.reseal(data))


def twice(prod: Prod) -> None:
    envelope = prod.signed("good")
    forge(prod, "good", envelope)
    forge(prod, "good", envelope, "v6.6.7")


def head_commit(prod: Prod) -> str:
    return git_output(prod.root, "rev-parse", "HEAD").decode().strip()


def under_a_policy_of_its_own(prod: Prod) -> None:
    """CI's own key under a tolerance that nobody committed; everything else is consistent."""
    data = prod.data("bad")
    policy = data["predicate"]["policy"] | {"tolerance_pp": 50}
    data["predicate"] |= {
        "result": "pass",
        "policy": policy,
        "policy_sha256": hashlib.sha256(canonical(policy)).hexdigest(),
        "code": head_commit(prod),
    }
    forge(prod, "bad", prod.reseal(data))


def against_a_baseline_of_its_own(prod: Prod) -> None:
    data = prod.data("bad")
    data["predicate"]["baseline"] |= {"total": {"k": 10, "n": 100}, "buckets": {}, "sha256": "b" * 64}
    data["predicate"] |= {"result": "pass", "code": head_commit(prod), "stable": None, "floor": None}
    forge(prod, "bad", prod.reseal(data))


def over_counts_of_its_own(prod: Prod) -> None:
    """CI's own key over counts that the kept report, whose digest it names, does not have."""
    good, data = prod.data("good"), prod.data("bad")
    mine = {"sha256": data["predicate"]["candidate"]["sha256"], "entry_sha": prod.entries["bad"]}
    data["predicate"] |= {"result": "pass", "candidate": good["predicate"]["candidate"] | mine}
    forge(prod, "bad", prod.reseal(data))


def after_an_event_past_its_end(prod: Prod) -> None:
    """An expired verdict, brought to life by a clock that was set back."""
    envelope = prod.signed("good", issued=datetime.now(UTC) - timedelta(hours=25))
    with open_spine(prod.root) as spine:
        spine.registry.note("now")
        spine.ledger._clock = lambda: datetime.now(UTC) - timedelta(hours=2)
        said = read_verdict(envelope, Trust(keys=(trusted(prod.key, name="ci", added="2026-11-01"),)))
        verdict = {"signed": True, "digest": spine.ledger.put(envelope), "key": prod.key.id}
        verdict["report"] = said.statement.predicate.candidate.sha256
        body = {"sha": prod.entries["good"], "semver": "v6.6.6", "reason": "x", "verdict": verdict}
        spine.ledger.append([Draft(kind="promoted", body=body)], expected=None)


def two_promoted(prod: Prod) -> None:
    """Two entries promoted against the first one, of which ``good`` then leads."""
    for name, semver in (("good", "v2.0.0"), ("other", "v3.0.0")):
        assert promote(prod, prod.signed(name), "--semver", semver, name=name)[0] == 0
    with open_spine(prod.root) as spine:
        spine.routing.single("v2.0.0", reason="x")


FORGERIES: dict[str, tuple[Callable[[Prod], None], str, str]] = {
    "a pass over failing counts": (passed_anyway, "verdicts", "its own counts give fail"),
    "a pass under no policy": (under_no_policy, "verdicts", "cannot be computed again"),
    "a verdict used twice": (twice, "verdicts", "was used for an earlier promotion"),
    "an expired verdict": (
        lambda p: forge(p, "good", p.signed("good", issued=datetime.now(UTC) - timedelta(days=2))),
        "verdicts", "had expired at",
    ),
    "a policy that nobody committed": (under_a_policy_of_its_own, "verdicts", "another policy than that of commit"),
    "a baseline that nobody committed": (against_a_baseline_of_its_own, "verdicts", ""),
    "counts that no report has": (over_counts_of_its_own, "verdicts", "differ from those of the report"),
    "a clock that was set back": (after_an_event_past_its_end, "verdicts", "before it was written at"),
    "a verdict from the future": (
        lambda p: forge(p, "good", p.signed("good", issued=datetime.now(UTC) + timedelta(hours=2))),
        "verdicts", "was not valid before",
    ),
    "a verdict that compares with nothing": (
        lambda p: forge(p, "good", p.signed("good", stable=None)), "verdicts", "from the one that was in production",
    ),
    "another key beside it": (lambda p: forge(p, "good", p.signed("good"), key="0" * 16), "verdicts", "another key"),
    "a held entry": (lambda p: forge(p, "held", p.signed("held")), "pointers", "is on hold"),
    "a tombstoned entry": (lambda p: forge(p, "buried", p.signed("buried")), "pointers", "is tombstoned"),
    "what the gate refused": (lambda p: forge(p, "gated", p.signed("gated")), "pointers", "failed the gate"),
    "a semver of another": (
        lambda p: forge(p, "good", p.signed("good"), "v1.0.0"), "pointers", "a semver is never reused",
    ),
    "a route to what was never promoted": (lambda p: route(p, "good", "v6.6.6"), "pointers", "was never promoted"),
    "a route under a foreign semver": (lambda p: route(p, "first", "v6.6.6"), "pointers", "never promoted as v6.6.6"),
    "a rollback to what never was stable": (
        lambda p: (forge(p, "good", p.signed("good")), route(p, "good", "v6.6.6", "rolled_back"))[0],
        "pointers", "was never the stable arm",
    ),
    "the end of a canary that never was": (
        lambda p: (two_promoted(p), route(p, "other", "v3.0.0", verb="advance"))[0],
        "pointers", "is in production now",
    ),
    "the abort of a rollout that never was": (
        lambda p: (two_promoted(p), route(p, "other", "v3.0.0", verb="abort"))[0],
        "pointers", "is in production now",
    ),
    "a route to nobody": (lambda p: route(p, "nobody", "v6.6.6"), "pointers", "was never registered"),
    "half of the traffic": (lambda p: route(p, "first", "v1.0.0", weight_bp=5000), "pointers", "do not add up"),
}  # fmt: skip


def route(prod: Prod, name: str, semver: str, kind: str = "routed", weight_bp: int = 10_000, **more: Any) -> None:
    """A route written past the registry."""
    sha = prod.entries.get(name, "7" * 64)
    arms = [{"name": "stable", "sha": sha, "semver": semver, "weight_bp": weight_bp}]
    with open_spine(prod.root) as spine:
        body = {"sha": sha, "strategy": "single", "arms": arms, "reason": "past the registry", **more}
        spine.ledger.append([Draft(kind=kind, body=body)], expected=None)


@pytest.mark.parametrize("what", FORGERIES)
def test_what_the_registry_would_have_refused_is_found_in_the_ledger(what: str, prod: Prod, capsys: Capture) -> None:
    """Events that somebody with write access appended: the chain is whole, and the rules were not kept."""
    write, name, said = FORGERIES[what]
    write(prod)
    code, found = checks(capsys, prod.root)
    assert code == 5
    assert not found["chain"]["problems"]
    assert any(said in problem for problem in found[name]["problems"]), found[name]


def test_a_registration_that_names_another_parent_is_found(world: World, capsys: Capture) -> None:
    bundle = write_bundle(world.root / "made" / "4", 4, report=False)
    cached = open_spine(world.root).cache.add(bundle)
    with open_spine(world.root) as spine:
        body = registered_body(cached, None, spine.ledger.put) | {"parent": world.loud}
        spine.ledger.append([Draft(kind="registered", body=body)], expected=None)
    code, found = checks(capsys, world.root)
    assert (code, len(found["bundles"]["problems"])) == (5, 1)
    assert "other weights, config, assets or parent" in found["bundles"]["problems"][0]


def test_a_corpus_with_its_md5_and_another_sha256_is_found(world: World, capsys: Capture) -> None:
    """MD5 can be made to collide: the SHA-256 of the manifest is what tells."""
    with open_spine(world.root) as spine:
        corpora = [{**manifest_corpora(spine.registry.get(world.loud))[0], "sha256": "0" * 64}]
        sha = spine.registry.register(write_bundle(world.root / "made" / "5", 5, k=95, corpora=corpora)).sha
        spine.registry.promote(sha, "v0.3.0", reason="x")
        spine.routing.single(sha, reason="x")
    code, found = checks(capsys, world.root)
    assert code == 5
    assert "its manifest says 000000000000" in found["corpora"]["problems"][0]
    leave_trace(world.root, "req-collided-1", "he went", "HE WENT")
    walked = run(capsys, "incident", "req-collided-1", "--json", root=world.root).json["answers"]
    assert [walked[n]["status"] for n in (2, 3)] == ["mismatch", "mismatch"]


# what could not be looked at -------------------------------------------------------------------------------------


def last_line(capsys: Capture, root: Path) -> tuple[int, str]:
    done = run(capsys, "verify", root=root)
    line = done.out.splitlines()[-1]
    assert re.search(r"[: ]\d+:[0-9a-f]{64}$", line), "the last line always ends in the ledger's head"
    return done.code, line


def test_all_sound_is_only_said_where_everything_was_read(world: World, prod: Prod, capsys: Capture) -> None:
    assert [last_line(capsys, root)[1][:11] for root in (world.root, prod.root)] == ["all sound; "] * 2


def test_in_prod_no_verdict_counts_as_checked_where_git_refuses(
    prod: Prod, capsys: Capture, failing_git: Callable[[str], None]
) -> None:
    assert promote(prod, prod.signed("good"))[0] == 0
    prod.trust(new_key())  # on disk only: whoever reads that file instead of the committed one finds other keys
    failing_git("fatal: detected dubious ownership in repository")
    code, found = checks(capsys, prod.root)
    assert (code, found["committed"]["checked"], found["committed"]["required"]) == (3, 0, True)
    for name in ("committed", "verdicts"):
        assert "it says: fatal: detected dubious ownership" in found[name]["not_checked"][0]
        assert not found[name]["problems"]
    code, line = last_line(capsys, prod.root)
    assert (code, line.startswith("git does not say what is committed")) == (3, True)
    kept = prod.root / "witness.txt"
    assert run(capsys, "verify", "--witness", str(kept), "--keep", root=prod.root).code == 3
    assert not kept.exists()


def test_a_prod_project_without_git_is_checked_and_not_called_sound(prod: Prod, capsys: Capture) -> None:
    shutil.rmtree(prod.root / ".git")
    code, found = checks(capsys, prod.root)
    assert (code, found["committed"]["required"]) == (0, False)
    assert "there is no git repository here" in found["committed"]["not_checked"][0]
    assert last_line(capsys, prod.root)[1].startswith("no problem was found, but ")


def test_a_corpus_is_not_checked_where_git_refuses(
    world: World, capsys: Capture, failing_git: Callable[[str], None]
) -> None:
    failing_git("fatal: detected dubious ownership in repository")
    code, found = checks(capsys, world.root)
    assert (code, found["corpora"]["checked"]) == (0, 0)
    assert "dubious ownership" in found["corpora"]["not_checked"][0]
    assert last_line(capsys, world.root)[1].startswith("no problem was found, but 1 not checked")
    done = run(capsys, "lineage", "v0.2.0", "--verify", "--json", root=world.root)
    hops = {hop["kind"]: hop for hop in done.json["root"]["children"]}
    assert (done.code, hops["corpus"]["status"]) == (3, "not_checked")
    assert "dubious ownership" in hops["corpus"]["evidence"]["why"]
    assert "safe.directory" in hops["corpus"]["evidence"]["hint"]
    walked = {each["n"]: each for each in run(capsys, "incident", REQUEST, "--json", root=world.root).json["answers"]}
    for number in (3, 4):
        assert walked[number]["status"] == "not_checked"
        assert "dubious ownership" in walked[number]["answer"]
