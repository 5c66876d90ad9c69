"""Values of other libraries become JSON; what cannot be kept is named, and nothing raises."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from modelspine.canonical_json import canonical
from modelspine.recording.plain_values import MOST_ITEMS, plain
from modelspine.recording.saying import said


class Label(str):
    """A text with methods of its own, as a model's vocabulary may have."""

    def __str__(self) -> str:
        return "another"


class Queue(Enum):
    REFUND = "refund"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Ticket:
    body: str
    age: Any


ROW = pd.DataFrame({"carrier": ["Rapid", "Slow"], "km": [3, 4], "rain": [1.5, float("nan")]})
DIGEST = {"sha256": hashlib.sha256(b"image").hexdigest(), "bytes": 5}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float64(0.3), 0.3), (np.float32(0.5), 0.5), (np.int64(7), 7), (np.bool_(True), True), (np.str_("a"), "a"),
        (np.array([0.5, 1.0]), [0.5, 1.0]), (np.array(2), 2), (np.longdouble(0.5), 0.5), (Label("refund"), "refund"),
        (Queue.REFUND, "refund"), (Level.HIGH, 3), (Decimal("0.5"), 0.5), (UUID(int=1), str(UUID(int=1))),
        (datetime(2026, 11, 22, tzinfo=UTC), "2026-11-22T00:00:00+00:00"), (pd.Timestamp("2026-11-22"),
                                                                           "2026-11-22T00:00:00"),
        (pd.Series([1, 2]), [1, 2]), (ROW.iloc[0], {"carrier": "Rapid", "km": 3, "rain": 1.5}),
        (ROW[:1], {"carrier": "Rapid", "km": 3, "rain": 1.5}), (pd.Categorical(["a"]), ["a"]),
        ({Queue.REFUND: np.float32(0.5), 1: np.int64(2), False: {"b", "a"}},
         {"refund": 0.5, "1": 2, "false": ["a", "b"]}),
        (Ticket("x", np.int64(3)), {"body": "x", "age": 3}), (("a", (1,)), ["a", [1]]), (b"image", DIGEST),
        ({"photo": bytearray(b"image")}, {"photo": DIGEST}), ("\ud83d\ude00", "😀"),
    ],
)  # fmt: skip
def test_a_value_of_another_library_is_kept_as_json(given: Any, expected: Any) -> None:
    found = plain(given, "input")
    assert found.value == expected
    assert type(found.value) in (type(expected), *type(expected).__subclasses__())
    canonical(found.value)


@pytest.mark.parametrize(
    ("given", "kept", "reason"),
    [
        ("a\udc80b", "a\ufffdb", "input: characters that UTF-8 cannot encode were replaced"),
        ({"a": float("nan"), "b": 1}, {"a": None, "b": 1}, "input.a: nan is no JSON number"),
        (ROW.iloc[1], {"carrier": "Slow", "km": 4, "rain": None}, "input.rain: nan is no JSON number"),
        ([2**60], [str(2**60)], "input.0: an integer beyond 2^53 is kept as text"),
        ({"a": 10**4_000, "b": 1}, {"a": None, "b": 1}, "input.a: the integer is too large"),
        ({"a": object()}, {"a": None}, "input.a: a value of type object is no JSON"),
        (np.complex128(1j), None, "input: a value of type complex is no JSON"),
        (pd.NaT, None, "input: the time is missing"), (int, None, "input: it is a class"),
        ((each for each in "ab"), None, "input: a value of type generator is no JSON"),
        (np.zeros(MOST_ITEMS + 1), None, f"input: there are more than {MOST_ITEMS:,} values"),
        (Path("/no/such/file"), None, "input: it cannot be read: FileNotFoundError"),
        (Ticket("x", MagicMock()), {"body": "x", "age": None}, "input.age: it is nested too deeply"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_named(given: Any, kept: Any, reason: str) -> None:
    assert plain(given, "input")[:2] == (kept, (reason,))


def test_a_loop_ends_and_losses_are_counted(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert len(plain(loop, "input").lost) == 1
    lost = plain([object()] * 10, "output").lost
    assert (len(lost), lost[-1]) == (5, "output: 6 more")
    many = plain([0] * (MOST_ITEMS + 5), "output")
    assert many.lost[-1].endswith("more")
    file = tmp_path / "photo.png"
    file.write_bytes(b"image")
    assert plain(file, "input")[:2] == (DIGEST, ())


def test_what_is_told_of_an_answer_never_raises() -> None:
    told = said(
        np.int64(3), features=[1], tokens=(np.int64(5), "x"), entry=object(), accepted="maybe",
        fields={"proba": np.array([0.5])},
    )  # fmt: skip
    assert (told.answer, told.features, told.tokens, told.accepted) == (3, {}, None, None)
    assert (told.entry, told.fields) == ("unknown", {"proba": [0.5]})
    assert [each.partition(":")[0] for each in told.lost] == ["entry", "tokens", "accepted", "features"]
    good = said("x", features={"a": 1}, tokens=np.array([5, 1]), entry=("sha", 1), accepted=np.bool_(True), fields={})
    assert (good.tokens, good.entry, good.accepted, good.lost) == ((5, 1), "sha", True, ())
