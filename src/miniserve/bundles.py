"""What is asked of the registry to load a model: verified folders. It does not load anything."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modelspine.errors import Unavailable


class Bundles(Protocol):
    """The registry, as far as bytes are concerned."""

    def verified(self, sha: str) -> Path:
        """The folder of a bundle whose bytes were re-hashed just now."""
        ...

    def parent_folder(self, sha: str) -> Path | None:
        """The same for the entry's parent, where it has one."""
        ...


def folders(bundles: Bundles, sha: str) -> tuple[Path, Path | None]:
    """The folder of an entry, its bytes re-hashed just now, and that of its parent.

    Raises:
        Damaged, Unavailable: its bytes do not verify or are not here.
    """
    folder = bundles.verified(sha)
    try:
        return folder, bundles.parent_folder(sha)
    except Unavailable:
        return folder, None  # only an adapter needs it, and its workload says so
