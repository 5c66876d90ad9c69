"""The bundles of entries on this machine: from its cache, or from where their registration says that the files are.

What comes from there counts only if it hashes to the entry's SHA with the evidence that the ledger holds. It decides
nothing about entries, and does not know how MLflow is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.identity.bundle_cache import Cache
from modelspine.identity.stamps import Stamp, stamp
from modelspine.ledger.state import State
from modelspine.registry.bundle_fetch import fetched
from modelspine.registry.entries import EVIDENCE, source_of
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.text import short, visible


def _wanted() -> bool:
    return False


def standby(state: State) -> tuple[str, ...]:
    """The entries that may have to answer next: the newest promoted one, and the one that was stable before."""
    fit = [known for known in state.entries.values() if known.status == "promoted" and known.sha != state.production]
    newest = max(fit, key=lambda known: known.promoted[-1].seq, default=None)
    before = max((known for known in fit if known.stable_since), key=lambda known: known.stable_since[-1], default=None)
    return tuple(dict.fromkeys(known.sha for known in (newest, before) if known is not None))


class EntryBundles:
    """The bundles of one ledger's entries; ``evidence`` returns a piece of its evidence by digest."""

    def __init__(
        self, state: Callable[[], State], evidence: Callable[[str], bytes], cache: Cache, artifacts: Artifacts
    ) -> None:
        self._state = state
        self._evidence = evidence
        self._cache = cache
        self._artifacts = artifacts
        self._fetching: dict[str, threading.Lock] = {}

    def are_here(self, sha: str) -> bool:
        """Whether the bundles of an entry and of its parent are in the cache; they are not hashed."""
        return not any(self._cache.holds(each) is False for each in self._with_parent(sha))

    def obtain(self, sha: str, given_up: Callable[[], bool] = _wanted) -> None:
        """Fetch an entry's bundle and its parent's into the cache if they are not there.

        Args:
            sha: the entry.
            given_up: whether they are no longer wanted; asked while they are fetched.

        Raises:
            Unavailable: the entry's bundle is not in the cache, and cannot be fetched.
            Damaged: the files that were fetched are not this entry's.
        """
        self._fetch(sha, given_up)
        for parent in self._with_parent(sha)[1:]:
            with suppress(Unavailable):  # only an adapter needs it, and its workload says if it is missing
                self._fetch(parent, given_up)

    def verified(self, sha: str) -> Path:
        """The folder of an entry's bundle, fetched if it is not here, and hashed again by this call.

        Raises:
            Unavailable: it is not here and cannot be fetched, or this machine cannot read it.
            Damaged: its bytes do not match the SHA.
        """
        self._fetch(sha)
        return self._cache.verified(sha)[0]

    def parent_folder(self, sha: str) -> Path | None:
        """The verified folder of an entry's parent; None if it has none."""
        parents = self._with_parent(sha)[1:]
        return self.verified(parents[0]) if parents else None

    def stamp(self, sha: str) -> Stamp:
        """The stamp of the cached files of an entry and its parent; see ``identity.stamps``."""
        return stamp(self._cache.path(each) for each in self._with_parent(sha))

    def hash_again(self, sha: str) -> None:
        """Hash again the bundles an entry answers from: its own and, if it is in the cache, its parent's."""
        self.verified(sha)
        for parent in filter(self._cache.holds, self._with_parent(sha)[1:]):
            with suppress(Unavailable):
                self._cache.verified(parent)

    def _with_parent(self, sha: str) -> tuple[str, ...]:
        known = self._state().entries.get(sha)
        parent = known.registered.body.get("parent") if known is not None else None
        return (sha, parent) if parent else (sha,)

    def _fetch(self, sha: str, given_up: Callable[[], bool] = _wanted) -> None:
        if self._cache.holds(sha) is not False:
            return
        # A server fetches in advance too: what one thread is fetching, another waits for.
        lock = self._fetching.setdefault(sha, threading.Lock())
        while not lock.acquire(timeout=0.5):
            if given_up():
                raise Unavailable(f"the fetch of {short(sha)} was given up", "it is no longer wanted")
        try:
            if self._cache.holds(sha) is False:
                self._fetch_now(sha, given_up)
        finally:
            lock.release()

    def _fetch_now(self, sha: str, given_up: Callable[[], bool]) -> None:
        missing = f"the bundle of {short(sha)} is not in {self._cache.folder}"
        known = self._state().entries.get(sha)
        source = source_of(known.registered.body) if known is not None else None
        if known is None or source is None:
            raise Unavailable(
                f"{missing}, and its entry names no run to fetch it from",
                "register it here from its directory: `spine register DIR`; with `mlflow` set, others then fetch it",
            )
        store = self._artifacts
        try:
            with fetched(store.url, store.folder, store.scratch, source, given_up=given_up) as folder:
                self._cache.add(folder, evidence=self._kept(known.registered.body), expected=sha)
        except SpineError as error:
            kind = Damaged if isinstance(error, Damaged) else Unavailable
            told = f"{missing}, and fetching it from {visible(source, 100)} failed: {error.message}"
            raise kind(told, error.hint) from error

    def _kept(self, registered: dict[str, Any]) -> dict[str, bytes]:
        """The entry's evidence files as the ledger holds them: its parent, for one, may be named by them alone."""
        table = registered.get("evidence", {})
        return {f"{name}.json": self._evidence(table[name]) for name in EVIDENCE if name in table}
