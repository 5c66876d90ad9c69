"""Every field of a verdict counts: changed, left out or added, unsigned or signed again, it is refused."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gating import STATEMENT, VALID, WORLD, Path, at, changed, denied, leaves, resigned
from modelspine.canonical_json import canonical
from modelspine.errors import Refused


def other_values(value: Any) -> list[Any]:
    """Values one step away from ``value``, of its kind and of others."""
    if isinstance(value, bool):
        return [not value, None, 0, "true"]
    if isinstance(value, int):
        return [value + 1, value - 1, -value - 1, 0 if value else 7, value + 0.5, str(value), None]
    if isinstance(value, str):
        flipped = value[:-1] + ("0" if value[-1:] != "0" else "1")
        return [flipped, value + "0", value[1:], "", value.upper() + " ", None, 5]
    return ["", {"a": 1}, [1], False] if value is None else [None]


FIELDS = list(leaves(STATEMENT))
CLAIMS = {
    ("predicate", "candidate", "sha256"): "the digest of the report CI made",
    ("predicate", "run", "id"): "where it ran",
    ("predicate", "run", "url"): "where it ran",
    ("predicate", "code"): "which code decided",
    ("predicate", "issued"): "when",
    ("predicate", "expires"): "when",
}
"""Fields a trusted key alone vouches for, so another value with a new signature is another, equally good verdict."""


def name_of(path: Path) -> str:
    return ".".join(map(str, path))


def test_the_matrix_is_large_and_holds_every_part_of_a_verdict() -> None:
    assert len(FIELDS) >= 60
    assert {path[1] for path in FIELDS if path[0] == "predicate"} == set(STATEMENT["predicate"])


@pytest.mark.parametrize("path", FIELDS, ids=name_of)
def test_a_field_changed_under_the_old_signature_is_refused(path: Path) -> None:
    envelope = json.loads(VALID)
    values = [value for value in other_values(at(STATEMENT, path)) if value != at(STATEMENT, path)]
    assert values
    for value in values:
        payload = base64.b64encode(canonical(changed(STATEMENT, path, value))).decode()
        denied(WORLD, canonical({**envelope, "payload": payload}), "signature")


COUNTS = [path for path in FIELDS if path[:2] == ("predicate", "candidate") and path[-1] == "k"]
"""How many the candidate got right: another number is another candidate, and the rule decides on it."""


@pytest.mark.parametrize("path", [path for path in FIELDS if path not in CLAIMS and path not in COUNTS], ids=name_of)
def test_a_field_changed_and_signed_again_by_a_trusted_key_is_refused(path: Path) -> None:
    for value in other_values(at(STATEMENT, path)):
        if value != at(STATEMENT, path):
            denied(WORLD, resigned(changed(STATEMENT, path, value)))


@pytest.mark.parametrize("path", COUNTS, ids=name_of)
def test_a_count_changed_and_signed_again_is_decided_by_the_rule(path: Path) -> None:
    n = at(STATEMENT, (*path[:-1], "n"))
    sides = [at(STATEMENT, ("predicate", side, *path[2:])) for side in ("baseline", "stable")]
    sign_of = {"total": 0, "false_accept": -1}.get(str(path[2]), 1)  # totals are not checked against buckets
    outcomes = set()
    edge = max(sides) - 2 * n // 100 if sign_of == 1 else min(sides) + 2 * n // 100
    for k in {-1, 0, 1, n - 1, n, n + 1, *range(0, n, 29), *range(max(edge - 3, 0), edge + 4)}:
        envelope = resigned(changed(STATEMENT, path, k))
        fine = 0 <= k <= n and all(sign_of * (side - k) * 50 <= n for side in sides)
        outcomes.add(fine)
        if fine:
            assert WORLD.verify(envelope).decision.result == "pass"
        else:
            denied(WORLD, envelope)
    assert outcomes == {True, False}
    for value in (None, "1", 1.5, True, [1]):
        denied(WORLD, resigned(changed(STATEMENT, path, value)))


@pytest.mark.parametrize("path", CLAIMS, ids=name_of)
def test_a_claim_of_another_kind_is_refused_even_when_signed(path: Path) -> None:
    for value in (None, 5, [], {}):
        denied(WORLD, resigned(changed(STATEMENT, path, value)))


@pytest.mark.parametrize("path", FIELDS, ids=name_of)
def test_a_field_left_out_or_added_and_signed_again_is_refused(path: Path) -> None:
    if isinstance(at(STATEMENT, path[:-1]), dict):
        less = copy.deepcopy(STATEMENT)
        del at(less, path[:-1])[path[-1]]
        denied(WORLD, resigned(less))
        denied(WORLD, resigned(changed(STATEMENT, (*path[:-1], "extra"), 1)))


def test_every_byte_of_the_file_counts() -> None:
    for place in range(0, len(VALID), 23):
        denied(WORLD, VALID[:place] + bytes([VALID[place] ^ 1]) + VALID[place + 1 :])
        denied(WORLD, VALID[:place])
    denied(WORLD, VALID + b"\n")


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_a_trusted_key_signs_is_accepted_or_refused_and_never_crashes(data: st.DataObject) -> None:
    made = copy.deepcopy(STATEMENT)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(FIELDS))
        path = path[: data.draw(st.integers(1, len(path)))]
        try:
            at(made, path[:-1])[path[-1]] = data.draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue
    try:
        envelope = resigned(made)
    except ValueError:
        return  # an integer that no canonical JSON holds
    try:
        verified = WORLD.verify(envelope)
    except Refused as error:
        told = error.message
    else:
        told = verified.decision.result
        assert told == "pass"
    assert told.isprintable()
