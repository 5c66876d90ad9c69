"""Asking an entry for its output again, from bundle bytes that are verified first.

It does not know which entry to ask or what the right answer is.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.registry.registry import Registry
from modelspine.workload import Workload, workload_errors


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry answers to a text now: its output, or the problem that prevented one."""

    output: str | None = None
    """None where there was no text to ask about; its bytes were verified all the same."""
    problem: str | None = None
    damaged: bool = False
    """True where the problem is that its bytes do not match its SHA."""
    unavailable: bool = False
    """True where the problem is that something did not answer, so nothing was checked."""


def ask(registry: Registry, workload: Callable[[], Workload], sha: str, text: str | None) -> Reply:
    """Verify the bytes of an entry and its parent, then ask it about a text; a ``SpineError`` becomes a problem."""
    try:
        folder, parent = registry.verified(sha), registry.parent_folder(sha)
        if text is None:
            return Reply()
        model = workload()
        with workload_errors(model.name):
            return Reply(output=model.load(folder, parent).answer([text])[0].output)
    except SpineError as error:
        return Reply(
            problem=error.message, damaged=isinstance(error, Damaged), unavailable=isinstance(error, Unavailable)
        )
