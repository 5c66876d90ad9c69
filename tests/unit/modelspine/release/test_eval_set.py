"""The bytes of an eval set against the hashes that a baseline names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from modelspine.errors import Damaged
from modelspine.gate.eval_report import EvalSet
from modelspine.release.eval_set import check_bytes

ROWS = b'{"id": 1}\r\n{"id": 2}\r\n'


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def named(dvc_hash: str) -> EvalSet:
    return EvalSet(path="eval.jsonl", dvc_hash=dvc_hash, sha256=hashlib.sha256(ROWS).hexdigest(), n=2)


@pytest.mark.parametrize("rule", [lambda raw: raw, lambda raw: raw.replace(b"\r\n", b"\n")], ids=["DVC 3", "DVC 2"])
def test_the_hash_of_either_version_of_dvc_is_the_sets(rule: Callable[[bytes], bytes]) -> None:
    check_bytes(named(md5(rule(ROWS))), ROWS)
    with pytest.raises(Damaged, match="SHA-256"):
        check_bytes(named(md5(rule(ROWS))), rule(ROWS) + b"\n")


def test_any_other_hash_is_damage() -> None:
    with pytest.raises(Damaged, match="has the DVC hash"):
        check_bytes(named(md5(b"other")), ROWS)
