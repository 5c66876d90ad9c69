"""The headless spine: identity, history and evidence of a small-model service.

    from modelspine import open_spine

    with open_spine(readonly=True) as spine:
        print(spine.registry.state().production)

The names in ``__all__`` are the public interface: ``open_spine``, ``Spine`` and the errors they raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelspine.errors import (
    AmbiguousRef,
    BadInput,
    BundleRefused,
    Conflict,
    Damaged,
    Exit,
    Locked,
    Refused,
    Replaced,
    SpineError,
    Unavailable,
    UnknownRef,
)

if TYPE_CHECKING:
    from modelspine.spine import Spine, open_spine

__all__ = [
    "AmbiguousRef",
    "BadInput",
    "BundleRefused",
    "Conflict",
    "Damaged",
    "Exit",
    "Locked",
    "Refused",
    "Replaced",
    "Spine",
    "SpineError",
    "Unavailable",
    "UnknownRef",
    "open_spine",
]


def __getattr__(name: str) -> Any:
    """Import the facade on first access."""
    # Importing any submodule runs this file first; an eager import would make each of them load the whole facade.
    if name in ("Spine", "open_spine"):
        from modelspine import spine

        return getattr(spine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
