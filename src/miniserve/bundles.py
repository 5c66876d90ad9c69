"""The verified bundle folders that a model is loaded from. It does not load models itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modelspine.errors import Unavailable
from modelspine.identity.stamps import Stamp


class Bundles(Protocol):
    """The part of the registry that provides bundle folders."""

    def verified(self, sha: str) -> Path:
        """Re-hash a bundle's bytes and return its folder."""
        ...

    def stamp(self, sha: str) -> Stamp:
        """Return the stamp of a bundle's files and its parent's."""
        ...

    def parent_folder(self, sha: str) -> Path | None:
        """Re-hash the bytes of the entry's parent and return its folder; None without a parent."""
        ...


def folders(bundles: Bundles, sha: str) -> tuple[Path, Path | None]:
    """Return the verified folder of an entry and that of its parent, or None for the parent.

    Raises:
        Damaged, Unavailable: the entry's own bytes do not verify or cannot be found.
    """
    folder = bundles.verified(sha)
    try:
        return folder, bundles.parent_folder(sha)
    except Unavailable:
        return folder, None  # only adapters need the parent, and there the workload reports that it is missing
