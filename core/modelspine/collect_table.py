"""The table ``[collect]`` of ``spine.toml``: where spans keep what a trace needs, if not under the usual names.

This module only checks what was written.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""The name of an attribute of a span, such as ``app.score``; or the member of one that is an object: ``out#label``."""
_MOST_NAMES = 40


class Tokens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attributes that hold the numbers of tokens read and written."""

    input: Attribute | None = None
    output: Attribute | None = None


class CollectTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the spans of a service keep what a trace needs; the usual names are looked for where this says nothing."""

    model: Attribute | None = None
    """The attribute that names the model: by SHA, semver, ``models:/name@alias``, or a name that was claimed."""
    input: Attribute | None = None
    """A text, or JSON as text or as an object, which is then read by ``[workload]``."""
    output: Attribute | None = None
    unit: Attribute | None = None
    """The attribute that names the user, customer or device."""
    features: dict[str, Attribute] = {}
    """Column of ``[workload]`` or name of a feature → attribute."""
    tokens: Tokens = Tokens()
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0
    """How long spans wait for the span that received their request, where that comes later or never."""
    bound: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 200_000
    """How many spans may wait; beyond it exports are refused and have to be sent again."""

    @property
    def summary(self) -> str:
        """One line on what differs from the usual: ``model = app.model, wait_seconds = 2``.

        Where nothing does, it says so.
        """
        given = msgspec.to_builtins(self)
        flat: dict[str, object] = {}
        for name, value in given.items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}": each for key, each in value.items() if each is not None}
            elif value != _default_of(name):
                flat[name] = value
        return ", ".join(f"{name} = {value}" for name, value in flat.items()) or "the usual attributes"

    def __post_init__(self) -> None:
        """Check what the types cannot say; msgspec reports a ``ValueError`` with the place in the file."""
        if len(self.features) > _MOST_NAMES:
            raise ValueError(f"at most {_MOST_NAMES} features")
        for name in self.features:
            if not 0 < len(name) <= _MOST_NAMES or not name.isprintable():
                raise ValueError(f"{name[:60]!r} cannot name a feature: 1 to 40 printable characters")


def _default_of(name: str) -> object:
    """The value that a key has where the table does not give it."""
    return next(field.default for field in msgspec.structs.fields(CollectTable) if field.name == name)
