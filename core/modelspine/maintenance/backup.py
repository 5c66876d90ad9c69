"""Backup: one archive of everything a project's history depends on, taken while it serves.

Parts are read in an order in which everything that one part names is in a later one. A trace names a ledger event, so
traces come before the ledger. An event names bundles and runs that existed before it, so those come after the ledger.
Databases are copied by SQLite's backup within one read transaction, never as files, or row by row from PostgreSQL. Not
included are files in git (spine.toml, trust file, baseline), files in DVC, private keys, MLflow's server, and closed
days and kept files in a bucket. It does not know how an archive is unpacked.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from modelspine.canonical_json import canonical
from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.files import path_fault
from modelspine.kept_files.digests import digest_of_key
from modelspine.ledger.store import Event, Head
from modelspine.maintenance.chain import read_chain
from modelspine.maintenance.store_copies import copied_out, on_server, snapshot
from modelspine.maintenance.tar_archive import Member, Writer, created
from modelspine.settings import Settings, masked
from modelspine.text import short, visible

SCHEMA = "spine.backup/1"
SUMS, MANIFEST = "SHA256SUMS", "MANIFEST.json"
DATABASES = ("traces", "ledger", "mlflow")
"""Settings that name a database, in the order in which they are read."""
FOLDERS = ("cache", "mlartifacts", "drift_reports", "days", "files")
OPTIONAL = ("traces", "mlflow", "drift_reports")
"""Parts that a backup may leave out."""
_GOES_WITH = {"mlartifacts": "mlflow", "files": "traces"}
"""Part → the part without which it is left out too."""
_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)
"""The errors of opening a file that is gone, a symbolic link and a socket."""
_SHA = re.compile(r"[0-9a-f]{64}")

_WHOLE = "`spine verify` names damaged bundles; register the bundle again or move this out of the folder, then repeat"

Progress = Callable[[str, int, int], None]
"""Called with what is being copied, how many are done, and how many there are."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last member of an archive."""

    schema: str
    ledger: str
    """``SEQ:HASH`` of the newest event."""
    env: str
    artifacts: str
    """The folder of the MLflow artifacts, with which the URIs in MLflow's database begin."""
    files: int
    sums: str
    """SHA-256 of the member SHA256SUMS, which lists every other member in the format of ``sha256sum -c``."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The files and bytes of one part of an archive."""

    name: str
    files: int
    size: int


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A completed backup."""

    path: str
    size: int
    ledger: str
    manifest_sha256: str
    """To be stored elsewhere: only this reveals an archive that was replaced as a whole."""
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]


def place_of(settings: Settings, name: str) -> Path | None:
    """The path of a member in a project; None for a name that ``backup`` never writes."""
    head, _, rest = name.partition("/")
    if not rest:
        stem = head.removesuffix(".db")
        return database(settings, stem) if stem in DATABASES and head != stem else None
    return folders(settings)[head] / rest if head in FOLDERS and _belongs(head, rest) else None


def folders(settings: Settings) -> dict[str, Path]:
    """The folder of each part in ``FOLDERS``.

    ``days`` are the closed days of traces anywhere in the home; ``files``, the kept files of requests, are in it too.
    """
    files = Path(settings.files) if settings.files and _at_home(settings, settings.files) else settings.home / "files"
    paths = (settings.cache, settings.artifacts, settings.drift_reports, settings.home, files)
    return dict(zip(FOLDERS, paths, strict=True))


def database(settings: Settings, name: str) -> Path:
    """The file of a database.

    Raises:
        BadInput: the database is on a server, and has no file.
    """
    url = str(getattr(settings, name))
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    raise BadInput(
        f"{name} is at {visible(masked(url), 80)}, which is not a SQLite file on this machine",
        "take the backup with `--without mlflow`, and copy that server's own backup to it" if name == "mlflow"
        else "set a URL that begins with sqlite:/// or postgresql://",
    )  # fmt: skip


def backup(settings: Settings, path: Path, *, without: Sequence[str] = (), progress: Progress) -> Backup:
    """Write an archive, which gets its name only once it is complete. A name ending in .gz or .tgz is compressed.

    Args:
        settings: where the parts are.
        path: the archive to write.
        without: parts to leave out, of ``OPTIONAL``.
        progress: called with the progress.

    Raises:
        BadInput: the path exists, or its folder does not.
        Unavailable: a file cannot be read, shrank while it was read, or is in a bundle and cannot be in an archive.
        Damaged: the ledger's hash chain is broken, or a database is.
    """
    # Checked before anything is read: a large backup must not fail at its last part.
    sources = {name: str(getattr(settings, name)) for name in DATABASES if name not in without}
    warnings: list[str] = []
    if not sources.get("mlflow", "sqlite:").startswith("sqlite:"):
        at = visible(masked(sources.pop("mlflow")), 80)
        warnings.append(f"MLflow's runs at {at} are not included: back up that server's database and artifacts")
    for name, url in sources.items():
        if not on_server(url):
            database(settings, name)
    path = path.parent.resolve() / path.name
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {visible(str(path.parent), 160)}", "create it, then repeat the command")
    with created(path) as archive, tempfile.TemporaryDirectory(prefix=".spine-", dir=path.parent) as scratch:
        head, events = Head(0, ""), ()  # type: tuple[Head, tuple[Event, ...]]
        for name, url in sources.items():
            copy = Path(scratch) / f"{name}.db"
            if not _copied(settings, name, url, copy, progress):
                continue
            if name == "ledger":
                head, events = _verified_chain(copy)
            archive.file(f"{name}.db", copy)
            copy.unlink()  # at most one copy at a time needs room beside the archive
        for part, folder in folders(settings).items():
            if part not in without and _GOES_WITH.get(part) not in without:
                _add(archive, part, folder, warnings, progress)
        warnings += _missing_bundles(events, archive.members)
        if "traces" not in without:
            warnings += _elsewhere(settings)
        parts = tuple(part_totals(archive.members))
        manifest = _seal(archive, settings, head, str(events[0].body.get("env", "dev")) if events else "dev")
    return Backup(
        path=str(path),
        size=path.stat().st_size,
        ledger=f"{head.seq}:{head.hash}",
        manifest_sha256=manifest.sha256,
        parts=parts,
        warnings=tuple(warnings),
    )


def _at_home(settings: Settings, place: str) -> bool:
    return "://" not in place and Path(place).is_relative_to(settings.home)


def _elsewhere(settings: Settings) -> Iterator[str]:
    """A warning for what belongs to the traces and is not in the home."""
    for what, place in (("closed days", settings.parquet), ("kept files", settings.files)):
        if place and not _at_home(settings, place):
            where = "in the bucket" if "://" in place else "outside the home"
            yield f"{what} in {visible(masked(place), 120)}, {where}, are not included"


def _copied(settings: Settings, name: str, url: str, copy: Path, progress: Progress) -> bool:
    """Copy a database into a file; False where there is none, which is right for all but the ledger."""
    if on_server(url):
        copied_out(name, url, copy, progress)
        return True
    file = database(settings, name)
    if not file.is_file() and name != "ledger":
        return False
    snapshot(file, copy, lambda done, of: progress(f"{name} pages", done, of))
    return True


def walked(folder: Path, failed: Callable[[OSError], None]) -> Iterator[str]:
    """The relative path of every file and link below a folder, in the same order on every machine.

    Links are not followed. ``failed`` is called with the error of each folder that cannot be read.
    """
    for at, inner, names in os.walk(folder, onerror=failed):
        inner.sort()
        for name in sorted([*names, *(name for name in inner if Path(at, name).is_symlink())]):
            yield str((Path(at) / name).relative_to(folder))


def _verified_chain(copy: Path) -> tuple[Head, tuple[Event, ...]]:
    chain = read_chain(f"sqlite:///{copy}")
    if chain.problems:
        raise Damaged(
            f"the ledger is damaged, so no backup was taken: {chain.problems[0]}",
            "`spine verify` lists all problems; restore an earlier backup, or copy the folder as it is",
        )
    return chain.head, chain.events


def _add(archive: Writer, part: str, folder: Path, warnings: list[str], progress: Progress) -> None:
    """Add the files of one part, with a warning for each that cannot be added; a bundle is added whole or not at all.

    Raises:
        Unavailable: a file cannot be read, or one of a bundle cannot be added.
    """

    def left_out(name: str, why: str) -> None:
        # A bundle without one of its files is another model, and none that anybody registered.
        if part == "cache":
            raise Unavailable(f"{visible(name, 120)} is in a bundle's folder and cannot be in a backup: {why}", _WHOLE)
        warnings.append(f"{visible(name, 120)} is not included: {why}")

    def failed(error: OSError) -> None:
        if error.errno != errno.ENOENT:
            left_out(f"{part}/{os.path.relpath(error.filename, folder)}", error.strerror or str(error))

    names = [name for name in walked(folder, failed) if _belongs(part, name)]
    for number, name in enumerate(names, 1):
        full = f"{part}/{name}"
        progress(part, number, len(names))
        if fault := path_fault(full):
            left_out(full, f"its name {fault}")
            continue
        try:
            member = archive.file(full, folder / name)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise Unavailable(f"{visible(full, 120)}: {error.strerror}", "fix this, then repeat") from error
            member = None
        if member is None:
            left_out(full, "it was removed, or is not a regular file")


def _belongs(part: str, name: str) -> bool:
    """Whether a file in a part's folder is part of the backup; temporary files and other parts are not."""
    first = name.partition("/")[0]
    if part == "cache":
        return _SHA.fullmatch(first) is not None
    if part == "files":
        return digest_of_key(name) is not None
    if part == "days":
        inside = "/day=" in f"/{name}" and name.endswith((".json", ".ids"))
        return (inside or name.endswith(".parquet")) and first not in ("cache", "mlartifacts", "bundles", "tmp")
    return part != "drift_reports" or name.endswith(".json")


def _missing_bundles(events: Sequence[Event], members: Sequence[Member]) -> Iterator[str]:
    """A warning for each promoted entry whose bundle is not in the archive."""
    included = {member.name.split("/")[1] for member in members if member.name.startswith("cache/")}
    promoted = dict.fromkeys(str(event.body["sha"]) for event in events if event.kind == "promoted")
    for sha in promoted.keys() - included:
        yield f"the bundle of {short(sha)} is not included: it is not in the cache"


def part_totals(members: Sequence[Member]) -> Iterator[Part]:
    """The number and size of the files of each part."""
    totals: dict[str, list[int]] = {}
    for member in members:
        total = totals.setdefault(member.name.partition("/")[0].removesuffix(".db"), [0, 0])
        total[0] += 1
        total[1] += member.size
    yield from (Part(name=name, files=files, size=size) for name, (files, size) in totals.items())


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
