"""The committed vectors of bundles, against core and against a second implementation of the written recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import forge
import second_identity
from modelspine.errors import BundleRefused
from modelspine.identity.bundle import read_bundle, read_stored

GOLDEN = Path(__file__).parents[1] / "golden"
EARLIER: list[dict[str, Any]] = json.loads((GOLDEN / "bundle-1.json").read_text())["cases"]
LATER: list[dict[str, Any]] = json.loads((GOLDEN / "bundle-2.json").read_text())["cases"]
CASES = [*{case["name"]: case for case in [*EARLIER, *LATER]}.values()]
ACCEPTED = [case for case in CASES if "sha" in case]
REFUSED = [case for case in CASES if "refused" in case]
STORED = [case for case in EARLIER if "sha" in case]
CHANGED = {case["name"] for case in EARLIER} & {case["name"] for case in LATER}


def folder_of(case: dict[str, Any], folder: Path) -> Path:
    return forge.write(folder, {name: forge.golden(spec) for name, spec in case["files"].items()})


def second(case: dict[str, Any]) -> str:
    return second_identity.identity({name: forge.golden(spec) for name, spec in case["files"].items()})


def test_there_are_enough_and_every_one_says_what_it_expects() -> None:
    assert len(EARLIER) == 109
    assert len(LATER) >= 60
    assert len(ACCEPTED) >= 50
    assert len(REFUSED) >= 110
    assert len(ACCEPTED) + len(REFUSED) == len(CASES)
    assert len({case["name"] for case in EARLIER}) == len(EARLIER)
    assert len({case["name"] for case in LATER}) == len(LATER)


def test_an_earlier_sha_changes_only_where_no_tensor_was_there() -> None:
    """What else the later rule changes are refusals, and the limits that they name."""
    assert [case["name"] for case in STORED if case["name"] in CHANGED] == ["no tensor at all"]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_both_give_the_sha(case: dict[str, Any], tmp_path: Path) -> None:
    found = read_bundle(folder_of(case, tmp_path / "b"), store=tmp_path / "copy")
    assert found.sha == case["sha"] == second(case)
    assert read_bundle(tmp_path / "copy").sha == read_stored(tmp_path / "copy").sha == case["sha"]
    assert found.format == ("spine.entry/1" if found.assets is None else "spine.entry/2")


@pytest.mark.parametrize("case", STORED, ids=lambda case: case["name"])
def test_a_copy_that_the_earlier_rule_stored_keeps_its_sha(case: dict[str, Any], tmp_path: Path) -> None:
    kept = {name: spec for name, spec in case["files"].items() if name != "optimizer.pt"}
    assert read_stored(folder_of({"files": kept}, tmp_path / "b")).sha == case["sha"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_both_refuse_and_core_says_why(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BundleRefused) as refused:
        read_bundle(folder_of(case, tmp_path / "b"), store=tmp_path / "copy")
    assert case["refused"] in refused.value.message
    assert refused.value.message.isprintable()
    assert refused.value.hint
    assert not (tmp_path / "copy").exists()
    with pytest.raises(second_identity.Refused):
        second(case)
