"""The verbs: what they write, what they refuse, and that nothing is written twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from modelspine.errors import BadInput, BundleRefused, Conflict, Damaged, Refused, Unavailable, UnknownRef
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine

pytestmark = pytest.mark.usefixtures("either_ledger")

Make = Callable[..., Path]


def kinds(spine: Spine) -> list[str]:
    return [event.kind for event in spine.registry.events()]


def test_register_promote_route_reads_as_the_incident_page_writes_it(spine: Spine, make_bundle: Make) -> None:
    registry = spine.registry
    sha = registry.register(make_bundle(1, corpora=[{"path": "c", "dvc_hash": "c" * 32}])).sha
    assert registry.list()[0].status == "pending"
    registry.promote(sha, "v0.1.0")
    assert registry.get(sha).eval_report.accuracy_by_verb["go"] == 0.95  # type: ignore[union-attr]
    assert spine.lineage(sha).corpus_dvc_hash == "c" * 32
    assert kinds(spine) == ["opened", "registered", "promoted", "routed"]
    entry = registry.get("production").entry
    assert (entry.sha, entry.semver, entry.status, entry.production, entry.arms) == (
        sha,
        "v0.1.0",
        "promoted",
        True,
        ("stable",),
    )
    assert entry.accuracy == 0.95


def test_the_same_content_is_one_entry(spine: Spine, make_bundle: Make, tmp_path: Path) -> None:
    first = spine.registry.register(make_bundle(1))
    shutil.copytree(make_bundle(1), tmp_path / "elsewhere")
    again = spine.registry.register(tmp_path / "elsewhere")
    assert (again.sha, again.seq, again.created) == (first.sha, first.seq, False)
    assert kinds(spine) == ["opened", "registered"]


def test_only_the_first_promotion_moves_traffic(spine: Spine, make_bundle: Make) -> None:
    one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(one, "v1.0.0")
    spine.registry.promote(two, "v2.0.0")
    assert spine.registry.state().production == one
    spine.routing.single(two, reason="better")
    assert spine.registry.state().production == two


def test_promoting_twice_is_one_event(spine: Spine, make_bundle: Make) -> None:
    sha = spine.registry.register(make_bundle(1)).sha
    first = spine.registry.promote(sha, "v1.0.0")
    again = spine.registry.promote(sha, "v1.0.0")
    assert (again.seq, again.created) == (first.seq, False)
    assert kinds(spine).count("promoted") == 1


def test_a_semver_never_names_two_entries_and_the_refusal_is_written(spine: Spine, make_bundle: Make) -> None:
    one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(one, "v1.0.0")
    with pytest.raises(Refused, match="a semver is never reused"):
        spine.registry.promote(two, "v1.0.0")
    denied = spine.registry.events()[-1]
    assert denied.kind == "denied"
    assert (denied.body["verb"], denied.body["sha"], denied.body["semver"]) == ("promote", two, "v1.0.0")
    assert spine.registry.state().semvers == {"v1.0.0": one}


def test_no_report_no_promotion(spine: Spine, make_bundle: Make) -> None:
    sha = spine.registry.register(make_bundle(1, report=False)).sha
    with pytest.raises(Refused, match="no evaluation report"):
        spine.registry.promote(sha, "v1.0.0")
    assert spine.registry.state().production is None


def test_a_report_that_was_missing_is_added_by_registering_again(
    spine: Spine, make_bundle: Make, tmp_path: Path
) -> None:
    late, other = (shutil.copytree(make_bundle(1), tmp_path / name) for name in ("late", "other"))
    (late / "eval_report.json").unlink()
    sha = spine.registry.register(late, run_id="run").sha
    assert not spine.registry.register(other).created, "it lacks the run of the first one"
    assert spine.registry.register(other, run_id="run").created
    assert not spine.registry.register(other, run_id="run").created
    spine.registry.promote(sha, "v1.0.0")
    assert spine.registry.get(sha).entry.accuracy == 0.95
    assert kinds(spine) == ["opened", "registered", "registered", "promoted", "routed"]


def test_evidence_is_never_replaced_and_the_receipt_says_so(spine: Spine, make_bundle: Make) -> None:
    folder = make_bundle(1)
    first = spine.registry.register(folder)
    report = json.loads((folder / "eval_report.json").read_text())
    (folder / "eval_report.json").write_text(json.dumps({**report, "total": {"k": 100, "n": 100}}))
    again = spine.registry.register(folder)
    assert (again.created, again.seq) == (False, first.seq)
    assert again.warnings == ("eval_report.json differs from event #2, which stays in force; nothing was replaced",)
    assert spine.registry.get(first.sha).entry.accuracy == 0.95


def test_prod_ledger_takes_no_unsigned_verdict_whatever_the_environment_says(
    tmp_path: Path, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_ledger(load(tmp_path), "prod")
    monkeypatch.setenv("SPINE_ENV", "dev")
    with open_spine(tmp_path) as spine:
        sha = spine.registry.register(make_bundle(1)).sha
        with pytest.raises(Refused, match="signed"):
            spine.registry.promote(sha, "v1.0.0")


def test_the_environment_may_tighten_a_dev_ledger(
    project: Path, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_ENV", "prod")
    with open_spine(project) as spine:
        sha = spine.registry.register(make_bundle(1)).sha
        with pytest.raises(Refused, match="signed"):
            spine.registry.promote(sha, "v1.0.0")


def test_only_promoted_entries_take_traffic(spine: Spine, make_bundle: Make) -> None:
    one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(one, "v1.0.0")
    with pytest.raises(Refused, match="never promoted"):
        spine.routing.single(two, reason="x")
    assert spine.registry.state().production == one


def test_tombstones(spine: Spine, make_bundle: Make) -> None:
    one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(one, "v1.0.0")
    with pytest.raises(Refused, match="is receiving traffic"):
        spine.registry.tombstone(one, reason="x")
    spine.registry.tombstone(two, reason="trained on the wrong rows")
    with pytest.raises(Refused, match="tombstoned: trained on the wrong rows"):
        spine.registry.promote(two, "v2.0.0")
    assert spine.registry.get(two).entry.status == "tombstoned"


def test_corrupt_bytes_are_never_routed_to(spine: Spine, make_bundle: Make) -> None:
    one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(one, "v1.0.0")
    spine.registry.promote(two, "v2.0.0")
    weights = spine.cache.path(two) / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(raw)
    with pytest.raises(Damaged, match="hashes to"):
        spine.routing.single(two, reason="x")
    assert spine.registry.state().production == one
    assert spine.registry.register(make_bundle(2)).created is False
    assert spine.registry.verified(two), "registering the same bundle again replaces the damaged bytes"


def test_an_adapter_is_not_routed_to_over_a_corrupt_parent(spine: Spine, make_bundle: Make) -> None:
    """It answers from its parent's bytes too; a parent that is not here is for its workload to ask for."""
    registry = spine.registry
    first, base = (registry.register(make_bundle(number)).sha for number in (1, 2))
    adapter = registry.register(make_bundle(3, parent=base)).sha
    for number, sha in enumerate((first, adapter)):
        registry.promote(sha, f"v1.{number}.0")
    spine.routing.single(adapter, reason="try")
    spine.routing.single(first, reason="back")
    weights = spine.settings.cache / base / "model.safetensors"
    weights.chmod(0o644)
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + b"\x07")
    head = spine.ledger.head()
    for verb in (spine.routing.rollback, spine.routing.single, spine.routing.canary, spine.routing.shadow):
        with pytest.raises(Damaged, match="hashes to"):
            verb(adapter, reason="again")
    assert spine.ledger.head() == head
    with pytest.raises(Damaged):
        registry.promote(adapter, "v2.0.0")
    shutil.rmtree(weights.parent)
    assert spine.routing.rollback(adapter, reason="again").created


