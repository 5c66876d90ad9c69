"""From a DVC hash to its files on this machine: the output that has it, and the bytes of each of its parts.

A hash is that of a file, of a directory's listing, or of a file in a tracked directory. It is looked for in the work
tree first and then in git's history. Nothing is verified here but listings, without which no file can be named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.git import git_output
from modelspine.lineage.dvc_cache import cache_folder, cached, settings
from modelspine.lineage.dvc_fetch import fetch
from modelspine.lineage.dvc_file import DIRECTORY, LOCK, Member, listing_hash, members_of, names
from modelspine.lineage.dvc_hash import Digest
from modelspine.lineage.dvc_history import directories, in_history, not_found
from modelspine.lineage.dvc_repository import Repository, Tracked
from modelspine.text import argument, visible

_PIECE = 2**20
CHANGED = "the file was changed after DVC recorded it: `dvc fetch` an intact copy, and find out what changed it"


class Part(NamedTuple):
    """A file of a corpus."""

    name: str
    """Its path below the directory; the file's own name where the corpus is a file."""
    file: Path
    """Where its bytes are, in a cache or in the work tree."""
    md5: str
    legacy: bool
    """Whether the MD5 is by the rule of DVC 2."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The output that has a hash, or whose directory has a file with it."""

    dvc_hash: str
    repository: Repository
    tracked: Tracked
    revision: str
    """The commit whose file names it; empty where only the work tree does."""
    at_head: bool
    member: str = ""
    """The path below a tracked directory of the file with the hash; empty where the output itself has it."""

    @property
    def path(self) -> str:
        """The data file or directory, from the top of the repository."""
        return f"{self.tracked.out.path}/{self.member}" if self.member else self.tracked.out.path


def find(repository: Repository, dvc_hash: str, *, path: str = "", remote: str | None = None) -> Found:
    """Find the output that has a hash.

    Args:
        repository: where to look.
        dvc_hash: the hash.
        path: the data file, from the project's folder, where somebody says which one it is.
        remote: the URL of a remote from which a directory's listing may be fetched, empty for that of DVC's settings;
            None fetches nothing.

    Raises:
        UnknownRef: nothing in the repository ever named it.
        Unavailable: git, or a listing that may name it, could not be read.
    """
    for tracked in repository.tracked(dvc_hash):
        if names(tracked.out, dvc_hash):
            return _within(_at_head(repository, tracked, dvc_hash), tracked.out.members, dvc_hash, path)
    if repository.with_git and (past := in_history(repository, dvc_hash)) is not None:
        found = Found(dvc_hash=dvc_hash, repository=repository, tracked=past[0], revision=past[1], at_head=False)
        return _within(found, past[0].out.members, dvc_hash, path)
    unread: SpineError | None = None
    if not dvc_hash.endswith(DIRECTORY):
        for found in _directories(repository, dvc_hash):
            try:
                members = _fetched_members(found, path, remote)
            except SpineError as error:
                unread = unread or error
                continue
            if any(member.md5 == dvc_hash for member in members):
                return _within(found, members, dvc_hash, path)
    absent = not_found(repository, dvc_hash)
    if unread is None or isinstance(absent, Unavailable):
        raise absent
    raise Unavailable(f"it is unknown whether a directory holds {dvc_hash[:12]}: {unread.message}", unread.hint)


def named(repository: Repository, path: str) -> list[tuple[str, str]]:
    """The (path, hash) of what the work tree's files track under a path from the project's folder.

    That is an output, or a file in a tracked directory.

    Raises:
        Unavailable, Damaged: the listing of the directory could not be read.
    """
    found: list[tuple[str, str]] = []
    for tracked in repository.tracked():
        shown = repository.shown(tracked.out.path)
        if shown == path:
            found.append((path, tracked.out.dvc_hash))
        elif path.startswith(f"{shown}/") and tracked.out.dvc_hash.endswith(DIRECTORY):
            members = _members(_at_head(repository, tracked, tracked.out.dvc_hash))
            found += [(path, member.md5) for member in members if f"{shown}/{member.path}" == path]
    return found


