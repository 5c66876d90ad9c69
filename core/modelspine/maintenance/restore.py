"""Restoring an archive: unpacking it into a staging folder, verifying every digest, then moving files into place.

It restores only into empty places and replaces nothing. Checking files against the restored ledger is the task of
``maintenance.verify_ledger``. It does not know how an archive is made.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Damaged
from modelspine.files import sync_folder
from modelspine.ledger.mark import NAME as MARK
from modelspine.ledger.mark import write_mark
from modelspine.ledger.store import Head
from modelspine.maintenance.backup import (
    MANIFEST,
    SCHEMA,
    SUMS,
    Manifest,
    Part,
    Progress,
    database,
    folders,
    part_totals,
    place_of,
)
from modelspine.maintenance.store_copies import STORES, copied_in, on_server, refuse_used
from modelspine.maintenance.tar_archive import Member, Reader, opened
from modelspine.maintenance.witness import parse_checkpoint
from modelspine.settings import Settings
from modelspine.text import visible

_MAX_TEXT = 2**28
"""Largest size of the list of digests, in bytes: enough for a million files, and it fits into memory."""
_URIS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow's database with the location of artifacts."""
_CHANGED = "the archive was changed or truncated; nothing was restored; use another backup"
_NOT_OURS = "give a file that `spine backup` wrote; nothing was restored"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A completed restore."""

    into: str
    ledger: str
    env: str
    manifest_sha256: str
    parts: tuple[Part, ...]


def restore(archive: Path, settings: Settings, *, progress: Progress) -> tuple[Restored, Head]:
    """Restore an archive into the empty places that the settings name; returns the head its ledger must have.

    Raises:
        BadInput: there is no such archive, a place is not empty, or the file was not written by ``spine backup``.
        Damaged: a file does not match its digest, or the archive is incomplete.
        Unavailable: the disk is full.
    """
    # Before anything else: of a name mistyped in an existing project, the error must say that no such archive exists.
    with opened(archive):
        pass
    _check_empty(settings)
    root = settings.home.parent
    existed = root.is_dir()
    root.mkdir(parents=True, exist_ok=True)
    # Beside the home, so that it is on the same file system and moving a file is a rename.
    staging = settings.home.with_name(f".{settings.home.name}.restoring-{os.urandom(6).hex()}")
    try:
        with opened(archive) as reader:
            members, manifest, digest = _unpacked(reader, settings, staging, progress)
        _relocated(staging, Path(manifest.artifacts), settings.artifacts)
        loads = list(_loads(members, settings, staging))
        moves = list(_moves(members, settings, staging, {source for _, source, _ in loads}))
        for name, source, url in loads:
            if name != "ledger":
                copied_in(name, source, url, progress)
        for number, (source, target) in enumerate(moves, 1):
            progress("files", number, len(moves))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
        settings.home.mkdir(parents=True, exist_ok=True)
        for name, source, url in loads:
            if name == "ledger":
                copied_in(name, source, url, progress)
        sync_folder(settings.home)
        # The mark of the ledger that was here before says nothing about this one.
        write_mark(settings.home / MARK, parse_checkpoint(manifest.ledger))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed and next(root.iterdir(), None) is None:
            root.rmdir()
    done = Restored(
        into=str(settings.root),
        ledger=manifest.ledger,
        env=manifest.env,
        manifest_sha256=digest,
        parts=tuple(part_totals(members)),
    )
    return done, parse_checkpoint(manifest.ledger)


def _check_empty(settings: Settings) -> None:
    """Refuse to restore where something exists, so that a restore never loses data.

    Drift reports may exist, as they are usually in git; ``_moves`` compares them.
    """
    for name in STORES:
        if on_server(url := str(getattr(settings, name))):
            refuse_used(name, url)
    places = [database(settings, name) for name in ("ledger", "traces", "mlflow") if _is_file(settings, name)]
    places += [folder for name, folder in folders(settings).items() if name != "drift_reports"]
    for place in places:
        with suppress(FileNotFoundError, NotADirectoryError):
            if place.is_dir() and next(place.iterdir(), None) is None:
                continue
            place.lstat()
            raise BadInput(
                f"{visible(str(place), 160)} already exists, and a restore replaces nothing",
                "give an empty folder: `spine restore F --into DIR`, or move it away first",
            )


def _is_file(settings: Settings, name: str) -> bool:
    """Whether a database of the settings is a file; a server of MLflow is left as it is."""
    url = str(getattr(settings, name))
    return not on_server(url) and (name != "mlflow" or url.startswith("sqlite:"))


def _unpacked(
    reader: Reader, settings: Settings, staging: Path, progress: Progress
) -> tuple[list[Member], Manifest, str]:
    """Unpack all members into the staging folder and verify them against the list at the archive's end.

    Also returns the manifest and its SHA-256.
    """
    found: list[Member] = []
    sums = raw = b""
    for number, (name, size) in enumerate(reader.members(), 1):
        progress("files unpacked", number, number)
        if raw or (sums and name != MANIFEST) or (name in (SUMS, MANIFEST) and size > _MAX_TEXT):
            raise BadInput("the archive has members after its manifest", _NOT_OURS)
        if name == SUMS:
            sums = reader.read(size)
        elif name == MANIFEST:
            raw = reader.read(size)
        elif name not in (f"{store}.db" for store in STORES) and place_of(settings, name) is None:
            raise BadInput(f"the archive has the unexpected file “{visible(name, 120)}”", _NOT_OURS)
        else:
            try:
                found.append(reader.unpack(name, size, staging / name))
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise BadInput(f"“{visible(name, 120)}” is both a file and a folder", _NOT_OURS) from error
    manifest = _read_manifest(raw, sums)
    listed = dict(_listed(sums))
    for member in found:
        if listed.pop(member.name, None) != member.sha256:
            raise Damaged(f"{visible(member.name, 120)} does not match the digest listed in the archive", _CHANGED)
    if listed or manifest.files != len(found):
        missing = visible(next(iter(listed), "a file"), 120)
        raise Damaged(f"{missing} is listed but not in the archive", _CHANGED)
    if "ledger.db" not in {member.name for member in found}:
        raise BadInput("the archive has no ledger", _NOT_OURS)
    return found, manifest, hashlib.sha256(raw).hexdigest()


def _read_manifest(raw: bytes, sums: bytes) -> Manifest:
    if not raw:
        raise Damaged("the archive has no manifest: it was truncated, or is not a backup", _CHANGED)
    try:
        manifest = msgspec.convert(parse_json(raw, what=MANIFEST), Manifest)
    except msgspec.ValidationError as error:
        raise BadInput(f"the archive's manifest cannot be read: {visible(str(error), 120)}", _NOT_OURS) from error
    if manifest.schema != SCHEMA:
        raise BadInput(f"the archive is {visible(manifest.schema, 40)!r}, not {SCHEMA}", _NOT_OURS)
    if hashlib.sha256(sums).hexdigest() != manifest.sums:
        raise Damaged(f"{SUMS} does not match its digest in the manifest", _CHANGED)
    parse_checkpoint(manifest.ledger)
    return manifest


def _listed(sums: bytes) -> Iterator[tuple[str, str]]:
    """The (name, digest) pairs of SHA256SUMS."""
    for line in sums.decode("utf-8", "surrogateescape").splitlines():
        digest, _, name = line.partition("  ")
        yield name, digest


def _loads(members: list[Member], settings: Settings, staging: Path) -> Iterator[tuple[str, Path, str]]:
    """Setting, file and URL of each store that goes onto a server, the ledger last."""
    found = {member.name for member in members}
    for name in STORES:
        url = str(getattr(settings, name))
        if f"{name}.db" in found and on_server(url):
            yield name, staging / f"{name}.db", url


def _moves(members: list[Member], settings: Settings, staging: Path, loaded: set[Path]) -> Iterator[tuple[Path, Path]]:
    """Source and target of each file. The ledger comes last, because a folder without one is not taken for a project.

    Raises:
        BadInput: a drift report exists already and differs.
    """
    last: list[tuple[Path, Path]] = []
    moves: list[tuple[Path, Path]] = []
    for member in members:
        if staging / member.name in loaded:
            continue
        source, target = staging / member.name, place_of(settings, member.name)
        if target is None:
            continue
        if member.name.startswith("drift_reports/") and target.is_file():
            if hashlib.sha256(target.read_bytes()).hexdigest() == member.sha256:
                continue
            raise BadInput(
                f"{visible(str(target), 160)} exists and differs from the file in the backup",
                "move it away, or restore into an empty folder: `spine restore F --into DIR`",
            )
        (last if member.name == "ledger.db" else moves).append((source, target))
    yield from [*moves, *last]


def _relocated(staging: Path, old: Path, new: Path) -> None:
    """Change the artifact locations in MLflow's database to the restored folder.

    They are absolute: on the machine of the backup, the restored project would read the old folder.
    """
    file = staging / "mlflow.db"
    if not file.is_file():
        return
    try:
        _rewrite_locations(file, staging / "mlartifacts", old, new)
    except sqlite3.DatabaseError as error:
        raise Damaged(
            f"the archive's mlflow.db is not an intact database: {visible(str(error), 120)}",
            "nothing was restored; take another backup, with `--without mlflow` if the database cannot be repaired",
        ) from error


def _rewrite_locations(file: Path, artifacts: Path, old: Path, new: Path) -> None:
    with closing(sqlite3.connect(file)) as store, store:
        # Older versions of MLflow do not have all of these tables and columns.
        columns = {(t, c) for t, c in _URIS if c in {row[1] for row in store.execute(f"PRAGMA table_info({t})")}}
        for place in sorted(_old_locations(store, columns, artifacts, str(old))):
            for before, after in (
                (Path(place).as_uri(), new.as_uri()),
                (place, str(new)),
                (f"file:{place}", f"file:{new}"),
            ):
                for table, column in columns:
                    store.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  (names of our own)
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                    )


def _old_locations(store: sqlite3.Connection, columns: set[tuple[str, str]], folder: Path, old: str) -> set[str]:
    """The former artifact folders: the manifest's, and those of the runs, in case the folder was moved before."""
    from urllib.parse import unquote, urlparse

    found = {old}
    runs = store.execute("SELECT DISTINCT artifact_uri FROM runs") if ("runs", "artifact_uri") in columns else ()
    for (uri,) in runs:
        address = urlparse(str(uri))
        path = unquote(address.path)
        if address.scheme not in ("", "file") or any(path.startswith(f"{place}/") for place in found):
            continue
        # The part of the path that exists below the restored folder is the run's; what precedes it is the old folder.
        parts = Path(path).parts
        rest = next((n for n in range(2, len(parts)) if folder.joinpath(*parts[n:]).is_dir()), None)
        if rest is not None:
            found.add(str(Path(*parts[:rest])))
    return found
