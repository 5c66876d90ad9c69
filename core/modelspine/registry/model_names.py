"""Which entry a model's name means, as a server tells it: a SHA, a semver, ``models:/name@alias``, or a claimed name.

The ledger alone decides where it can: an alias that moves is looked up in MLflow. A name that means no entry is no
error: its request is kept unattributed until somebody claims the name. It does not know spans or traces.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from modelspine.errors import SpineError
from modelspine.ledger.event import Event
from modelspine.ledger.state import State
from modelspine.registry.entries import source_of

CLAIMED = "claimed"
"""The kind of the event that says which entry a name means."""
MOST_NAME = 200
"""Characters of a model's name that are kept."""
_DIGITS = re.compile(r"[0-9a-f]{12,64}", re.ASCII)
_BARE_SEMVER = re.compile(r"\d+\.\d+\.\d+\S*", re.ASCII)
_ASKED_AGAIN = 60.0
"""Seconds after which MLflow is asked again for an alias, which may have moved."""
_MOST_KEPT = 1_000

Ask = Callable[[str], str]
"""Asks MLflow where the files of a ``models:/`` URI are, as a registration records it; raises if it knows none."""


class Named(NamedTuple):
    """An entry, and the semver by which it is deployed; empty if it was never promoted."""

    sha: str
    semver: str


UNATTRIBUTED = Named("", "")


class Models:
    """Resolves names against a ledger; keeps MLflow's answers for a minute."""

    def __init__(self, mirror: str | None = None, ask: Ask | None = None) -> None:
        self._mirror = mirror
        self._ask = ask
        self._asked: dict[str, tuple[float, str | None]] = {}
        self._claims: tuple[str, dict[str, str]] = ("", {})
        """The hash of the newest event, and the claims up to it."""

    def resolve(self, names: Sequence[str], state: State, events: Sequence[Event]) -> Named:
        """The entry that the first of these names means; ``UNATTRIBUTED`` if none of them means one."""
        if events and events[-1].hash != self._claims[0]:
            self._claims = events[-1].hash, claims_of(events)
        claims = self._claims[1]
        for name in names:
            sha = by_ledger(name, state) or self._by_uri(name, state) or claims.get(name)
            if sha in state.entries:
                return Named(sha, semver_of(sha, name, state))
        return UNATTRIBUTED

    def _by_uri(self, name: str, state: State) -> str | None:
        """The entry that a ``models:/`` URI names."""
        if not name.startswith("models:/"):
            return None
        if (sha := by_source(name, state)) is not None:
            return sha
        if self._mirror is not None and name == f"models:/{self._mirror}@production":
            return state.production
        if self._ask is None:
            return None
        now = time.monotonic()
        at, found = self._asked.get(name, (float("-inf"), None))
        if now - at > _ASKED_AGAIN:
            if len(self._asked) >= _MOST_KEPT:
                self._asked.clear()
            try:
                found = self._ask(name)
            except SpineError:  # MLflow is not there: the request is kept, and its name can be claimed
                found = None
            self._asked[name] = (now, found)
        return None if found is None else by_source(found, state)


def by_ledger(name: str, state: State) -> str | None:
    """The entry that a name means by the ledger's own names: a SHA of 12 digits or more, or a semver."""
    for semver in (name, f"v{name}" if _BARE_SEMVER.fullmatch(name) else name):
        if semver in state.semvers:
            return state.semvers[semver]
    if _DIGITS.fullmatch(name):
        found = [sha for sha in state.entries if sha.startswith(name)]
        return found[0] if len(found) == 1 else None
    return None


def by_source(uri: str, state: State) -> str | None:
    """The entry whose files came from this place in MLflow; None unless exactly one did."""
    found = [sha for sha, known in state.entries.items() if source_of(known.registered.body) == uri]
    return found[0] if len(found) == 1 else None


def semver_of(sha: str, name: str, state: State) -> str:
    """The semver of an entry: the one that the server named, else the one in the route, else the last one."""
    semvers = state.entries[sha].semvers
    if name in semvers or f"v{name}" in semvers:
        return name if name in semvers else f"v{name}"
    routed = [arm.semver for arm in state.route.arms if arm.sha == sha and arm.semver] if state.route else []
    return routed[0] if routed else semvers[-1] if semvers else ""


def claims_of(events: Sequence[Event]) -> dict[str, str]:
    """The names that were claimed, each with the entry of its last claim."""
    return {str(event.body["model"]): str(event.body["sha"]) for event in events if event.kind == CLAIMED}
