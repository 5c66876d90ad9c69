"""Reading which outputs a ``.dvc`` file or a ``dvc.lock`` tracks. It does not know DVC's cache or git.

Whoever may write such a file must not decide that another file of this machine is read, so a path that leads out of
the repository is left out.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from typing import Any

import msgspec

LOCK, PIPELINE = "dvc.lock", "dvc.yaml"
DIRECTORY = ".dir"
"""A hash that ends in this is that of a directory's listing."""


class Member(msgspec.Struct, frozen=True):
    """A file of a tracked directory: its path below the directory, and its MD5."""

    path: str
    md5: str


class Out(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a stage."""

    path: str
    """The data file or directory, from the top of the repository."""
    dvc_hash: str
    """Its MD5; of a directory that of the listing, followed by ``.dir``."""
    legacy: bool = False
    """True where DVC 2 hashed it: an MD5 of text is that with LF line ends."""
    kind: str | None = None
    """What the ``.dvc`` file's author calls it, such as ``eval``."""
    members: tuple[Member, ...] = ()
    """The files of a directory that are named in the same file, as for remotes that keep versions themselves."""
    fields: dict[str, Any] = {}
    """The output as it is written, for DVC to read."""


def is_tracking(name: str) -> bool:
    """Whether a file of this name names outputs."""
    base = posixpath.basename(name)
    return base == LOCK or (base.endswith(".dvc") and base != ".dvc")


def outs(text: str, name: str, pipeline: str = "") -> list[Out]:
    """The outputs that a ``.dvc`` file or a ``dvc.lock`` names; empty for invalid YAML.

    Args:
        text: the content.
        name: its path from the top of the repository.
        pipeline: the content of the ``dvc.yaml`` beside a ``dvc.lock``, which has the stages' folders.
    """
    folder = posixpath.dirname(name)
    document = _yaml(text)
    if posixpath.basename(name) != LOCK:
        return list(_listed(document, _joined(folder, document.get("wdir"))))
    stages = document.get("stages") if "schema" in document else document  # DVC 1 had the stages at the top
    folders = _folders(_yaml(pipeline) if pipeline else {})
    found: list[Out] = []
    for stage, content in stages.items() if isinstance(stages, dict) else ():
        if isinstance(content, dict):
            # Stages of a matrix or a loop are called NAME@VALUE.
            plain, _, value = str(stage).partition("@")
            wdir = folders.get(str(stage), folders.get(plain))
            found += _listed(content, _joined(folder, wdir.replace("${item}", value) if wdir else None))
    return found


def is_readable(text: str) -> bool:
    """Whether the content of a ``.dvc`` file or a ``dvc.lock`` is a YAML object, or empty.

    One in the middle of a merge is none, and so it is unknown what it names.
    """
    return not text.strip() or _document(text) is not None


def names(out: Out, dvc_hash: str) -> bool:
    """Whether an output, or a file that it names itself, has a hash."""
    return out.dvc_hash == dvc_hash or any(member.md5 == dvc_hash for member in out.members)


def members_of(listing: bytes) -> tuple[Member, ...] | None:
    """The files that a directory's listing names; None where it is no listing or a path leads out of the directory."""
    try:
        rows = msgspec.json.decode(listing, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    members = [_member(row) for row in rows]
    return tuple(member for member in members if member is not None) if None not in members else None


def _yaml(text: str) -> dict[Any, Any]:
    return _document(text) or {}


def _document(text: str) -> dict[Any, Any] | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, RecursionError, ValueError):  # a deep nesting, a date that does not exist
        return None
    return document if isinstance(document, dict) else None


def _folders(pipeline: dict[Any, Any]) -> dict[str, str]:
    """The working directory of each stage of a ``dvc.yaml`` that has one of its own."""
    stages = pipeline.get("stages")
    found = {}
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        content = stage.get("do", stage) if isinstance(stage, dict) else {}
        wdir = content.get("wdir") if isinstance(content, dict) else None
        if isinstance(wdir, str):
            found[str(name)] = wdir
    return found


def _listed(stage: dict[Any, Any], folder: str | None) -> Iterator[Out]:
    listed = stage.get("outs")
    for out in listed if isinstance(listed, list) and folder is not None else ():
        found = _out(out, folder or "") if isinstance(out, dict) else None
        if found is not None:
            yield found


def _out(out: dict[Any, Any], folder: str) -> Out | None:
    path = _inside(folder, out.get("path"))
    members: tuple[Member, ...] = ()
    dvc_hash = out.get("md5")
    if isinstance(out.get("files"), list):
        listed = [_member(row) if isinstance(row, dict) else None for row in out["files"]]
        members = tuple(member for member in listed if member is not None)
        dvc_hash = listing_hash(members) if len(members) == len(listed) else None
    if path is None or not dvc_hash:
        return None
    kind = out.get("type")
    return Out(
        path=path,
        dvc_hash=str(dvc_hash),
        legacy=out.get("hash") is None,
        kind=str(kind) if kind is not None else None,
        members=members,
        fields={str(name): value for name, value in out.items()},
    )


def listing_hash(members: tuple[Member, ...]) -> str:
    """The hash that DVC gives to a directory of these files."""
    rows = [{"md5": member.md5, "relpath": member.path} for member in sorted(members, key=lambda each: each.path)]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + DIRECTORY


def _member(row: dict[Any, Any]) -> Member | None:
    path, md5 = _inside("", row.get("relpath")), row.get("md5")
    return Member(path, md5) if path is not None and isinstance(md5, str) else None


def _joined(folder: str, wdir: object) -> str | None:
    """The folder from which a stage's paths count; None where it is outside of the repository."""
    # Only DVC itself can fill in another template. The hash is found all the same, and its bytes in the cache.
    if not isinstance(wdir, str) or not wdir or "${" in wdir:
        return folder
    whole = posixpath.normpath(posixpath.join(folder, wdir))
    if whole == ".":
        return ""
    return None if whole.startswith(("/", "../")) or whole == ".." or "\0" in whole else whole


def _inside(folder: str, path: object) -> str | None:
    """A path in a folder, from the top of the repository; None where it is none, or is outside."""
    text = str(path) if isinstance(path, str | int | float) else ""
    whole = posixpath.normpath(posixpath.join(folder, text))
    outside = whole.startswith(("/", "../")) or whole in ("..", ".") or "\0" in whole or "://" in text
    return None if not text or outside else whole
