"""A valid verdict: what it says, who may make one, and what cannot be stated at all."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from datetime import timedelta
from typing import Any

import pytest

from gating import (
    FLOOR_SHA,
    SHA,
    STABLE_SHA,
    STATEMENT,
    VALID,
    WORLD,
    denied,
    raw,
    report_dict,
)
from modelspine.attestation.statement import Statement
from modelspine.attestation.verdict import VerifiedVerdict, read_verdict, sign
from modelspine.errors import BadInput, Refused
from modelspine.gate.decision import Stable
from modelspine.ledger.store import Head


def test_a_valid_verdict_is_accepted_and_says_what_it_stands_on() -> None:
    made = WORLD.verify(VALID)
    assert made.sha == SHA
    assert made.decision.result == "pass"
    assert made.signed.key.name == "ci-2026"
    assert made.predicate.run.url == "https://ci.example.org/runs/8841"
    assert made.predicate.ledger == Head(9, WORLD.chain[9])
    assert made.predicate.stable is not None
    assert made.predicate.stable.entry_sha == STABLE_SHA
    assert read_verdict(VALID, WORLD.trust) == made.signed


def test_a_first_promotion_compares_with_the_baseline_alone() -> None:
    world = copy.copy(WORLD)
    world.stable = None
    assert world.verify(world.signed()).predicate.stable is None
    denied(world, VALID, "production changed")


def test_it_is_an_in_toto_statement_in_an_in_toto_envelope() -> None:
    envelope = json.loads(VALID)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    payload = json.loads(base64.b64decode(envelope["payload"]))
    assert payload == STATEMENT
    assert payload["_type"] == "https://in-toto.io/Statement/v1"
    assert payload["subject"] == [{"name": "spine.entry/1", "digest": {"sha256": SHA}}]
    assert payload["predicateType"] == "urn:spine:verdict:1"


def test_only_the_verifier_makes_a_verified_verdict() -> None:
    made = WORLD.verify(VALID)
    with pytest.raises(TypeError):
        VerifiedVerdict(made.signed, made.decision, made.floor_sha, token=object())
    with pytest.raises(TypeError):
        VerifiedVerdict(made.signed, made.decision)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type("Mine", (VerifiedVerdict,), {})
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(made)  # type: ignore[operator]
    with pytest.raises(AttributeError):
        made.decision = made.decision  # type: ignore[misc]


def test_a_verified_verdict_is_checked_again_where_the_promotion_is_decided() -> None:
    made = WORLD.verify(VALID)
    made.check(SHA, STABLE_SHA, FLOOR_SHA)
    for sha, stable, floor in (
        (STABLE_SHA, STABLE_SHA, FLOOR_SHA), (SHA, None, FLOOR_SHA), (SHA, SHA, FLOOR_SHA), (SHA, STABLE_SHA, None),
        (SHA, STABLE_SHA, STABLE_SHA),
    ):  # fmt: skip
        with pytest.raises(Refused):
            made.check(sha, stable, floor)


@pytest.mark.parametrize(
    "more",
    [
        {"candidate": b"{}"},
        {"candidate": raw(report_dict(sha="f" * 64))},
        {"candidate": raw(report_dict(decoding=1))},
        {"baseline": b""},
        {"never_regress": None},
        {"never_regress": {}},
        {"sha": "abc"},
        {"sha": SHA.upper()},
        {"code": "main"},
        {"code": ""},
        {"head": Head(0, "0" * 64)},
        {"head": Head(3, "x")},
        {"lifetime": timedelta(days=8)},
        {"lifetime": timedelta(0)},
        {"lifetime": timedelta(seconds=-1)},
        {"stable": Stable(entry_sha=STABLE_SHA, report=b"")},
        {"stable": Stable(entry_sha="f" * 64, report=raw(report_dict(sha=STABLE_SHA)))},
    ],
)
def test_what_cannot_be_decided_is_not_stated(more: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        WORLD.statement(**more)
    assert caught.value.hint


def test_a_failure_is_stated_with_its_counts() -> None:
    made: Statement = WORLD.statement(candidate=raw(report_dict({"verb/go": 9})))
    assert made.predicate.result == "fail"
    assert made.predicate.candidate.buckets["verb/go"].k == 141
    assert read_verdict(sign(made, WORLD.key), WORLD.trust).statement == made
