"""What a program tells of one answer, read into plain values; nothing that it tells raises.

It does not know which request the answer belongs to.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelspine.kept_files.keeper import Held
from modelspine.recording.plain_values import plain

_MOST_TOKENS = 2**53
_UNKNOWN = "unknown"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was told, in values of JSON."""

    answer: Any = None
    features: dict[str, Any] = {}
    tokens: tuple[int, int] | None = None
    entry: str = ""
    """The name of the entry that answered; empty if none was told."""
    accepted: bool | None = None
    fields: dict[str, Any] = {}
    lost_answer: tuple[str, ...] = ()
    """What of the answer could not be kept, each with its reason."""
    lost: tuple[str, ...] = ()
    """The same of everything else."""
    held: tuple[Held, ...] = ()
    """The bytes behind the digests in the answer, where they are to be kept."""


NOTHING_SAID = Said()


def said(
    answer: Any, *, features: Any, tokens: Any, entry: Any, accepted: Any, fields: dict[str, Any], hold: bool = False
) -> Said:
    """Read what was told of an answer; ``entry`` is a name, or a tuple that begins with the SHA.

    With ``hold`` the bytes behind the answer's digests are returned too.
    """
    lost: list[str] = []

    def read(value: Any, name: str) -> Any:
        found = plain(value, name)
        lost.extend(found.lost)
        return found.value

    output = plain(answer, "output", hold=hold)
    told = {name: read(value, name) for name, value in fields.items()}
    counts, named, accepts = read(tokens, "tokens"), read(entry, "entry"), read(accepted, "accepted")
    categories = read(features, "features")
    if counts is not None and not _are_counts(counts):
        lost.append("tokens: give two whole numbers, those read and those written")
        counts = None
    if accepts is not None and not isinstance(accepts, bool | int):
        lost.append("accepted: it is neither yes nor no")
        accepts = None
    if categories is not None and not isinstance(categories, dict):
        lost.append("features: give an object of names and values")
    if isinstance(named, list):
        named = named[0] if named else None
    return Said(
        answer=output.value,
        lost_answer=output.lost,
        features=categories if isinstance(categories, dict) else {},
        tokens=None if counts is None else (int(counts[0]), int(counts[1])),
        # What was told and is no name must not pass for the entry that the route gave.
        entry="" if entry is None or named == "" else named if isinstance(named, str) else _UNKNOWN,
        accepted=None if accepts is None else bool(accepts),
        fields=told,
        lost=(*lost, *output.unkept),
        held=output.held,
    )


def _are_counts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(each, int | float) and each == int(each) and 0 <= each < _MOST_TOKENS for each in value)
    )
