"""Asking an entry for its output again, from bundle bytes that are verified first.

It does not know which entry to ask or what the right answer is.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.identity.private_copies import PrivateCopies
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
        if text is None:
            registry.verified(sha), registry.parent_folder(sha)
            return Reply()
        own = workload()
        with PrivateCopies() as copies, workload_errors(own.name):
            model = own.load(*copies.both(registry, sha))
            return Reply(output=model.answer([text])[0].output)
    except SpineError as error:
        return Reply(
            problem=error.message, damaged=isinstance(error, Damaged), unavailable=isinstance(error, Unavailable)
        )
