"""What a trace may keep of a unit's identity, of its text and of the fields that a workload added.

It does not know how a trace is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from miniobserve.traces import Assignment
from modelspine.described.records import EMBEDDING, as_vector
from modelspine.text import visible

_SHORT = 64
"""Longest text among an answer's fields that its trace keeps, in characters."""
_MOST = 64
"""Most numbers of a list that it keeps; an object may have more, as many as a model has classes."""

TextPolicy = Literal["full", "hash", "none"]


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace may keep of a learner's identity and text.

    A learner is stored as SHA-256 of ``learner_salt | id``. The salt is the hash of the ledger's first event: the
    same on every replica for the ledger's whole life, so that one learner keeps one hash, and different in every
    ledger, so that hashes of two ledgers cannot be joined. Under ``full`` the assignment also keeps the id itself,
    so that the incident walk can recompute the assignment.
    """

    text: TextPolicy
    learner_salt: str

    def unit_hash(self, learner_id: str | None) -> str | None:
        """Return the salted hash under which traces store a learner."""
        return None if learner_id is None else sha256(f"{self.learner_salt}|{learner_id}")

    def assignment(self, assignment: Assignment) -> Assignment:
        """Return the assignment as a trace stores it: without the learner id unless the policy is ``full``."""
        if self.text == "full" or not assignment.sticky:
            return assignment
        return msgspec.structs.replace(assignment, unit=None)


def kept_fields(fields: Mapping[str, Any], *, texts: bool) -> dict[str, Any]:
    """What a trace keeps of the fields a workload added to its answer: scores and probabilities, not explanations.

    These are numbers, yes or no, tables of numbers such as the probabilities of classes, and, where ``texts`` may be
    kept, short lists of numbers and short texts such as a label. The vector ``embedding`` is kept apart.
    """
    return {name: value for name, value in fields.items() if _is_kept(name, value, texts=texts)}


def unkept_fields(fields: Mapping[str, Any], *, texts: bool) -> list[str]:
    """The fields that a trace does not keep though the text policy would let it, each with the reason."""
    return [
        f"{visible(str(name), 60)}: a field is a number, a text of up to {_SHORT} characters, "
        f"a list of 1 to {_MOST} numbers or an object of numbers"
        for name, value in fields.items()
        if value is not None
        and name != EMBEDDING
        and (texts or not isinstance(value, str | list | tuple))
        and not _is_kept(name, value, texts=texts)
    ]


def _is_kept(name: str, value: Any, *, texts: bool) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(one, int | float) for one in value.values())
    if isinstance(value, list | tuple):
        short = texts and name != EMBEDDING and 0 < len(value) <= _MOST
        return short and all(isinstance(one, int | float) for one in value)
    return isinstance(value, bool | int | float) or (texts and isinstance(value, str) and len(value) <= _SHORT)


def kept_vector(vector: Any, *, texts: bool) -> list[float] | None:
    """What a trace keeps of a request's vector: all of it where texts may be kept, as it nearly gives the text."""
    found = as_vector(vector) if texts else None
    return None if found is None else list(found)


def sha256(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
