"""What names a model in MLflow: a run id, ``runs:/ID/path``, ``models:/name/3``, ``models:/name@alias`` and others.

Pure: it reads the text of a source and says what it names. It asks no server whether that exists.
"""

from __future__ import annotations

import re
from typing import Literal, NoReturn

import msgspec

from modelspine.errors import BadInput
from modelspine.files import path_fault
from modelspine.text import visible

FORMS = "an MLflow run id, runs:/ID/path, models:/name/3, models:/name@alias or models:/m-…"
MAX_SOURCE = 200
"""Characters of a source; the event of an entry records it, and the size of an event is limited."""
_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)
_LOGGED = re.compile(r"m-[0-9a-f]{32}", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_NAME = re.compile(r"[^/:@\x00-\x1f\x7f]{1,120}")
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One source, read."""

    kind: Literal["run", "version", "alias", "latest", "logged_model"]
    id: str
    """The run's id, the logged model's id, or the registered model's name."""
    version: str = ""
    alias: str = ""
    path: str | None = None
    """The folder below, with "/" between its parts; empty for the top, None where the source names no folder."""

    def __str__(self) -> str:
        """The source as people write it."""
        below = f"/{self.path}" if self.path else ""
        if self.kind == "run":
            return f"runs:/{self.id}{below}"
        end = {"version": f"/{self.version}", "alias": f"@{self.alias}", "latest": "/latest"}.get(self.kind, "")
        return f"models:/{self.id}{end}{below}"


def is_uri(text: str) -> bool:
    """Whether a text can only be a source in MLflow, and no folder of this machine."""
    return text.startswith(("runs:/", "models:/"))


def read_source(text: str, path: str | None = None) -> Source:
    """Read a source; ``path`` is a folder below it that was given separately.

    Raises:
        BadInput: it is none, or the path leads out of it.
    """
    if len(text) + len(path or "") > MAX_SOURCE:
        raise BadInput(f"{visible(text, 60)!r} is longer than {MAX_SOURCE} characters", f"give {FORMS}")
    scheme, separator, rest = text.partition(":/")
    if not separator:
        found = Source(kind="run", id=_checked(_RUN, text, text))
    elif scheme == "runs":
        run_id, slash, below = rest.partition("/")
        found = Source(kind="run", id=_checked(_RUN, run_id, text), path=_folder(below, text) if slash else None)
    elif scheme == "models":
        found = _model(rest, text)
    else:
        _refuse(text)
    if path is None:
        return found
    return msgspec.structs.replace(found, path=_folder("/".join(filter(None, (found.path, path))), path))


def _model(rest: str, text: str) -> Source:
    """A version, an alias or a logged model."""
    first, *parts = rest.split("/")
    if _LOGGED.fullmatch(first):
        return Source(kind="logged_model", id=first, path=_below(parts, text))
    if "@" in first:
        name, _, alias = first.rpartition("@")
        alias, below = _checked(_ALIAS, alias, text), _below(parts, text)
        return Source(kind="alias", id=_checked(_NAME, name, text), alias=alias, path=below)
    name = _checked(_NAME, first, text)
    if not parts:
        _refuse(text)
    version, below = parts[0], _below(parts[1:], text)
    if version.lower() == "latest":
        return Source(kind="latest", id=name, path=below)
    return Source(kind="version", id=name, version=_checked(_VERSION, version, text), path=below)


def _below(parts: list[str], text: str) -> str | None:
    return _folder("/".join(parts), text) if parts else None


def _folder(path: str, given: str) -> str:
    """A folder below a source; empty for "." and for the source's top."""
    parts = path.strip("/").split("/") if path.strip("/") not in ("", ".") else []
    fault = path_fault("/".join(parts), MAX_SOURCE) if parts else None
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts) or fault:
        raise BadInput(
            f"{visible(given, 80)!r} is not the path of a folder in MLflow's artifacts",
            "write it relative to them, without `..`, such as model/encoder; `.` is their top",
        )
    return "/".join(parts)


def _checked(pattern: re.Pattern[str], part: str, text: str) -> str:
    if pattern.fullmatch(part) is None or visible(part, len(part)) != part:
        _refuse(text)
    return part


def _refuse(text: str) -> NoReturn:
    raise BadInput(f"{visible(text, 80)!r} names nothing in MLflow", f"give {FORMS}")