def test_missing_bytes_are_unavailable(spine: Spine, make_bundle: Make) -> None:
    sha = spine.registry.register(make_bundle(1)).sha
    shutil.rmtree(spine.cache.path(sha))
    with pytest.raises(Unavailable, match="not in"):
        spine.registry.promote(sha, "v1.0.0")


def test_expected_seq_is_kept_to(spine: Spine, make_bundle: Make) -> None:
    sha = spine.registry.register(make_bundle(1)).sha
    seq = spine.registry.state().seq
    spine.registry.note("something happened meanwhile")
    with pytest.raises(Conflict):
        spine.registry.promote(sha, "v1.0.0", expected=seq)
    assert spine.registry.state().production is None
    assert spine.registry.promote(sha, "v1.0.0", expected=seq + 1).created


def test_key_makes_a_retry_safe_even_after_the_state_moved(spine: Spine, make_bundle: Make) -> None:
    one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    for sha, semver in ((one, "v1.0.0"), (two, "v2.0.0")):
        spine.registry.promote(sha, semver)
    first = spine.routing.single(two, reason="up", key="k1")
    spine.routing.single(one, reason="down")
    again = spine.routing.single(two, reason="up", key="k1")
    assert (again.seq, again.created) == (first.seq, False)
    assert spine.registry.state().production == one
    with pytest.raises(Conflict, match="already used"):
        spine.routing.single(one, reason="up", key="k1")


