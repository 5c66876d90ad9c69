"""Files as a commit holds them, each object on the way checked against the hash that names it.

Only git's objects are read, so attributes, filters, replaced objects and a changed index have no say. It knows nothing
of what the files mean.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import msgspec

from modelspine.errors import Unavailable
from modelspine.git import failed, nearest, run_git
from modelspine.text import visible

HEAD = "HEAD"
_SHA1_DIGITS = 40
"""Length of an object's name in a repository that does not use SHA-256."""
_TREE = re.compile(rb"[0-9a-f]{40,64} tree [0-9]+\n")
_FOLDER, _FILES = b"40000", (b"100644", b"100755")


class _Object(msgspec.Struct, frozen=True):
    """One object of git."""

    id: str
    kind: str
    raw: bytes


def file_at(root: Path, file: Path, commit: str = HEAD) -> bytes | None:
    """The bytes of a file in a commit of the repository that a folder is in.

    Args:
        root: the folder.
        file: the file's path, which need not exist.
        commit: the commit.

    Returns:
        None where repository, commit or file do not exist, or where it is no plain file there, such as a link.

    Raises:
        Unavailable: git refuses, is not installed, misses an object, or gives other bytes than an object's hash says.
    """
    folder = Path(os.path.realpath(root))
    top = nearest(folder)
    if top is None:
        return None
    # The name is taken as it is written: a link in the work tree leads nowhere here.
    name = os.path.relpath(os.path.normpath(folder / os.path.relpath(file, root)), top)
    parts = Path(name).parts
    if parts[:1] in ((), (os.pardir,)) or any(character in name + commit for character in "\n\0"):
        return None
    _check_one_repository(top)
    paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    found = _objects(top, [f"{commit}^{{commit}}", f"{commit}^{{tree}}", *(f"{commit}:{path}" for path in paths)])
    if found[0] is None:
        return None
    return _followed(found[0], found[1:], parts)


def _followed(commit: _Object, found: list[_Object | None], parts: tuple[str, ...]) -> bytes | None:
    """The file at the end of a path, each object being the one that the object before it names."""
    named = _checked(commit, commit.id).raw.split(b"\n", 1)[0].removeprefix(b"tree ").decode("ascii", "replace")
    here = _checked(found[0], named)
    for place, part in enumerate(parts, 1):
        mode, named = _entry(here, part)
        if mode not in (_FILES if place == len(parts) else (_FOLDER,)):
            return None
        here = _checked(found[place], named)
    return here.raw


def _check_one_repository(top: Path) -> None:
    """Check that no repository further up holds this folder's files, or nobody could say which one decides.

    Raises:
        Unavailable: one does, or git refuses to say.
    """
    outer = nearest(top.parent) if top.parent != top else None
    while outer is not None:
        place = top.relative_to(outer).as_posix()
        if "\n" in place:
            raise Unavailable("a folder above this one has a line break in its name", "rename it")
        done = run_git(outer, "cat-file", "--batch-check", stdin=f"HEAD:{place}\n".encode("utf-8", "surrogateescape"))
        if done.returncode != 0 and b"not a git repository" not in done.stderr:  # an empty `.git` is none
            raise failed(outer, done)
        if _TREE.fullmatch(done.stdout) is not None:
            raise Unavailable(
                f"{visible(str(top), 120)} is a repository of its own, and that of {visible(str(outer), 120)} holds "
                "its files too, so what is committed is not clear",
                "remove the `.git` that does not belong here",
            )
        outer = nearest(outer.parent) if outer.parent != outer else None


def _objects(top: Path, names: list[str]) -> list[_Object | None]:
    """The objects of some names; None for each that does not exist."""
    asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    done = run_git(top, "cat-file", "--batch", stdin=asked)
    if done.returncode != 0:
        raise failed(top, done)
    found: list[_Object | None] = []
    rest = done.stdout
    for _name in names:
        line, _, rest = rest.partition(b"\n")
        words = line.decode("ascii", "replace").rsplit(" ", 2)
        if len(words) != 3 or not words[2].isdigit():  # "NAME missing"
            found.append(None)
            continue
        size = int(words[2])
        found.append(_Object(words[0], words[1], rest[:size]))
        rest = rest[size + 1 :]
    return found


def _checked(found: _Object | None, named: str) -> _Object:
    """The object, which must be the one that was named, with the bytes that its hash says."""
    if found is None:
        raise Unavailable(
            f"git misses the object {visible(named[:12], 12)} of this commit", "fetch it again: `git fetch --refetch`"
        )
    digest = hashlib.sha1(usedforsecurity=False) if len(found.id) == _SHA1_DIGITS else hashlib.sha256()
    digest.update(f"{found.kind} {len(found.raw)}\0".encode())
    digest.update(found.raw)
    if found.id != named or digest.hexdigest() != named:
        raise Unavailable(
            f"git gives other bytes for the object {visible(named[:12], 12)} than its hash says",
            "the repository is damaged: see what `git fsck` says, or clone it again",
        )
    return found


def _entry(tree: _Object, name: str) -> tuple[bytes, str]:
    """The mode and the object's name of an entry of a tree; both are empty where there is none."""
    raw, size, at = tree.raw, len(tree.id) // 2, 0
    wanted = os.fsencode(name)
    while at < len(raw):
        end = raw.index(b"\0", at)
        mode, _, found = raw[at:end].partition(b" ")
        at = end + 1 + size
        if found == wanted:
            return mode, raw[end + 1 : at].hex()
    return b"", ""
