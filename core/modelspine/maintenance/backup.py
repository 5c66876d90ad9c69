"""One archive of everything a project's history stands on, taken while it serves.

The order makes what one part names be in the next: a trace names an event, so traces are read before the ledger;
the ledger names bundles and runs, which stand before their event is written, so those are read after it. Databases
are copied by SQLite's own backup inside one read transaction, never as files. What git keeps (spine.toml, trust
file, baseline), what DVC keeps, and private keys are not in it. It does not know how an archive is unpacked.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from modelspine.canonical_json import canonical
from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.ledger.store import Event, Head
from modelspine.maintenance.tar_archive import Member, Writer, created, safe_name
from modelspine.maintenance.verify_ledger import read_chain
from modelspine.settings import Settings, masked
from modelspine.text import short, visible

SCHEMA = "spine.backup/1"
SUMS, MANIFEST = "SHA256SUMS", "MANIFEST.json"
DATABASES = ("traces", "ledger", "mlflow")
"""Settings that name a database, in the order they are read."""
FOLDERS = ("cache", "mlartifacts", "drift_reports", "days")
OPTIONAL = ("traces", "mlflow", "drift_reports")
"""Parts that a backup may leave to others."""
_PAGES = 4096
_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)
"""What opening says of a file that is gone, of a link, and of a socket."""
_SHA = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[str, int, int], None]
"""Called with what is being kept, how many of it are done, and how many there are."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last member of an archive."""

    schema: str
    ledger: str
    """``SEQ:HASH`` of the newest event in it."""
    env: str
    artifacts: str
    """Where the MLflow artifacts stood: the addresses in MLflow's database begin with it."""
    files: int
    sums: str
    """SHA-256 of the member SHA256SUMS, which lists every other one as ``sha256sum -c`` reads it."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one kind of thing is in an archive."""

    name: str
    files: int
    size: int


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that was taken."""

    path: str
    size: int
    ledger: str
    manifest_sha256: str
    """To be kept outside: an archive that was changed as a whole is seen by this alone."""
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]


def place_of(settings: Settings, name: str) -> Path | None:
    """Where a member belongs in a project; None for a name that no archive of ours has."""
    head, _, rest = name.partition("/")
    if not rest:
        stem = head.removesuffix(".db")
        return database(settings, stem) if stem in DATABASES and head != stem else None
    return folders(settings)[head] / rest if head in FOLDERS and _belongs(head, rest) else None


def folders(settings: Settings) -> dict[str, Path]:
    """The folder of each part that is one. ``days`` are closed days of traces, wherever they stand in the home."""
    kept = (settings.cache, settings.artifacts, settings.drift_reports, settings.home)
    return dict(zip(FOLDERS, kept, strict=True))


def database(settings: Settings, name: str) -> Path:
    """The file of a database.

    Raises:
        BadInput: it is on a server, which has tools of its own.
    """
    url = str(getattr(settings, name))
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    tool = "pg_dump" if url.startswith("postgres") else "the tools of that server"
    rest = f", and repeat this with `--without {name}`" if name in OPTIONAL else " and restore it there"
    raise BadInput(
        f"{name} is at {visible(masked(url), 80)}, which is no SQLite file of this machine",
        f"keep it with {tool}{rest}",
    )


def backup(settings: Settings, path: Path, *, without: Sequence[str] = (), progress: Progress) -> Backup:
    """Write the archive; it has its name only once it is whole. A name that ends in .gz is compressed.

    Raises:
        BadInput: something of that name is there, or a part is not on this machine.
        Unavailable: a file changed under the reading, or cannot be read.
        Damaged: the ledger's chain is broken.
    """
    for name in set(DATABASES) - set(without):
        database(settings, name)
    warnings: list[str] = []
    path = path.parent.resolve() / path.name
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {visible(str(path.parent), 160)}", "make it, then repeat the command")
    with created(path) as archive, tempfile.TemporaryDirectory(prefix=".spine-", dir=path.parent) as scratch:
        head, events = Head(0, ""), ()  # type: tuple[Head, tuple[Event, ...]]
        for name in DATABASES:
            file = database(settings, name) if name not in without else None
            if file is None or not (file.is_file() or name == "ledger"):
                continue
            copy = Path(scratch) / f"{name}.db"
            snapshot(file, copy, lambda done, of, name=name: progress(f"{name} pages", done, of))  # type: ignore[misc]
            if name == "ledger":
                head, events = _sound(copy)
            archive.file(f"{name}.db", copy)
            copy.unlink()
        for part, folder in folders(settings).items():
            if part not in without and not (part == "mlartifacts" and "mlflow" in without):
                _add(archive, part, folder, warnings, progress)
        warnings += _absent(events, archive.members)
        if "traces" not in without and not settings.parquet.is_relative_to(settings.home):
            warnings.append(f"closed days in {visible(str(settings.parquet), 120)}, outside of the home, are not kept")
        parts = tuple(counted(archive.members))
        manifest = _seal(archive, settings, head, str(events[0].body.get("env", "dev")) if events else "dev")
    return Backup(
        path=str(path),
        size=path.stat().st_size,
        ledger=f"{head.seq}:{head.hash}",
        manifest_sha256=manifest.sha256,
        parts=parts,
        warnings=tuple(warnings),
    )


def snapshot(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a live SQLite database as it is at one moment; who writes into it goes on writing.

    Raises:
        Unavailable, Damaged: it cannot be read, or is not a sound database.
    """
    if not source.is_file():
        raise Unavailable(f"there is no database at {source}", "run `spine init`, or restore a backup there")
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as live,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            # The open read transaction keeps the copy at one moment; without it every write would start it over.
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master")
            live.backup(copy, pages=_PAGES, progress=lambda _status, left, of: progress(of - left, of))
            live.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        said = visible(str(error), 120)
        if "full" in said:
            raise Unavailable(
                f"{target.parent} has no room for a copy of {source.name}: {said}",
                "a backup needs room beside it for the largest database; make some, or write it elsewhere",
            ) from error
        hint = "another process writes; try again" if "locked" in said else "check that it may be read"
        raise Unavailable(f"{source}: {said}", hint) from error
    except sqlite3.DatabaseError as error:
        raise Damaged(
            f"{source} is not a sound database: {visible(str(error), 120)}", "restore it from an earlier backup"
        ) from error


