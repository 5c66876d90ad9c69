"""Putting a text to an entry now, from bytes that are hashed first.

It does not know which entry should be asked, nor what the right answer is.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from modelspine.errors import Damaged, SpineError
from modelspine.registry.registry import Registry
from modelspine.workload import Workload, workload_errors


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry says to a text: its output, or the problem that kept it from answering."""

    output: str | None = None
    """None where no text was put to it: its bytes were verified all the same."""
    problem: str | None = None
    damaged: bool = False
    """True where the problem is that its bytes are not what its SHA says."""


def ask(registry: Registry, workload: Callable[[], Workload], sha: str, text: str | None) -> Said:
    """Verify an entry's bytes (and its parent's) and put a text to it; never raises a ``SpineError``."""
    try:
        folder, parent = registry.verified(sha), registry.parent_folder(sha)
        if text is None:
            return Said()
        model = workload()
        with workload_errors(model.name):
            return Said(output=model.load(folder, parent).answer([text])[0].output)
    except SpineError as error:
        return Said(problem=error.message, damaged=isinstance(error, Damaged))