def test_two_processes_worth_of_registries_agree(project: Path, make_bundle: Make) -> None:
    with open_spine(project) as left, open_spine(project) as right:
        sha = left.registry.register(make_bundle(1)).sha
        assert right.registry.get(sha).entry.sha == sha
        right.registry.promote(sha, "v1.0.0")
        assert left.registry.state().production == sha


def test_evidence_about_another_bundle_is_refused(spine: Spine, make_bundle: Make) -> None:
    folder = make_bundle(1)
    report = json.loads((folder / "eval_report.json").read_text())
    (folder / "eval_report.json").write_text(json.dumps({**report, "entry_sha": "b" * 64}))
    with pytest.raises(BundleRefused, match="is about bbbbbbbbbbbb"):
        spine.registry.register(folder)
    assert spine.registry.list() == []


def test_unregistered_parent_is_a_warning(spine: Spine, make_bundle: Make) -> None:
    receipt = spine.registry.register(make_bundle(1, parent="b" * 64))
    assert "bbbbbbbbbbbb is not registered" in receipt.warnings[0]
    parent_hop = spine.lineage(receipt.sha).root.children[-1]
    assert (parent_hop.kind, parent_hop.status) == ("entry", "missing")


def test_the_past(spine: Spine, make_bundle: Make) -> None:
    one = spine.registry.register(make_bundle(1)).sha
    spine.registry.promote(one, "v1.0.0")
    then = spine.registry.events()[-1].at
    two = spine.registry.register(make_bundle(2)).sha
    spine.registry.promote(two, "v2.0.0")
    assert [entry.sha for entry in spine.registry.list(at=then)] == [one]
    with pytest.raises(UnknownRef):
        spine.registry.get("v2.0.0", at=then)


def test_notes(spine: Spine, make_bundle: Make) -> None:
    sha = spine.registry.register(make_bundle(1)).sha
    spine.registry.note("looks fine", ref=sha[:8])
    assert spine.registry.get(sha).history[-1].body["text"] == "looks fine"
    with pytest.raises(BadInput):
        spine.registry.note("   ")
    with pytest.raises(BadInput, match="the limit is 1024"):
        spine.registry.note("x" * 2000)


def test_a_readonly_spine_changes_nothing(project: Path, make_bundle: Make) -> None:
    with open_spine(project, readonly=True) as spine:
        with pytest.raises(Unavailable):
            spine.registry.register(make_bundle(1))
        assert kinds(spine) == ["opened"]


