"""Bundles of the ``shout`` workload for pools of real worker processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from modelspine.errors import Damaged
from modelspine.identity.stamps import Stamp

HERE = Path(__file__).parents[1] / "fixtures" / "shout"
ONE, TWO = "1" * 64, "2" * 64


class Bundles:
    """A folder of bundles, each named by its SHA."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged = False
        self.hashed = 0

    def add(self, sha: str, **config: object) -> str:
        """Write a bundle; ``config`` is what the workload reads."""
        folder = self.root / sha
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"number": int(sha[0]), **config}))
        return sha

    def verified(self, sha: str) -> Path:
        """The bundle's folder."""
        self.hashed += 1
        if self.damaged:
            raise Damaged("its hash does not match", "fetch it again")
        return self.root / sha

    def stamp(self, sha: str) -> Stamp:
        """Nothing changes here."""
        return frozenset()

    def parent_folder(self, sha: str) -> Path | None:
        """No bundle has a parent."""
        return None


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- what is waited for happens in other processes
            await asyncio.sleep(0.01)


def process(pid: int) -> Path:
    """What the kernel says of a process."""
    return Path(f"/proc/{pid}")


def is_running(pid: int) -> bool:
    """Whether a process exists, if only as one that nobody has waited for."""
    return process(pid).exists()
