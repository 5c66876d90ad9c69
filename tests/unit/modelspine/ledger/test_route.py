"""Assignment: the formula, and what it promises."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from modelspine.ledger.route import Arm, Route, assign, reassigned, shadow_arm_of, shadow_assignment, unit_hash

A, B = "a" * 64, "b" * 64


def route(weight: int, salt: str = "12") -> Route:
    arms = (
        Arm(name="stable", sha=A, semver="v1.0.0", weight_bp=10_000 - weight),
        Arm(name="canary", sha=B, semver="v2.0.0", weight_bp=weight),
    )
    return Route(strategy="canary", epoch=12, salt=salt, arms=arms)


def test_the_formula() -> None:
    digest = hashlib.sha256(b"12|learner-7").digest()
    u = int.from_bytes(digest[:8], "big")
    found = assign(route(5_000), "learner-7", sticky=True)
    assert found.u == f"{u:016x}"
    assert found.bucket == u * 10_000 >> 64
    assert found.arm == ("canary" if found.bucket < 5_000 else "stable")


@given(st.text(max_size=40), st.integers(0, 10_000), st.integers(0, 10_000))
def test_raising_the_weight_only_adds_units(unit: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    if assign(route(low), unit, sticky=True).arm == "canary":
        assert assign(route(high), unit, sticky=True).arm == "canary"


@given(st.text(max_size=40))
def test_a_weight_takes_the_buckets_below_it(unit: str) -> None:
    bucket = assign(route(0), unit, sticky=True).bucket
    assert assign(route(bucket), unit, sticky=True).arm == "stable"
    assert assign(route(bucket + 1), unit, sticky=True).arm == "canary"
    given_arm = assign(shadowed(0), unit, sticky=True)
    assert shadow_arm_of(shadowed(bucket), given_arm) is None
    assert shadow_arm_of(shadowed(bucket + 1), given_arm) is not None


@given(st.text(max_size=40))
def test_the_ends_of_the_scale(unit: str) -> None:
    assert assign(route(0), unit, sticky=True).arm == "stable"
    assert assign(route(10_000), unit, sticky=True).arm == "canary"
    assert assign(route(3_000), unit, sticky=True) == assign(route(3_000), unit, sticky=True)


def test_units_are_spread_evenly_and_anew_with_each_salt() -> None:
    """10,000 units at 20 %: within four standard deviations, and salts agree no more than chance."""
    units = [f"learner-{number}" for number in range(10_000)]
    first = [assign(route(2_000, "1"), unit, sticky=True).arm == "canary" for unit in units]
    other = [assign(route(2_000, "2"), unit, sticky=True).arm == "canary" for unit in units]
    assert abs(sum(first) - 2_000) < 160
    assert abs(sum(a and b for a, b in zip(first, other, strict=True)) - 400) < 80


def test_place_takes_any_text() -> None:
    assert 0 <= unit_hash("1", "\ud800") < 2**64


# shadows ------------------------------------------------------------------------------------------------------------


def shadowed(share: int, salt: str = "12") -> Route:
    arms = (
        Arm(name="stable", sha=A, semver="v1.0.0", weight_bp=10_000),
        Arm(name="shadow", sha=B, semver="", weight_bp=share),
    )
    return Route(strategy="shadow", epoch=12, salt=salt, arms=arms)


@given(st.text(max_size=40), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_shadow_answers_nobody_and_copies_low_buckets(unit: str, one: int, other: int) -> None:
    low, high = (shadowed(share) for share in sorted((one, other)))
    given_arm = assign(high, unit, sticky=True)
    assert given_arm.arm == "stable"
    assert (shadow_arm_of(high, given_arm) is not None) == (given_arm.bucket < max(one, other))
    if shadow_arm_of(low, assign(low, unit, sticky=True)) is not None:
        assert shadow_arm_of(high, given_arm) is not None
    assert shadow_arm_of(route(5_000), assign(route(5_000), unit, sticky=True)) is None


@given(st.text(max_size=40), st.integers(0, 10_000), st.booleans())
def test_a_stored_assignment_is_made_again(unit: str, share: int, sticky: bool) -> None:
    for each in (shadowed(share), route(share)):
        first = assign(each, unit, sticky=sticky)
        assert reassigned(each, first) == first
        arm = shadow_arm_of(each, first)
        if arm is not None:
            copy = shadow_assignment(first, arm)
            assert reassigned(each, copy) == copy
            assert copy != first
        elif each.shadow is not None:
            never = shadow_assignment(first, each.shadow)
            assert reassigned(each, never) != never


def test_shares_are_uniform_over_the_whole_line() -> None:
    """Ten equal slices of 20,000 units: chi-squared below its 99.9 % point."""
    counts = [0] * 10
    for number in range(20_000):
        counts[assign(route(0), f"learner-{number}", sticky=True).bucket // 1_000] += 1
    assert sum((count - 2_000) ** 2 / 2_000 for count in counts) < 27.9


def test_every_replica_agrees() -> None:
    """The same route read back from an event's body, in whatever process, gives the same arm."""
    here = [assign(route(3_000), f"learner-{n}", sticky=True).arm for n in range(50)]
    code = (
        "from modelspine.ledger.route import Arm, Route, assign\n"
        f"arms = (Arm(name='stable', sha={A!r}, semver='', weight_bp=7_000),"
        f" Arm(name='canary', sha={B!r}, semver='', weight_bp=3_000))\n"
        "r = Route(strategy='canary', epoch=99, salt='12', arms=arms)\n"
        "print(*(assign(r, f'learner-{n}', sticky=True).arm for n in range(50)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == here