def parts(found: Found, *, remote: str | None = None) -> tuple[Part, ...]:
    """The files of what was found, in the order of their paths; with a ``remote`` those not here are fetched.

    Raises:
        Unavailable: a file is not on this machine, or could not be fetched.
        Damaged: a directory's listing does not match its hash.
    """
    try:
        return _here(found)
    except Unavailable:
        root = found.repository.dvc_root(found.tracked.file)
        if root is not None:
            settings(root)  # where DVC is missing, that is the reason: it may be in a cache that only DVC knows of
        if remote is None or root is None:
            raise
        said = fetch(found.tracked, found.repository.top, root, remote, member=found.member)
    try:
        return _here(found)
    except Unavailable as error:
        says = f"; it says: {said}" if said else ""
        raise Unavailable(
            f"no remote of DVC has the rows of {visible(found.path, 80)} ({found.dvc_hash[:12]}){says}",
            "check `dvc remote list`, or set SPINE_DVC_REMOTE to the remote's URL",
        ) from error


def digest_of(file: Path, *, legacy: bool) -> Digest:
    """The digests of a file's bytes."""
    digest = Digest(legacy=legacy)
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest


def _within(found: Found, members: tuple[Member, ...], dvc_hash: str, path: str) -> Found:
    """What was found, narrowed to the file with the hash unless the output itself has it."""
    named = sorted(member.path for member in members if member.md5 == dvc_hash)
    if found.tracked.out.dvc_hash == dvc_hash or not named:
        return found
    # Several files of a directory may have the same content; the one that is spoken of is named.
    folder = found.tracked.out.path
    spoken = [name for name in named if found.repository.shown(f"{folder}/{name}") == path]
    return msgspec.structs.replace(found, dvc_hash=dvc_hash, member=(spoken or named)[0])


def _at_head(repository: Repository, tracked: Tracked, dvc_hash: str) -> Found:
    revision = repository.revision(tracked.file)
    return Found(dvc_hash=dvc_hash, repository=repository, tracked=tracked, revision=revision, at_head=True)


def _directories(repository: Repository, dvc_hash: str) -> Iterator[Found]:
    """Every directory that is tracked, or was and may have a file with a hash."""
    seen = set()
    for tracked in repository.tracked():
        if tracked.out.dvc_hash.endswith(DIRECTORY):
            seen.add(tracked.out.dvc_hash)
            yield _at_head(repository, tracked, tracked.out.dvc_hash)
    caches = [cache_folder(root) for root in repository.dvc_roots()]
    for directory in directories(repository):
        # Reading a listing that is here is cheaper than finding its commit, which is needed only if it names the hash.
        listings = cached(caches, directory)
        if directory in seen or any(dvc_hash.encode() not in listing.read_bytes() for listing in listings):
            continue
        past = in_history(repository, directory)
        if past is not None:
            yield Found(dvc_hash=directory, repository=repository, tracked=past[0], revision=past[1], at_head=False)


def _fetched_members(found: Found, path: str, remote: str | None) -> tuple[Member, ...]:
    """The files of a directory; its listing is fetched if the file that is spoken of lies in it."""
    root, folder = found.repository.dvc_root(found.tracked.file), f"{found.repository.shown(found.tracked.out.path)}/"
    try:
        return _members(found)
    except Unavailable:
        if remote is None or root is None or not path.startswith(folder):
            raise
    fetch(found.tracked, found.repository.top, root, remote, member=path.removeprefix(folder))
    return _members(found)


