"""The committed vectors of bundle/1, against core and against a second implementation of the written recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import forge
import second_identity
from modelspine.errors import BundleRefused
from modelspine.identity.bundle import read_bundle

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "golden" / "bundle-1.json").read_text())["cases"]
ACCEPTED = [case for case in CASES if "sha" in case]
REFUSED = [case for case in CASES if "refused" in case]


def folder_of(case: dict[str, Any], folder: Path) -> Path:
    return forge.write(folder, {name: forge.golden(spec) for name, spec in case["files"].items()})


def second(case: dict[str, Any]) -> str:
    return second_identity.identity({name: forge.golden(spec) for name, spec in case["files"].items()})


def test_there_are_enough_and_every_one_says_what_it_expects() -> None:
    assert len(ACCEPTED) >= 20
    assert len(REFUSED) >= 80
    assert len(ACCEPTED) + len(REFUSED) == len(CASES)
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_both_give_the_sha(case: dict[str, Any], tmp_path: Path) -> None:
    assert read_bundle(folder_of(case, tmp_path / "b")).sha == case["sha"]
    assert second(case) == case["sha"]


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
