"""The mirror in MLflow: it shows what the ledger says, and can neither stop nor slow down for good what it mirrors."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelspine.cli import main
from modelspine.registry.mlflow_mirror import Mirror, show
from modelspine.spine import open_spine

Make = Callable[..., Path]
MODEL = "grammar-tutor"


def warned(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The warnings of the last command about MLflow; these bundles were never loaded, and every promotion says so."""
    said = json.loads(capsys.readouterr().out)["warnings"]
    return [warning for warning in said if not warning.startswith("load not checked")]


def test_it_shows_what_is_promoted_and_routed(
    project: Path, make_bundle: Make, mlflow_database: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A promotion mirrors itself, in its own process; the moves after it are mirrored here, to load MLflow once."""
    monkeypatch.chdir(project)
    shutil.copy(mlflow_database, project / ".spine" / "mlflow.db")
    with open_spine(project) as spine:
        run_id = spine.artifacts.put(make_bundle(1), experiment="e", name="n", tags={})
        one = spine.registry.register_pending(run_id).sha
        two = spine.registry.register(make_bundle(2)).sha
        spine.registry.promote(one, "v1.0.0")  # no mirror yet: the next change makes that good
        client = spine.artifacts.client()
        assert list(client.search_registered_models()) == []
        monkeypatch.setenv("SPINE_MIRROR", MODEL)
        assert main(["promote", two, "--semver", "v2.0.0", "--reason", "x", "--json"]) == 0
        assert warned(capsys) == []

        def shown() -> str:
            return str(client.get_model_version_by_alias(MODEL, "production").tags["spine.sha"])

        found = {v.tags["spine.semver"]: v for v in client.search_model_versions(f"name='{MODEL}'")}
        assert (found["v1.0.0"].source, found["v1.0.0"].run_id) == (f"runs:/{run_id}/bundle", run_id)
        assert found["v2.0.0"].source == spine.cache.path(two).as_uri()
        assert shown() == one
        mirror = Mirror(MODEL, spine.settings.mlflow, spine.settings.cache)
        spine.routing.single(two, reason="better")
        show(mirror.job(spine.registry.state()), spine.artifacts)
        assert shown() == two
        client.delete_registered_model(MODEL)
        spine.routing.rollback(one, reason="back")
        spine.registry.promote(one, "v1.1.0")
        for _ in range(2):
            show(mirror.job(spine.registry.state()), spine.artifacts)
        assert shown() == one
        versions = client.search_model_versions(f"name='{MODEL}'")
        assert sorted(v.tags["spine.semver"] for v in versions) == ["v1.1.0", "v2.0.0"]


def test_mlflow_gone_is_a_warning(
    project: Path, make_bundle: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("SPINE_MIRROR", MODEL)
    with open_spine(project) as spine:
        one, two = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    promote = ["promote", one, "--semver", "v1.0.0", "--reason", "x", "--json"]
    assert main(promote) == 0
    (warning,) = warned(capsys)
    assert warning.startswith(f"MLflow's {MODEL} was not updated: there is no MLflow store at ")
    assert "the ledger is unaffected" in warning
    assert not (project / ".spine" / "mlflow.db").exists()
    assert main(promote) == 0
    assert warned(capsys) == []
    assert main(["promote", two, "--semver", "v2.0.0", "--reason", "x"]) == 0
    for words in (["route", "single", two], ["rollback", one]):
        assert main([*words, "--reason", "x"]) == 0
        assert f"! MLflow's {MODEL} was not" in capsys.readouterr().out
    assert main(["note", "no pointer moves", "--json"]) == 0
    assert warned(capsys) == []


def test_mlflow_that_hangs_is_a_warning(project: Path, make_bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SPINE_MIRROR", MODEL)
        monkeypatch.setenv("SPINE_MLFLOW", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(
            "modelspine.registry.mlflow_mirror.Mirror.__init__.__kwdefaults__", {"deadline": 0.5}, raising=True
        )
        with open_spine(project) as spine:
            sha = spine.registry.register(make_bundle(1)).sha
            done = spine.registry.promote(sha, "v1.0.0")
            assert "longer than 0.5 s" in " ".join(done.warnings)
            assert spine.registry.state().production == sha


@pytest.mark.parametrize("name", ["", "a/b", "x" * 90, "it's"])
def test_a_name_mlflow_could_not_take_is_refused(project: Path, name: str, monkeypatch: Any) -> None:
    from modelspine.errors import BadInput

    (project / "spine.toml").write_text(f"mirror = {json.dumps(name)}\n")
    with pytest.raises(BadInput, match="mirror"):
        open_spine(project)
