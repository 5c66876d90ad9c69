"""The settings of the console itself: ``console.toml`` in the folder for settings of the XDG base directories.

People write it, the console only reads it. A mistake in it is an error that names the file and the way out, because a
key that silently does not do what it was set to is dangerous.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from modelspine.errors import BadInput
from modelspine.projects import xdg_folder
from modelspine.text import visible
from modelspine_console.data.completion import did_you_mean

_EXAMPLE = "the README shows an example of this file below its table of keys"


class Preferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator has set."""

    theme: str = ""
    """Name of the theme to start with; empty for the one that was chosen last."""
    ascii: bool | None = None
    """Whether everything is drawn in ASCII; None for what was chosen last."""
    keys: dict[str, str | tuple[str, ...]] = {}
    """Action id → the key, or the keys, that perform it instead of those it has by default."""


def preferences_file(environ: Mapping[str, str]) -> Path | None:
    """Where the settings are looked for; None if there is no place for them."""
    folder = xdg_folder(environ, "XDG_CONFIG_HOME", ".config")
    return folder / "console.toml" if folder is not None else None


def read_preferences(path: Path | None) -> Preferences:
    """The settings; the defaults if there is no file.

    Raises:
        BadInput: the file cannot be read, or has an unknown setting or a value of the wrong type.
    """
    if path is None:
        return Preferences()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except FileNotFoundError:
        return Preferences()
    # Both a TOMLDecodeError and a UnicodeDecodeError are ValueErrors.
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} could not be read: {visible(str(error), 200)}", "fix it, or move it away") from error
    known = Preferences.__struct_fields__
    for name in table:
        if name not in known:
            hint = did_you_mean(name, known) or f"known settings: {', '.join(known)}"
            raise BadInput(f"{path} has an unknown setting {visible(name, 40)!r}", hint)
    try:
        return msgspec.convert(table, Preferences)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {visible(str(error), 200)}", _EXAMPLE) from error
