"""The steps of a canary: the default ladder, a single weight, or the steps of a file.

It does not know routes or entries and judges nothing.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from modelspine.errors import BadInput
from modelspine.ledger.route import FULL, Guard, Ladder, Step
from modelspine.text import visible

DEFAULT_STEPS = (
    Step(weight_bp=100, min_seconds=600, min_samples=50),
    Step(weight_bp=1_000, min_seconds=1_800, min_samples=200),
    Step(weight_bp=5_000, min_seconds=3_600, min_samples=500),
    Step(weight_bp=FULL, min_seconds=0, min_samples=0),
)
"""The default steps: 1 %, 10 %, 50 %, then all traffic."""
MOST_STEPS = 12
"""A ladder is stored in every route event of its rollout, so its length is bounded."""
Rung = Literal["done", "here", "ahead"]

_Amount = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step as written in a file."""

    weight_bp: Annotated[int, msgspec.Meta(ge=1, le=FULL)]
    min_seconds: _Amount = 0
    min_samples: _Amount = 0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A steps file; a field left out has the default of ``Guard``."""

    steps: Annotated[tuple[_Step, ...], msgspec.Meta(min_length=1, max_length=MOST_STEPS)]
    margin_bp: Annotated[int, msgspec.Meta(ge=1, le=FULL)] | None = None
    error_bp: Annotated[int, msgspec.Meta(ge=1, le=FULL)] | None = None
    latency_pct: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    window_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    horizon: Annotated[int, msgspec.Meta(ge=10, le=10_000_000)] | None = None


def default_ladder(weight_bp: int | None = None) -> Ladder:
    """The default ladder, or one with a single weight that never advances by itself."""
    if weight_bp is None:
        return Ladder(steps=DEFAULT_STEPS, at=0, auto=True, guard=Guard())
    step = Step(weight_bp=weight_bp, min_seconds=0, min_samples=0)
    return Ladder(steps=(step,), at=0, auto=False, guard=Guard())


def read_ladder(file: Path) -> Ladder:
    """Read a ladder from a JSON file, or a TOML file if its name ends in ``.toml``.

    The file has ``steps`` and, optionally, fields of ``Guard`` that differ from its defaults.

    Raises:
        BadInput: it cannot be read, is no ladder, or its weights do not increase.
    """
    try:
        raw = file.read_bytes()
        value: Any = tomllib.loads(raw.decode()) if file.suffix == ".toml" else msgspec.json.decode(raw)
        found = msgspec.convert(value, _File)
    except OSError as error:
        raise BadInput(
            f"the steps file {visible(str(file), 120)} cannot be read: {error.strerror or error}",
            "give --steps a JSON or TOML file",
        ) from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"{visible(file.name, 80)} is not a valid ladder: {visible(str(error), 140)}",
            'write it as {"steps": [{"weight_bp": 100, "min_seconds": 600, "min_samples": 50}, …]}',
        ) from error
    weights = [step.weight_bp for step in found.steps]
    if weights != sorted(set(weights)):
        raise BadInput(
            f"the weights in {visible(file.name, 80)} do not increase: {weights}",
            "give each step a greater weight than the one before",
        )
    chosen = {name: value for name in Guard.__struct_fields__ if (value := getattr(found, name)) is not None}
    steps = tuple(msgspec.convert(msgspec.to_builtins(step), Step) for step in found.steps)
    return Ladder(steps=steps, at=0, auto=True, guard=Guard(**chosen))


def at_weight(ladder: Ladder, weight_bp: int, *, auto: bool) -> Ladder:
    """The ladder positioned at the last step whose weight is at most ``weight_bp``, or at the first step."""
    reached = [index for index, step in enumerate(ladder.steps) if step.weight_bp <= weight_bp]
    return msgspec.structs.replace(ladder, at=reached[-1] if reached else 0, auto=auto)


def rungs(ladder: Ladder) -> list[tuple[Step, Rung]]:
    """The steps of a ladder, each marked as done, current or ahead."""
    at = ladder.at
    return [(s, "done" if n < at else "here" if n == at else "ahead") for n, s in enumerate(ladder.steps)]


def after(ladder: Ladder, weight_bp: int) -> Ladder | None:
    """The ladder positioned at the first step above a weight; None where that step is all traffic or does not exist."""
    at = next((index for index, step in enumerate(ladder.steps) if step.weight_bp > weight_bp), None)
    if at is None or ladder.steps[at].weight_bp >= FULL:
        return None
    return msgspec.structs.replace(ladder, at=at, auto=True)


def check_weight(weight_bp: int, *, least: int = 1, most: int) -> None:
    """Check a weight in basis points.

    Raises:
        BadInput: it is out of range.
    """
    if not least <= weight_bp <= most:
        raise BadInput(
            f"weight {weight_bp} is out of range: {least} to {most} basis points are allowed here",
            "1 % is 100 basis points; `spine route single REF` gives an entry all traffic",
        )
