"""An archive put back: unpacked beside the place, every digest compared, and only then moved where it belongs.

It puts things into empty places alone and replaces nothing. What the ledger then says of the bytes is for
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
from modelspine.ledger.store import Head
from modelspine.maintenance.backup import (
    MANIFEST,
    SCHEMA,
    SUMS,
    Manifest,
    Part,
    Progress,
    counted,
    database,
    folders,
    place_of,
)
from modelspine.maintenance.tar_archive import Member, Reader, opened
from modelspine.maintenance.verify_ledger import parse_checkpoint
from modelspine.settings import Settings
from modelspine.text import visible

_MAX_TEXT = 2**28
"""Bytes of the longest list of digests that is read: a million files."""
_URIS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow's database that hold where artifacts are."""
_CHANGED = "it was changed or cut since it was taken; nothing was restored; take another backup"
_NOT_OURS = "give the file `spine backup` wrote; nothing was restored"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive held, all of it in its place."""

    into: str
    ledger: str
    env: str
    manifest_sha256: str
    parts: tuple[Part, ...]


def restore(archive: Path, settings: Settings, *, progress: Progress) -> tuple[Restored, Head]:
    """Put an archive back into the empty places the settings name; returns the head its ledger must have.

    Raises:
        BadInput: a place is not empty, or this is not an archive of ours.
        Damaged: a digest does not hold.
        Unavailable: there is no room.
    """
    _must_be_empty(settings)
    root = settings.home.parent
    was_there = root.is_dir()
    root.mkdir(parents=True, exist_ok=True)
    staging = settings.home.with_name(f".{settings.home.name}.restoring-{os.urandom(6).hex()}")
    try:
        with opened(archive) as reader:
            members, manifest, digest = _unpacked(reader, settings, staging, progress)
        _relocated(staging, Path(manifest.artifacts), settings.artifacts)
        moves = list(_moves(members, settings, staging))
        for number, (source, target) in enumerate(moves, 1):
            progress("files", number, len(moves))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
        sync_folder(settings.home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not was_there and next(root.iterdir(), None) is None:
            root.rmdir()
    done = Restored(
        into=str(settings.root),
        ledger=manifest.ledger,
        env=manifest.env,
        manifest_sha256=digest,
        parts=tuple(counted(members)),
    )
    return done, parse_checkpoint(manifest.ledger)


def _must_be_empty(settings: Settings) -> None:
    """Everything goes where nothing is, so that no restore can lose what somebody still needs."""
    own = [database(settings, name) for name in ("ledger", "traces", "mlflow")]
    own += [folder for name, folder in folders(settings).items() if name != "drift_reports"]
    for place in own:
        with suppress(FileNotFoundError, NotADirectoryError):
            if place.is_dir() and next(place.iterdir(), None) is None:
                continue
            place.lstat()
            raise BadInput(
                f"{visible(str(place), 160)} is not empty, and a restore replaces nothing",
                "give an empty folder: `spine restore F --into DIR`, or move that away first",
            )


def _unpacked(
    reader: Reader, settings: Settings, staging: Path, progress: Progress
) -> tuple[list[Member], Manifest, str]:
    """Every member in the staging folder, its digest compared with the list at the archive's end."""
    found: list[Member] = []
    sums = raw = b""
    for number, (name, size) in enumerate(reader.members(), 1):
        progress("files unpacked", number, number)
        if raw or (sums and name != MANIFEST) or (name in (SUMS, MANIFEST) and size > _MAX_TEXT):
            raise BadInput("the archive goes on behind its manifest", _NOT_OURS)
        if name == SUMS:
            sums = reader.read(size)
        elif name == MANIFEST:
            raw = reader.read(size)
        elif place_of(settings, name) is None:
            raise BadInput(f"the archive holds “{visible(name, 120)}”, which belongs nowhere", _NOT_OURS)
        else:
            try:
                found.append(reader.unpack(name, size, staging / name))
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise BadInput(f"“{visible(name, 120)}” is a file and a folder", _NOT_OURS) from error
    manifest = _manifest(raw, sums)
    told = dict(_listed(sums))
    for member in found:
        if told.pop(member.name, None) != member.sha256:
            raise Damaged(f"{visible(member.name, 120)} does not have the digest the archive lists", _CHANGED)
    if told or manifest.files != len(found):
        missing = visible(next(iter(told), "a file"), 120)
        raise Damaged(f"{missing} is listed and is not in the archive", _CHANGED)
    if "ledger.db" not in {member.name for member in found}:
        raise BadInput("the archive holds no ledger", _NOT_OURS)
    return found, manifest, hashlib.sha256(raw).hexdigest()