@pytest.fixture
def three(spine: Spine, make_bundle: Make) -> list[str]:
    """v1 was stable, v2 is stable, v3 is promoted and never took traffic."""
    shas = [spine.registry.register(make_bundle(n)).sha for n in (1, 2, 3)]
    for number, sha in enumerate(shas, 1):
        spine.registry.promote(sha, f"v{number}.0.0")
    spine.routing.single(shas[1], reason="newer")
    return shas


def test_rollback_goes_back_and_holds_what_it_leaves(spine: Spine, three: list[str]) -> None:
    receipt = spine.routing.rollback("v1.0.0", reason="accepts goed")
    state = spine.registry.state()
    assert state.production == three[0]
    assert (state.entries[three[1]].status, state.entries[three[1]].held) == ("held", "accepts goed")
    assert [event.kind for event in spine.registry.events()[-2:]] == ["rolled_back", "held"]
    again = spine.routing.rollback("v1.0.0", reason="again")
    assert (again.seq, again.created) == (receipt.seq, False)


def test_what_is_held_takes_no_traffic_until_it_is_released(spine: Spine, three: list[str]) -> None:
    spine.routing.rollback(three[0], reason="bad")
    for move in (spine.routing.single, spine.routing.rollback):
        with pytest.raises(Refused, match="is on hold: bad"):
            move(three[1], reason="x")
    with pytest.raises(Refused, match="is on hold"):
        spine.registry.promote(three[1], "v9.0.0")
    spine.registry.release(three[1], reason="it was the corpus")
    spine.routing.single(three[1], reason="back")
    assert spine.registry.state().production == three[1]
    with pytest.raises(Refused, match="is not on hold"):
        spine.registry.release(three[1], reason="x")


def test_rollback_refuses_what_never_was_stable_or_does_not_verify(
    spine: Spine, three: list[str], make_bundle: Make
) -> None:
    with pytest.raises(Refused, match="was never the stable arm"):
        spine.routing.rollback(three[2], reason="x")
    pending = spine.registry.register(make_bundle(4)).sha
    with pytest.raises(Refused, match="never promoted"):
        spine.routing.rollback(pending, reason="x")
    weights = spine.cache.path(three[0]) / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(Damaged):
        spine.routing.rollback(three[0], reason="x")
    assert spine.registry.state().production == three[1]
    assert spine.registry.state().entries[three[1]].held is None


@pytest.mark.parametrize("blank", ["", "  "])
def test_nothing_changes_for_no_reason(spine: Spine, three: list[str], blank: str) -> None:
    before = spine.registry.state().seq
    for change in (spine.routing.single, spine.routing.rollback, spine.registry.tombstone):
        with pytest.raises(BadInput, match="needs a reason"):
            change(three[0], reason=blank)
    with pytest.raises(BadInput, match="needs a reason"):
        spine.registry.promote(three[2], "v9.0.0", reason=blank)
    assert spine.registry.state().seq == before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("a/model.safetensors", "b/model.safetensors"), "only folders (a, b): are these several models?"),
        (("config.json", "1_Pooling/config.json", "vocab.txt"), "a config.json and no weights"),
        (("config.json", "onnx/model.onnx"), None),
        (("MLmodel", "model.pkl"), None),
        (("only/model.pkl",), None),
        (("modules.json", "0_Dense/pytorch_model.bin", "1_Dense/pytorch_model.bin"), None),
    ],
)
def test_a_folder_that_looks_like_the_wrong_one_is_doubted(
    spine: Spine, tmp_path: Path, files: tuple[str, ...], said: str | None
) -> None:
    folder = tmp_path / "model"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            save_file({name[0]: np.zeros(2, "float32")}, folder / name)
        else:
            (folder / name).write_text("{}")
    warnings = spine.registry.register(folder).warnings
    assert [said in warning for warning in warnings] == ([True] if said else [])
    assert spine.registry.register(folder).warnings == (), "it is said once"
