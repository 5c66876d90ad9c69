"""The headless spine: identity, history and evidence of a small-model service.

    from modelspine import open_spine

    with open_spine(readonly=True) as spine:
        print(spine.registry.state().production)

    with modelspine.request(text, unit=customer) as r:
        r.output(models[r.entry.sha].predict(text))

The names in ``__all__`` are the public interface: ``open_spine``, ``Spine``, ``request`` and the errors they raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelspine.errors import (
    AmbiguousRef,
    BadInput,
    BundleRefused,
    CannotAnswer,
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
    from modelspine.recorded_request import request
    from modelspine.spine import Spine, open_spine

__all__ = [
    "AmbiguousRef",
    "BadInput",
    "BundleRefused",
    "CannotAnswer",
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
    "request",
]


def __getattr__(name: str) -> Any:
    """Import the facade on first access."""
    # Importing any submodule runs this file first; an eager import would make each of them load the whole facade.
    if name in ("Spine", "open_spine"):
        from modelspine import spine

        return getattr(spine, name)
    if name == "request":
        from modelspine.recorded_request import request

        return request
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
