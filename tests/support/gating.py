"""Small reports and baselines for tests of the gate, and the circumstances of a promotion."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from modelspine.attestation.dsse import seal
from modelspine.attestation.keys import SigningKey, Trust, new_key, trusted
from modelspine.attestation.statement import Run, Statement, statement
from modelspine.attestation.verdict import PAYLOAD_TYPE, VerifiedVerdict, sign, verify
from modelspine.canonical_json import canonical
from modelspine.cli.gate import draw_decision
from modelspine.cli.output import Out
from modelspine.errors import Refused
from modelspine.gate.baseline import Item, baseline_bytes, baseline_of
from modelspine.gate.decision import Stable, read_submission
from modelspine.gate.eval_report import EvalReport
from modelspine.gate.result import Decision
from modelspine.ledger.store import Head

SIZES = {"verb/go": 150, "verb/be": 150, "tense/past_simple": 200}
GO = Item(id="incident-1", text="Yesterday he goed to school.", correct_form="went")
SHA, STABLE_SHA, BASE_SHA, FLOOR_SHA = "a" * 64, "b" * 64, "c" * 64, "f" * 64
NOW = datetime(2026, 11, 22, 14, 3, 11, tzinfo=UTC)
CODE = "0123456789abcdef0123456789abcdef01234567"


def report_dict(
    wrong: Mapping[str, int | Sequence[int]] | None = None,
    *,
    sizes: Mapping[str, int] = SIZES,
    sha: str | None = None,
    accepts: int = 3,
    **more: Any,
) -> dict[str, Any]:
    """Return a report in which ``wrong`` sets how many, or which, items of each bucket are wrong."""
    lost = {name: wrong.get(name, 0) if wrong else 0 for name in sizes}
    items = {name: list(range(each)) if isinstance(each, int) else list(each) for name, each in lost.items()}
    n = sum(sizes.values())
    return {
        "schema": "spine.eval/1",
        "entry_sha": sha,
        "eval_set": {"path": "data/eval.jsonl", "dvc_hash": "d" * 32, "sha256": "e" * 64, "n": n},
        "decoding": {"method": "greedy", "max_new_tokens": 24},
        "total": {"k": n - sum(map(len, items.values())), "n": n},
        "buckets": {name: {"k": size - len(items[name]), "n": size} for name, size in sizes.items()},
        "false_accept": {"k": accepts, "n": 300},
        "failed": [{"id": f"{name}#{i}", "buckets": [name]} for name, which in items.items() for i in which],
        **more,
    }


def raw(value: Any) -> bytes:
    """Return the JSON of ``report_dict``."""
    return json.dumps(value).encode()


def report(*args: Any, **more: Any) -> EvalReport:
    """Return the parsed report of ``report_dict``."""
    return read_submission(raw(report_dict(*args, **more))).report


def baseline(wrong: Mapping[str, int | Sequence[int]] | None = None, **more: Any) -> bytes:
    """A baseline file made from such a report; ``report`` holds arguments for it."""
    made = report(wrong, sha=BASE_SHA, **more.pop("report", {}))
    return baseline_bytes(baseline_of(made, reason="the first one", approved_in="#1", **more))


class World:
    """All inputs of a promotion decision; each test corrupts one of them."""

    def __init__(self) -> None:
        self.key: SigningKey = new_key()
        self.trust = Trust(keys=(trusted(self.key, name="ci-2026", added="2026-11-01"),))
        self.sha = SHA
        self.candidate = raw(report_dict({"verb/go": [1, 2], "verb/be": [9]}, sha=SHA))
        self.baseline = baseline({"verb/go": [1], "verb/be": [3]}, never_regress=(GO,))
        self.stable: Stable | None = Stable(
            entry_sha=STABLE_SHA, report=raw(report_dict({"verb/go": [1, 4]}, sha=STABLE_SHA))
        )
        self.floor: Stable | None = Stable(
            entry_sha=FLOOR_SHA, report=raw(report_dict({"verb/go": [1]}, sha=FLOOR_SHA))
        )
        self.chain = [f"{seq:064x}" for seq in range(12)]
        self.now = NOW
        self.used: set[str] = set()
        self.lifetime = timedelta(hours=24)

    def statement(self, **more: Any) -> Statement:
        """Return the statement that the gate would sign."""
        given: dict[str, Any] = {
            "sha": self.sha,
            "candidate": self.candidate,
            "baseline": self.baseline,
            "stable": self.stable,
            "floor": self.floor,
            "never_regress": {GO.id: True},
            "code": CODE,
            "head": Head(9, self.chain[9]),
            "run": Run(id="8841", url="https://ci.example.org/runs/8841"),
            "issued": self.now - timedelta(minutes=5),
            "lifetime": self.lifetime,
        }
        return statement(**{**given, **more})

    def signed(self, **more: Any) -> bytes:
        """Return the envelope that the gate would write."""
        return sign(self.statement(**more), self.key)

    def verify(self, envelope: bytes) -> VerifiedVerdict:
        """Verify under these circumstances."""
        return verify(
            envelope,
            self.trust,
            sha=self.sha,
            baseline=self.baseline,
            stable=self.stable,
            floor=self.floor,
            hash_at=lambda seq: self.chain[seq] if seq < len(self.chain) else None,
            now=self.now,
            used=self.used,
        )


def as_dict(value: Statement) -> dict[str, Any]:
    """Return a statement as the JSON that is signed."""
    made: dict[str, Any] = json.loads(canonical(msgspec.to_builtins(value)))
    return made


WORLD = World()
VALID = WORLD.signed()
STATEMENT = as_dict(WORLD.statement())
Path = tuple[str | int, ...]
"""One world, the verdict that is valid in it, and what that says. A way into it names a key or an index a step."""


def denied(world: World, envelope: bytes, match: str | None = None) -> None:
    """Check that verifying refuses, for this reason."""
    with pytest.raises(Refused, match=match) as caught:
        world.verify(envelope)
    assert caught.value.message
    assert caught.value.hint
    assert caught.value.message.isprintable()


def resigned(data: dict[str, Any], world: World = WORLD) -> bytes:
    """Return an envelope over a changed statement, with a valid signature."""
    return seal(canonical(data), PAYLOAD_TYPE, world.key)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path to every value that is not a container, and to every empty container."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for name, each in items:
        found = True
        yield from leaves(each, (*path, name))
    if not found:
        yield path


def at(data: Any, path: Path) -> Any:
    """Return the value at a path."""
    for name in path:
        data = data[name]
    return data


def changed(data: Any, path: Path, value: Any) -> Any:
    """Return a copy of the data with the value at a path replaced."""
    made = copy.deepcopy(data)
    at(made, path[:-1])[path[-1]] = value
    return made


def decision_lines(decision: Decision, *, unchanged: bool = True) -> list[str]:
    """A decision as ``spine gate`` writes it into a pipe."""
    stream = io.StringIO()
    draw_decision(Out(stream), decision, unchanged=unchanged)
    return stream.getvalue().removesuffix("\n").split("\n")