def walked(folder: Path) -> Iterator[str]:
    """Every file below a folder, by its name from there, in one order on every machine; links are not followed."""
    for at, inner, names in os.walk(folder):
        inner.sort()
        for name in sorted(names):
            yield str((Path(at) / name).relative_to(folder))


def _sound(copy: Path) -> tuple[Head, tuple[Event, ...]]:
    chain = read_chain(f"sqlite:///{copy}")
    if chain.problems:
        raise Damaged(
            f"the ledger is broken, and a backup of it would be too: {chain.problems[0]}",
            "`spine verify` names all of it; restore an earlier backup, or copy the folder as it is",
        )
    return chain.head, chain.events


def _add(archive: Writer, part: str, folder: Path, warnings: list[str], progress: Progress) -> None:
    """Add the files of one part, and say of each that could not be added why."""
    names = [name for name in walked(folder) if _belongs(part, name)]
    for number, name in enumerate(names, 1):
        full = f"{part}/{name}"
        progress(part, number, len(names))
        if not safe_name(full):
            warnings.append(f"{visible(full, 120)} has a name that no archive takes: it is not kept")
            continue
        try:
            kept = archive.file(full, folder / name)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise Unavailable(f"{visible(full, 120)}: {error.strerror}", "mend that, then repeat") from error
            kept = None
        if kept is None:
            warnings.append(f"{visible(full, 120)} is gone, or no plain file: it is not kept")


def _belongs(part: str, name: str) -> bool:
    first = name.partition("/")[0]
    if part == "cache":
        return _SHA.fullmatch(first) is not None
    if part == "days":
        return name.endswith(".parquet") and first not in ("cache", "mlartifacts", "bundles", "tmp")
    return part != "drift_reports" or name.endswith(".json")


def _absent(events: Sequence[Event], members: Sequence[Member]) -> Iterator[str]:
    """The promoted entries whose bundle is not in the archive."""
    there = {member.name.split("/")[1] for member in members if member.name.startswith("cache/")}
    named = dict.fromkeys(str(event.body["sha"]) for event in events if event.kind == "promoted")
    yield from (f"the bundle of {short(sha)} is not in the cache, and so not in this" for sha in named.keys() - there)


def counted(members: Sequence[Member]) -> Iterator[Part]:
    """How much of each part there is."""
    sums: dict[str, list[int]] = {}
    for member in members:
        counted = sums.setdefault(member.name.partition("/")[0].removesuffix(".db"), [0, 0])
        counted[0] += 1
        counted[1] += member.size
    yield from (Part(name=name, files=files, size=size) for name, (files, size) in sums.items())


def _seal(archive: Writer, settings: Settings, head: Head, env: str) -> Member:
    lines = "".join(f"{member.sha256}  {member.name}\n" for member in archive.members).encode()
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "ledger": f"{head.seq}:{head.hash}",
        "env": env,
        "artifacts": str(settings.artifacts),
        "files": len(archive.members),
        "sums": hashlib.sha256(lines).hexdigest(),
    }
    archive.text(SUMS, lines)
    return archive.text(MANIFEST, canonical(manifest))
