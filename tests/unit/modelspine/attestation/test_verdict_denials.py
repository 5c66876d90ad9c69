"""The denial matrix: a valid verdict is accepted, and with any one thing wrong it is refused with the reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gating import (
    GO,
    NOW,
    SHA,
    STABLE_SHA,
    STATEMENT,
    VALID,
    WORLD,
    World,
    baseline,
    changed,
    denied,
    raw,
    report_dict,
    resigned,
)
from modelspine.attestation.dsse import seal
from modelspine.attestation.keys import Trust, new_key, trusted
from modelspine.attestation.verdict import PAYLOAD_TYPE, sign
from modelspine.canonical_json import canonical
from modelspine.gate.decision import Stable


@pytest.fixture
def world() -> World:
    """A world in which ``VALID`` holds; each test spoils one thing in it."""
    made = copy.copy(WORLD)
    made.used = set()
    made.chain = list(WORLD.chain)
    assert made.verify(VALID).sha == SHA
    return made


# every circumstance ---------------------------------------------------------------------------------------------


def trust_of(*keys: Any) -> Trust:
    return Trust(keys=tuple(trusted(key, name=f"ci-{i}", added="2026") for i, key in enumerate(keys)))


def set_(name: str, value: Any) -> Callable[[World], None]:
    return lambda world: setattr(world, name, value)


def rewritten(world: World) -> None:
    world.chain[9] = "f" * 64


def moved_report(world: World) -> None:
    assert world.stable is not None
    world.stable = Stable(entry_sha=STABLE_SHA, report=world.stable.report + b" ")


def used(world: World) -> None:
    world.used = {world.verify(VALID).signed.digest}


CIRCUMSTANCES: dict[str, tuple[Callable[[World], None], str]] = {
    "replayed for another entry": (set_("sha", "f" * 64), "not about ffffffffffff"),
    "for the entry now stable": (set_("sha", STABLE_SHA), "is about aaaaaaaaaaaa"),
    "a prefix of the SHA": (set_("sha", SHA[:12]), "is about"),
    "an empty SHA": (set_("sha", ""), "is about"),
    "expired": (set_("now", NOW + timedelta(hours=24)), "expired at"),
    "expired this very moment": (set_("now", NOW + timedelta(hours=24, minutes=-5)), "expired at"),
    "not yet valid": (set_("now", NOW - timedelta(hours=1)), "not valid before"),
    "not yet valid by a little more than the skew": (
        set_("now", NOW - timedelta(minutes=6, microseconds=1)),
        "not valid before",
    ),
    "years later": (set_("now", NOW.replace(year=2036)), "expired at"),
    "another baseline": (set_("baseline", baseline(never_regress=(GO,))), "the baseline changed"),
    "the baseline with one space more": (set_("baseline", WORLD.baseline + b" "), "the baseline changed"),
    "the baseline with another tolerance": (
        set_("baseline", WORLD.baseline.replace(b'"tolerance_pp": 2', b'"tolerance_pp": 3')),
        "the baseline changed",
    ),
    "the baseline without its items": (
        set_("baseline", baseline({"verb/go": [1], "verb/be": [3]})),
        "the baseline changed",
    ),
    "no baseline": (set_("baseline", b""), "the verdict cannot be checked"),
    "a baseline that cannot be read": (set_("baseline", b"\xff"), "the verdict cannot be checked"),
    "nothing stable any more": (set_("stable", None), "now nothing is stable"),
    "another entry stable": (
        set_("stable", Stable(entry_sha="f" * 64, report=raw(report_dict()))),
        "now ffffffffffff is stable",
    ),
    "the stable entry's report changed": (moved_report, "production changed"),
    "the stable entry's report is of another entry": (
        set_("stable", Stable(entry_sha="f" * 64, report=raw(report_dict(sha=STABLE_SHA)))),
        "the verdict cannot be checked",
    ),
    "the stable entry's report cannot be read": (
        set_("stable", Stable(entry_sha=STABLE_SHA, report=b"{")),
        "the verdict cannot be checked",
    ),
    "another ledger": (set_("chain", ["e" * 64] * 12), "the verdict was decided on another ledger"),
    "a ledger rewritten at that event": (rewritten, "the verdict was decided on another ledger"),
    "a ledger shorter than the verdict": (set_("chain", WORLD.chain[:9]), "the verdict was decided on another ledger"),
    "an empty ledger": (set_("chain", []), "the verdict was decided on another ledger"),
    "used before": (used, "already used for a promotion"),
    "an empty trust file": (set_("trust", Trust()), "not in the trust file"),
    "a trust file with another key": (set_("trust", trust_of(new_key())), "not in the trust file"),
    "the right id over another key": (
        set_("trust", Trust(keys=(msgspec.structs.replace(trust_of(new_key()).keys[0], id=WORLD.key.id),))),
        "signature",
    ),
}


@pytest.mark.parametrize("name", CIRCUMSTANCES)
def test_a_valid_verdict_under_other_circumstances_is_refused(name: str, world: World) -> None:
    spoil, reason = CIRCUMSTANCES[name]
    spoil(world)
    denied(world, VALID, reason)


def test_the_last_moment_and_a_clock_a_minute_behind_are_still_fine(world: World) -> None:
    for now in (NOW + timedelta(hours=24, minutes=-5, microseconds=-1), NOW - timedelta(minutes=6)):
        world.now = now
        assert world.verify(VALID).sha == SHA


def test_a_ledger_that_only_grew_is_fine(world: World) -> None:
    world.chain += ["f" * 64] * 5
    assert world.verify(VALID).sha == SHA


# what was signed ------------------------------------------------------------------------------------------------


def with_candidate(wrong: dict[str, Any], result: str, **more: Any) -> dict[str, Any]:
    """The valid statement with other counts of the candidate, and the result it claims."""
    data = copy.deepcopy(STATEMENT)
    made = report_dict(wrong, **more)
    for name in ("total", "buckets", "false_accept"):
        data["predicate"]["candidate"][name] = made[name]
    data["predicate"]["result"] = result
    return data


def impostor() -> bytes:
    envelope = json.loads(sign(WORLD.statement(), new_key()))
    envelope["signatures"][0]["keyid"] = WORLD.key.id
    return canonical(envelope)


SIGNED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a failed one": (lambda: WORLD.signed(candidate=raw(report_dict({"verb/go": 9}))), "says fail"),
    "a failed item": (lambda: WORLD.signed(never_regress={GO.id: False}), "says fail"),
    "PASS over failing counts": (lambda: resigned(with_candidate({"verb/go": 5}, "pass")), "its own counts give fail"),
    "PASS over counts failing against the stable entry alone": (
        lambda: resigned(with_candidate({"verb/be": 4}, "pass")),
        "against the stable entry",
    ),
    "PASS over too many false accepts": (
        lambda: resigned(with_candidate({}, "pass", accepts=99)),
        "its own counts give fail",
    ),
    "PASS over a lost item": (
        lambda: resigned(changed(STATEMENT, ("predicate", "never_regress", GO.id), False)),
        "its own counts give fail",
    ),
    "PASS over counts that cannot be compared": (
        lambda: resigned(with_candidate({}, "pass", sizes={"verb/go": 150})),
        "its own counts give error",
    ),
    "FAIL over passing counts": (lambda: resigned(with_candidate({}, "fail")), "says 'fail'"),
    "ERROR over passing counts": (lambda: resigned(with_candidate({}, "error")), "says 'error'"),
    "PASS in capitals": (lambda: resigned(with_candidate({}, "PASS")), "says 'PASS'"),
    "a lifetime of a month": (
        lambda: resigned(changed(STATEMENT, ("predicate", "expires"), "2026-12-22T13:58:11.000000Z")),
        "validity period is not between",
    ),
    "expired before it was issued": (
        lambda: resigned(changed(STATEMENT, ("predicate", "expires"), "2026-11-22T13:58:10.000000Z")),
        "not between 0 and 7 days",
    ),
    "a time in another spelling": (
        lambda: resigned(changed(STATEMENT, ("predicate", "issued"), "2026-11-22 13:58:11Z")),
        "is not valid",
    ),
    "a time with hidden characters": (
        lambda: resigned(changed(STATEMENT, ("predicate", "issued"), "\u202e2026")),
        "is not valid",
    ),
    "no subject": (lambda: resigned(changed(STATEMENT, ("subject",), [])), "exactly one entry"),
    "two subjects": (lambda: resigned(changed(STATEMENT, ("subject",), STATEMENT["subject"] * 2)), "exactly one entry"),
    "a subject with two digests": (
        lambda: resigned(changed(STATEMENT, ("subject", 0, "digest", "md5"), "0")),
        "one digest",
    ),
    "an item the baseline does not have": (
        lambda: resigned(changed(STATEMENT, ("predicate", "never_regress", "other"), True)),
        "do not match the baseline's items",
    ),
    "a time with fewer digits": (
        lambda: resigned(changed(STATEMENT, ("predicate", "issued"), "2026-11-22T13:58:11.0Z")),
        "is not valid",
    ),
    "decided before the first event": (
        lambda: resigned(changed(STATEMENT, ("predicate", "ledger"), {"seq": -1, "hash": WORLD.chain[-1]})),
        "the verdict was decided on another ledger",
    ),
    "code by a short name": (lambda: resigned(changed(STATEMENT, ("predicate", "code"), "main")), "the code"),
    "decided on no event": (
        lambda: resigned(changed(STATEMENT, ("predicate", "ledger"), {"seq": 0, "hash": "0" * 64})),
        "the verdict was decided on another ledger",
    ),
    "a key nobody trusts": (lambda: sign(WORLD.statement(), new_key()), "not in the trust file"),
    "a key nobody trusts under a trusted id": (impostor, "signature"),
    "an unsigned envelope": (lambda: canonical({**json.loads(VALID), "signatures": []}), "0 signatures"),
    "the statement alone": (lambda: canonical(STATEMENT), "not a signed envelope"),
    "another kind of statement": (
        lambda: resigned(changed(STATEMENT, ("predicateType",), "https://slsa.dev/provenance/v1")),
        "not a urn:spine:verdict:1",
    ),
    "signed as another type": (
        lambda: seal(canonical(STATEMENT), "application/json", WORLD.key),
        "not application/vnd.in-toto",
    ),
    "a payload that is not JSON": (lambda: seal(b"pass", PAYLOAD_TYPE, WORLD.key), "cannot be read"),
    "a payload that is a list": (lambda: seal(b"[]", PAYLOAD_TYPE, WORLD.key), "cannot be read"),
    "an empty payload": (lambda: seal(b"", PAYLOAD_TYPE, WORLD.key), "cannot be read"),
    "a payload spelled another way": (
        lambda: seal(json.dumps(STATEMENT).encode(), PAYLOAD_TYPE, WORLD.key),
        "not canonical JSON",
    ),
    "a payload with a key twice": (
        lambda: seal(canonical(STATEMENT)[:-1] + b',"subject":[]}', PAYLOAD_TYPE, WORLD.key),
        "more than once",
    ),
}


@pytest.mark.parametrize("name", SIGNED)
def test_what_a_signature_cannot_make_true_is_refused(name: str) -> None:
    make, reason = SIGNED[name]
    denied(WORLD, make(), reason)


def test_a_candidate_one_item_inside_the_limit_is_accepted_and_one_outside_is_not() -> None:
    """The rule computed again is the gate's: the baseline had 149 and the stable entry 148, so 146 is the least."""
    assert WORLD.verify(resigned(with_candidate({"verb/go": 4}, "pass"))).decision.result == "pass"
    denied(WORLD, resigned(with_candidate({"verb/go": 5}, "pass")), "5 fewer|4 fewer")
