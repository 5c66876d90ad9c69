"""What the console remembers from one start to the next: theme, layout, columns, order, the last screen and histories.

It is kept in the folder for state of the XDG base directories, apart from the settings, which only people write. A file
that cannot be read is set aside, because nothing in it is worth a console that does not open.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from modelspine.files import OWNER, write_file
from modelspine.projects import xdg_folder

_Text = Annotated[str, msgspec.Meta(max_length=300)]
_Texts = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=100)]
_MAX_BYTES = 1_000_000


class ScreenState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one screen was left."""

    zoomed: bool = False
    sort: str = ""
    """Title of the column that its list was sorted by; empty for the original order."""
    backwards: bool = False
    hidden: _Texts = ()
    """Titles of the columns of its list that are not shown."""


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered."""

    theme: str = ""
    """Name of the theme; empty if none was chosen."""
    ascii: bool | None = None
    """Whether everything is drawn in ASCII; None if that was not chosen."""
    screen: str = ""
    """Name of the screen that was open last."""
    screens: dict[str, ScreenState] = {}
    commands: _Texts = ()
    """Texts entered behind ``:``, oldest first."""
    filters: _Texts = ()
    """Texts entered behind ``/``, oldest first."""


NOTHING = State()
"""The state of a console that was never opened."""


def starting(state: State, theme: str, ascii: bool | None, *, demo: bool) -> State:  # noqa: A002
    """The state to start with: what was set wins over what was chosen last, and a demo begins at its beginning."""
    chosen = State(
        theme=theme or state.theme,
        ascii=state.ascii if ascii is None else ascii,
    )
    return chosen if demo else msgspec.structs.replace(state, theme=chosen.theme, ascii=chosen.ascii)


def state_file(environ: Mapping[str, str]) -> Path | None:
    """Where the state is kept; None if there is no place for it."""
    folder = xdg_folder(environ, "XDG_STATE_HOME", ".local/state")
    return folder / "console.json" if folder is not None else None


def read_state(path: Path | None) -> tuple[State, str]:
    """The remembered state, and what was wrong with its file; an empty state if there is none that can be read."""
    if path is None:
        return State(), ""
    try:
        with path.open("rb") as stream:
            return msgspec.json.decode(stream.read(_MAX_BYTES), type=State), ""
    except FileNotFoundError:
        return State(), ""
    # A ValidationError is a DecodeError; text that is not UTF-8 and deep nesting raise errors of their own.
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return State(), f"{path} could not be read, so the console starts with its defaults: {error}"


def write_state(path: Path | None, state: State) -> None:
    """Remember the state; a folder that cannot be written to is no reason to end with an error."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Histories contain texts that were searched for, which may be those of learners.
        write_file(path, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n", mode=OWNER)
    except OSError:
        return
