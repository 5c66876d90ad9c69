"""Assignment: the formula, and what it promises."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from core.traffic import Arm, Route, assign, place

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
    assert 0 <= place("1", "\ud800") < 2**64