def _here(found: Found) -> tuple[Part, ...]:
    """The files of what was found, all of them on this machine."""
    out, caches = found.tracked.out, _caches(found)
    if found.member:
        named = [Member(found.member, found.dvc_hash)]
    elif out.dvc_hash.endswith(DIRECTORY):
        named = sorted(_members(found), key=lambda member: member.path)
    else:
        named = [Member("", out.dvc_hash)]
    found_parts, missing = [], 0
    for member in named:
        file = _file(found, member, caches)
        missing += file is None
        name = member.path or Path(out.path).name
        found_parts += [Part(name, file, member.md5, out.legacy)] if file is not None else []
    if missing:
        many = f"{missing:,} of {len(named):,} files" if len(named) > 1 else "the rows"
        raise _not_here(found, f"{many} of {visible(found.path, 80)} ({found.dvc_hash[:12]}) are")
    return tuple(found_parts)


def _members(found: Found) -> tuple[Member, ...]:
    """The files of a directory, as its verified listing names them."""
    out = found.tracked.out
    if out.members:
        return out.members
    for listing in cached(_caches(found), out.dvc_hash):
        raw = listing.read_bytes()
        digest = Digest()
        digest.update(raw)
        members = members_of(raw)
        if digest.md5() + DIRECTORY != out.dvc_hash or members is None:
            shown = f"the listing of {visible(out.path, 80)} is not the one that DVC recorded as {out.dvc_hash[:12]}"
            raise Damaged(shown, CHANGED)
        return members
    folder = found.repository.top / out.path
    if found.at_head and folder.is_dir() and found.repository.holds(folder):
        files = [file for file in sorted(folder.rglob("*")) if file.is_file() and found.repository.holds(file)]
        digests = {file: digest_of(file, legacy=out.legacy).md5() for file in files}
        members = tuple(Member(file.relative_to(folder).as_posix(), md5) for file, md5 in digests.items())
        if listing_hash(members) == out.dvc_hash:
            return members
    raise _not_here(found, f"the listing of {visible(out.path, 80)} ({out.dvc_hash[:12]}) is")


def _file(found: Found, member: Member, caches: list[Path]) -> Path | None:
    """The file with a member's bytes, by its name: in a cache, else in the work tree."""
    held = next(iter(cached(caches, member.md5)), None)
    if held is not None or not found.at_head:
        return held
    file = found.repository.top / found.tracked.out.path / member.path
    # DVC itself may have put a link there that leads into its cache; no other link may lead out of the repository.
    target = file.resolve()
    inside = found.repository.holds(file) or any(target.is_relative_to(cache.resolve()) for cache in caches)
    return file if file.is_file() and inside else None


def _caches(found: Found) -> list[Path]:
    """DVC's caches that may hold an output: that of its repository, and those of other work trees of it."""
    repository = found.repository
    root = repository.dvc_root(found.tracked.file)
    if root is None:
        return []
    folders = [cache_folder(root)]
    if repository.with_git:
        listed = git_output(repository.top, "worktree", "list", "--porcelain").splitlines()
        tops = [Path(os.fsdecode(line.removeprefix(b"worktree "))) for line in listed if line.startswith(b"worktree ")]
        folders += [top / root.relative_to(repository.top) / ".dvc" / "cache" for top in tops]
    return list(dict.fromkeys(folders))


def _pull(found: Found) -> str:
    """The command by which DVC itself fetches an output of the work tree, for the project's folder."""
    repository, root = found.repository, found.repository.dvc_root(found.tracked.file)
    # DVC takes no dvc.lock for a target, and is to be run in a folder that it knows.
    target = repository.top / (found.tracked.out.path if found.tracked.file.endswith(LOCK) else found.tracked.file)
    if root is None or repository.root.is_relative_to(root):
        return f"dvc pull {argument(visible(os.path.relpath(target, repository.root), 120))}"
    folder = argument(visible(os.path.relpath(root, repository.root), 120))
    return f"dvc --cd {folder} pull {argument(visible(target.relative_to(root).as_posix(), 120))}"


def _not_here(found: Found, what: str) -> Unavailable:
    """The error for bytes that are not on this machine, with the command that brings them."""
    if found.at_head:
        return Unavailable(f"{what} not on this machine", f"fetch them with `{_pull(found)}`")
    return Unavailable(f"{what} not on this machine", f"fetch that version with `spine corpus get {found.dvc_hash}`")
