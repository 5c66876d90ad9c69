"""The list of a person's projects: ``projects.toml`` in the folder for settings of the XDG base directories.

Each line names a project and its folder. It is only a list: a project's own settings say where its stores are, and the
variables ``SPINE_*`` of this process, which were set for one project, say nothing about the others. It opens no store.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from modelspine.errors import BadInput
from modelspine.files import write_file
from modelspine.settings import Settings, load
from modelspine.text import visible

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_MOST = 200
_MAX_BYTES = 100_000
_KEPT = ("SPINE_ACTOR", "SPINE_DEBUG")
"""Variables that are about the person or the process, and not about one project."""
_FORM = 'write one line for each project, such as tickets = "/srv/tickets"'


class Listed(msgspec.Struct, frozen=True):
    """One line of the list."""

    name: str
    folder: Path | None = None
    problem: str = ""
    """Why it cannot be opened; empty where nothing is known against it. Its stores were not looked at."""


def xdg_folder(environ: Mapping[str, str], variable: str, default: str) -> Path | None:
    """The folder ``spine`` in one of the XDG base directories; ``default`` is below HOME. None without a home."""
    base = environ.get(variable, "")
    if Path(base).is_absolute():  # a relative path counts as unset, says the specification
        return Path(base) / "spine"
    home = environ.get("HOME", "")
    return Path(home) / default / "spine" if Path(home).is_absolute() else None


def projects_file(environ: Mapping[str, str]) -> Path | None:
    """Where the list is kept; None if there is no place for it."""
    folder = xdg_folder(environ, "XDG_CONFIG_HOME", ".config")
    return folder / "projects.toml" if folder is not None else None


def read_projects(environ: Mapping[str, str]) -> tuple[Listed, ...]:
    """The list in its own order; a line that is wrong is listed with its problem and spoils no other.

    Raises:
        BadInput: the file cannot be read as TOML.
    """
    path = projects_file(environ)
    if path is None or not path.exists():
        return ()
    table = _table(path)
    return tuple(_listed(name, value, environ) for name, value in list(table.items())[:_MOST])


def settings_of(name: str, environ: Mapping[str, str]) -> Settings:
    """The settings of a listed project, as a console started in its folder has them.

    Raises:
        BadInput: no project has that name, its folder is missing, or its settings are not valid.
    """
    known = read_projects(environ)
    found = next((each for each in known if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in known) or "none"
        raise BadInput(
            f"no project is called {visible(name, 60)!r} (listed: {visible(names, 200)})",
            f"add it to {projects_file(environ)}, or with `spine init --remember` in its folder",
        )
    if found.folder is None or found.problem:
        raise BadInput(f"the project {visible(name, 60)}: {found.problem}", f"correct it in {projects_file(environ)}")
    own = {name: value for name, value in environ.items() if not name.startswith("SPINE_") or name in _KEPT}
    try:
        return load(environ={**own, "SPINE_ROOT": str(found.folder)})
    except BadInput as error:  # its message names a file that every project has
        raise BadInput(
            f"the project {visible(name, 60)}: {error.message}", f"{error.hint} in {found.folder}"
        ) from error


def remember(root: Path, name: str, environ: Mapping[str, str]) -> Path | None:
    """Add a project to the list; returns the file, or None where the list has it already.

    The other lines stay as they are, with their comments.

    Raises:
        BadInput: the name cannot be one, is taken by another folder, or there is no place for the file.
    """
    path = projects_file(environ)
    if path is None:
        raise BadInput("there is no folder for the list of projects", "set HOME or XDG_CONFIG_HOME")
    if _NAME.fullmatch(name) is None:
        raise BadInput(
            f"{visible(name, 60)!r} cannot name a project in the list",
            "give 1 to 40 letters, digits, - and _: `spine init --remember NAME`",
        )
    table = _table(path) if path.exists() else {}
    if name in table:
        known = _listed(name, table[name], environ)
        if known.folder is not None and known.folder.resolve() == root.resolve():
            return None
        raise BadInput(
            f"{path} has another project {name!r}, {visible(str(table[name]), 200)}",
            "choose another name: `spine init --remember NAME`, or correct the list",
        )
    if any(isinstance(value, dict) for value in table.values()):
        raise BadInput(f"{path} has a table, behind which no line can be added", _FORM)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    gap = "" if not before or before.endswith("\n") else "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A JSON string is a TOML one, except for a slash that nobody escapes and DEL, which JSON may write as it is.
    quoted = json.dumps(str(root)).replace("\x7f", "\\u007f")
    write_file(path, f"{before}{gap}{name} = {quoted}\n".encode())
    return path


def _table(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise BadInput(f"{path} is larger than {_MAX_BYTES:,} bytes", _FORM)
        return tomllib.loads(raw.decode("utf-8-sig"))
    # Both a TOMLDecodeError and a UnicodeDecodeError are ValueErrors.
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} could not be read: {visible(str(error), 200)}", _FORM) from error


def _listed(name: str, value: object, environ: Mapping[str, str]) -> Listed:
    shown = visible(name, 60)
    if _NAME.fullmatch(name) is None:
        return Listed(shown, problem="its name may have only letters, digits, - and _, 40 at most")
    if not isinstance(value, str) or not value or "\x00" in value:
        return Listed(shown, problem="its value is not the folder of a project, as text")
    home = environ.get("HOME", "")
    folder = Path(f"{home}{value[1:]}" if home and (value == "~" or value.startswith("~/")) else value)
    if not folder.is_absolute():
        return Listed(shown, folder, problem=f"{visible(value, 200)} is not an absolute path")
    try:
        there = folder.is_dir()
    except OSError:
        there = False
    return Listed(shown, folder, problem="" if there else f"there is no folder {visible(str(folder), 200)}")
