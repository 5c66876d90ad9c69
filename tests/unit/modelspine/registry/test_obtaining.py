"""Bundles that are not on this machine: from where they are fetched, and what may answer next."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundles import write_bundle
from modelspine.errors import Unavailable
from modelspine.registry import obtaining
from modelspine.registry.manifest import Facts
from modelspine.registry.mlflow_calls import mapped
from modelspine.spine import Spine


def test_an_entry_without_a_run_is_on_this_machine_alone(spine: Spine, make_bundle: Callable[..., Path]) -> None:
    sha = spine.registry.register(make_bundle(1)).sha
    assert spine.registry.is_here(sha)
    shutil.rmtree(spine.settings.cache / sha)
    assert not spine.registry.is_here(sha)
    with pytest.raises(Unavailable, match="names no run to fetch it from") as caught:
        spine.registry.verified(sha)
    assert "spine register DIR" in caught.value.hint


@pytest.mark.long
@pytest.mark.slow
def test_a_bundle_is_fetched_with_the_evidence_that_the_ledger_has(
    spine: Spine, mlflow_database: Path, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """The parent, which is part of the SHA, was said beside the files of the run."""
    shutil.copy(mlflow_database, spine.settings.home / "mlflow.db")
    parent = spine.registry.register(make_bundle(1)).sha
    bare = write_bundle(tmp_path / "bare", 2)
    for name in ("train_manifest.json", "eval_report.json"):
        (bare / name).unlink()
    run_id = spine.artifacts.put(bare, experiment="x", name="x", tags={})
    found = spine.artifacts.find(run_id)
    sha = spine.registry.register_found(found, Facts(parent_sha=parent)).sha
    assert spine.registry.get(sha).entry.parent_sha == parent
    alone = spine.registry.register(make_bundle(3)).sha
    logged = spine.artifacts.put(make_bundle(3), experiment="x", name="x", tags={})
    assert spine.registry.register_pending(logged).created, "a run is added to an entry that names none"
    assert (spine.registry.get(alone).entry.run_id, spine.registry.register_pending(logged).created) == (logged, False)
    shutil.rmtree(spine.settings.cache / sha)
    folder = spine.registry.verified(sha)
    assert folder == spine.settings.cache / sha
    assert parent in (folder / "train_manifest.json").read_text()
    assert list((spine.settings.home / "tmp").iterdir()) == []


def test_a_place_is_added_to_an_entry_and_replaced_once_its_files_are_gone(
    spine: Spine, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelspine.errors import UnknownRef
    from modelspine.registry.mlflow_runs import Artifacts

    runs, gone = iter(("a" * 32, "b" * 32)), False

    def find(_self: Artifacts, _source: str, **_more: object) -> None:
        if gone:
            raise UnknownRef("MLflow has no such run", "look it up")

    monkeypatch.setattr(Artifacts, "put", lambda *_args, **_more: next(runs))
    monkeypatch.setattr(Artifacts, "find", find)
    folder = make_bundle(1)
    sha = spine.registry.register(folder).sha
    assert spine.registry.get(sha).entry.run_id is None
    first = spine.registry.register(folder, log=True)
    assert (first.created, first.logged) == (True, f"runs:/{'a' * 32}/bundle")
    assert spine.registry.get(sha).entry.run_id == "a" * 32
    assert not spine.registry.register(folder, log=True).created
    gone = True
    assert spine.registry.register(folder, log=True).logged == f"runs:/{'b' * 32}/bundle"
    assert spine.registry.get(sha).entry.source == f"runs:/{'b' * 32}/bundle"
    assert not spine.registry.register(folder).created, "and stays without another"
    assert spine.registry.get(sha).entry.source == f"runs:/{'b' * 32}/bundle"


def test_what_may_answer_next_is_the_newest_promoted_entry_and_the_last_stable_one(
    spine: Spine, make_bundle: Callable[..., Path]
) -> None:
    one, two, three = (spine.registry.register(make_bundle(number)).sha for number in (1, 2, 3))
    assert spine.registry.standby() == ()
    spine.registry.promote(one, "v0.1.0")
    assert spine.registry.standby() == ()
    spine.registry.promote(two, "v0.2.0")
    assert spine.registry.standby() == (two,)
    spine.routing.single(two, reason="better")
    assert spine.registry.standby() == (one,)
    spine.registry.promote(three, "v0.3.0")
    assert spine.registry.standby() == (three, one)
    spine.routing.rollback(one, reason="worse")
    assert spine.registry.standby() == (three,), "what is on hold answers nobody"


def test_artifacts_in_s3_without_its_client_say_what_to_install() -> None:
    with pytest.raises(Unavailable, match=r"modelspine\[s3\]"), mapped(""):
        raise ModuleNotFoundError("No module named 'boto3'", name="boto3")


def test_threads_that_need_the_same_bundle_fetch_it_once(
    spine: Spine, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    @contextmanager
    def slow(_url: str, _artifacts: Path, _scratch: Path, source: str, **_more: object) -> Iterator[Path]:
        asked.append(source)
        time.sleep(0.3)
        yield make_bundle(1)

    monkeypatch.setattr(obtaining, "fetched", slow)
    sha = spine.registry.register(make_bundle(1), run_id="a" * 32).sha
    shutil.rmtree(spine.settings.cache / sha)
    with ThreadPoolExecutor(3) as pool:
        assert {folder.name for folder in pool.map(spine.registry.verified, [sha] * 3)} == {sha}
    assert asked == [f"runs:/{'a' * 32}/bundle"]
