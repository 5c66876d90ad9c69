"""The bundles that a server loads models from, as private copies of what was hashed. It does not load models itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from modelspine.identity.private_copies import PrivateCopies
from modelspine.identity.stamps import Stamp
from modelspine.ledger.route import Route
from modelspine.registry.registry import Registry

_RECENT = 2
"""Entries whose copies are kept although no route in effect has them yet: a route that is being loaded has two arms."""


class PrivateBundles:
    """The registry as a server's models see it: every folder that it names is a private copy.

    A model may read its files at any time, so a copy stays as long as its entry is in use.
    """

    def __init__(self, registry: Registry, in_use: Callable[[], Collection[str]] = tuple) -> None:
        """Use the bundles of a registry; ``in_use`` returns the entries whose models may be asked now."""
        self._registry = registry
        self._in_use = in_use
        self._copies = PrivateCopies()
        self._parents: dict[str, str] = {}
        self._recent: list[str] = []
        self._lock = threading.Lock()

    def verified(self, sha: str) -> Path:
        """Re-hash a bundle's bytes, copy them, and return the folder of the copy.

        Raises:
            Damaged, Unavailable: they do not match the SHA, or are not there.
        """
        with self._lock:
            self._recent = [sha, *(each for each in self._recent if each != sha)][:_RECENT]
            wanted = {*self._recent, *self._in_use()}
            self._copies.keep({*wanted, *(self._parents[each] for each in wanted if each in self._parents)})
            return self._copies.of(sha, self._registry.verified(sha))

    def parent_folder(self, sha: str) -> Path | None:
        """The same for the entry's parent; None without a parent."""
        folder = self._registry.parent_folder(sha)
        if folder is None:
            return None
        with self._lock:
            self._parents[sha] = folder.name
            return self._copies.of(folder.name, folder)

    def stamp(self, _sha: str) -> Stamp:
        """Nothing: no other user can change a copy."""
        return frozenset()

    def close(self) -> None:
        """Remove the copies."""
        with self._lock:
            self._copies.close()

    def is_here(self, sha: str) -> bool:
        """Whether a bundle and its parent's are on this machine; they are not hashed."""
        return self._registry.is_here(sha)

    def obtain(self, sha: str, given_up: Callable[[], bool]) -> None:
        """Fetch a bundle and its parent's into the machine's cache, unless that is given up."""
        self._registry.obtain(sha, given_up)

    def route(self) -> Route | None:
        """Return the route in force, or None before the first promotion."""
        return self._registry.route()

    def may_answer(self, sha: str, semver: str) -> None:
        """Raise ``Refused`` unless this entry may answer learners."""
        self._registry.may_answer(sha, semver)