def _manifest(raw: bytes, sums: bytes) -> Manifest:
    if not raw:
        raise Damaged("the archive has no manifest: it is cut short, or is another archive", _CHANGED)
    try:
        manifest = msgspec.convert(parse_json(raw, what=MANIFEST), Manifest)
    except msgspec.ValidationError as error:
        raise BadInput(f"the archive's manifest cannot be read: {visible(str(error), 120)}", _NOT_OURS) from error
    if manifest.schema != SCHEMA:
        raise BadInput(f"the archive is {visible(manifest.schema, 40)!r}, not {SCHEMA}", _NOT_OURS)
    if hashlib.sha256(sums).hexdigest() != manifest.sums:
        raise Damaged(f"{SUMS} does not have the digest the manifest gives", _CHANGED)
    parse_checkpoint(manifest.ledger)
    return manifest


def _listed(sums: bytes) -> Iterator[tuple[str, str]]:
    for line in sums.decode("utf-8", "surrogateescape").splitlines():
        digest, _, name = line.partition("  ")
        yield name, digest


def _moves(members: list[Member], settings: Settings, staging: Path) -> Iterator[tuple[Path, Path]]:
    """From where to where, the ledger last: until it is there, nobody takes the place for a project.

    Raises:
        BadInput: a drift report of that day is there already and says something else.
    """
    last: list[tuple[Path, Path]] = []
    moves: list[tuple[Path, Path]] = []
    for member in members:
        source, target = staging / member.name, place_of(settings, member.name)
        if target is None:
            continue
        if member.name.startswith("drift_reports/") and target.is_file():
            if hashlib.sha256(target.read_bytes()).hexdigest() == member.sha256:
                continue
            raise BadInput(
                f"{visible(str(target), 160)} is there and says something else than the backup's",
                "move it away, or restore into an empty folder: `spine restore F --into DIR`",
            )
        (last if member.name == "ledger.db" else moves).append((source, target))
    yield from [*moves, *last]


def _relocated(staging: Path, old: Path, new: Path) -> None:
    """Let MLflow's database name the artifacts where they are put, not where they were.

    The addresses in it are absolute; on the machine they were written on, the old folder would still be read.
    """
    file = staging / "mlflow.db"
    if not file.is_file():
        return
    try:
        _rewritten(file, staging / "mlartifacts", old, new)
    except sqlite3.DatabaseError as error:
        raise Damaged(
            f"the archive's mlflow.db is not a sound database: {visible(str(error), 120)}",
            "nothing was restored; take a backup again, with `--without mlflow` where it cannot be mended",
        ) from error


def _rewritten(file: Path, artifacts: Path, old: Path, new: Path) -> None:
    with closing(sqlite3.connect(file)) as store, store:
        there = {(t, c) for t, c in _URIS if c in {row[1] for row in store.execute(f"PRAGMA table_info({t})")}}
        for place in sorted(_places(store, there, artifacts, str(old))):
            for before, after in (
                (Path(place).as_uri(), new.as_uri()),
                (place, str(new)),
                (f"file:{place}", f"file:{new}"),
            ):
                for table, column in there:
                    store.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  (names of our own)
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                    )


def _places(store: sqlite3.Connection, columns: set[tuple[str, str]], folder: Path, old: str) -> set[str]:
    """Where the artifacts stood: as the archive says, and as the runs do, in case the folder was moved before."""
    from urllib.parse import unquote, urlparse

    found = {old}
    runs = store.execute("SELECT DISTINCT artifact_uri FROM runs") if ("runs", "artifact_uri") in columns else ()
    for (uri,) in runs:
        address = urlparse(str(uri))
        path = unquote(address.path)
        if address.scheme not in ("", "file") or any(path.startswith(f"{place}/") for place in found):
            continue
        parts = Path(path).parts
        rest = next((n for n in range(2, len(parts)) if folder.joinpath(*parts[n:]).is_dir()), None)
        if rest is not None:
            found.add(str(Path(*parts[:rest])))
    return found
