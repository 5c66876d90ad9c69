"""The manifests of closed days: which files a day has, and what they hold.

A day's manifests are the objects ``day=YYYY-MM-DD/manifest-<n>.json``. Each is created once and never replaced, and the
one with the highest n counts. Whoever loses the race for an n reads the winner and tries again with the next one, so
no lock is needed. A file that the manifest which counts does not list is no part of the day. This module does not read
the files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

import msgspec

from miniobserve.columns import SCHEMA
from miniobserve.objects import Exists, Objects
from miniobserve.sql.protocol import StorageError

_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
_MANIFEST = re.compile(r"manifest-([1-9]\d{0,8})\.json")
_PART = re.compile(r"service=[A-Za-z0-9][A-Za-z0-9._-]{0,39}/bucket=\d{1,9}/part-[0-9a-f]{12}\.parquet")
PRUNING = "pruning.json"
"""An object of a day from which rows may have been deleted in the live store; written before the first is."""
OLD = "traces.parquet"
"""The one file of a day that an earlier version closed."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file of a day."""

    path: str
    """Its key below the folder or URL of closed days."""
    bytes: int
    sha256: str
    rows: int
    service: str
    bucket: int
    """All requests of one unit are in files of the same bucket of a day."""
    first_id: str
    last_id: str
    """The least and the greatest request id, so that a look-up by id asks few files."""
    strays: int = 0
    """How many of its request ids do not carry their day; the object beside it, ``.ids``, lists their hashes."""
    strays_sha256: str = ""
    first_ns: int
    last_ns: int
    """When its first and its last request started, UTC ns."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a day's files."""

    rows: int = 0
    failed: int = 0
    """Requests with a status of 500 or above."""
    priced: int = 0
    """Requests with a price; ``cost`` is their sum, in whatever currency each has."""
    cost: float = 0.0
    seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Totals) -> Totals:
        """The sums of both."""
        return Totals(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A file of what was said of a day's answers after the day was closed, for tools that read closed days alone."""

    store: str
    """The store that it was written from, by the name that the store gave itself; each has one file of a day."""
    path: str
    bytes: int
    sha256: str
    rows: int
    newest_ns: int
    """When the last of it was stored, UTC ns."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a day consists of."""

    schema: str = SCHEMA
    day: str
    n: int
    previous: str | None = None
    """The SHA-256 of the day's manifest before this one."""
    created_ns: int
    """When the export began to read, UTC ns."""
    feedback_ns: int
    """Feedback that was stored before this time is in the files; of later feedback, the live store's counts."""
    buckets: int
    """Into how many buckets the day's units are divided; it never changes for a day."""
    totals: Totals
    parts: tuple[Part, ...]
    said: tuple[Said, ...] = ()
    """What was said later. The live stores have it too, and are where reports and searches take it from."""


class DayObjects(NamedTuple):
    """What the listing shows of one day."""

    latest: int
    """The n of the manifest that counts; 0 if there is none."""
    pruning: bool
    old: bool
    """Whether it is in the form of an earlier version."""
    parts: dict[str, int]
    """Key → size in bytes of everything that is no manifest and no marker."""


def listed(objects: Objects, day: str | None = None) -> dict[str, DayObjects]:
    """Return what a store holds of its days, or of one day, by day and oldest first."""
    found: dict[str, DayObjects] = {}
    for stored in objects.list("" if day is None else folder_of(day)):
        folder, _, name = stored.key.partition("/")
        match = _DAY.fullmatch(folder)
        if match is None or not name or not _is_day(match[1]):
            continue
        known = found.get(match[1], DayObjects(0, False, False, {}))
        manifest = _MANIFEST.fullmatch(name)
        if manifest is not None:
            known = known._replace(latest=max(known.latest, int(manifest[1])))
        elif name == PRUNING:
            known = known._replace(pruning=True)
        elif name == OLD:
            known = known._replace(old=True)
        else:
            known.parts[stored.key] = stored.size
        found[match[1]] = known
    return dict(sorted(found.items()))


def read(objects: Objects, day: str, n: int) -> tuple[Manifest, str]:
    """Return a day's manifest and its SHA-256.

    Raises:
        Missing: it is not there.
        StorageError: it is not a manifest of this day, or of a form that this version does not know.
    """
    key = manifest_key(day, n)
    raw = objects.get(key)
    return decode(raw, day, n, f"{objects.name}/{key}"), hashlib.sha256(raw).hexdigest()


def decode(raw: bytes, day: str, n: int, name: str) -> Manifest:
    """Decode and check a manifest, which may come from anywhere; ``name`` is for messages."""
    try:
        schema = msgspec.json.decode(raw, type=dict[str, Any]).get("schema")
        if schema != SCHEMA and isinstance(schema, str):
            hint = "use the version of this program that wrote it, or a newer one"
            raise StorageError("unavailable", f"{name} has the form {schema[:40]!r}, not {SCHEMA!r}", hint)
        found = msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise _damaged(name, f"it cannot be decoded: {error}") from error
    if (found.day, found.n) != (day, n):
        raise _damaged(name, f"it is that of {found.day[:20]} and number {found.n}")
    if found.buckets < 1 or any(not _is_part(part, found) for part in found.parts):
        raise _damaged(name, "it lists a file that cannot be one of its day's")
    if any(said.path != said_key(day, said.sha256) for said in found.said):
        raise _damaged(name, "it lists a file of later feedback that cannot be its day's")
    if sum(part.rows for part in found.parts) != found.totals.rows:
        raise _damaged(name, "its files do not add up to its rows")
    return found


def put(objects: Objects, manifest: Manifest) -> str | None:
    """Create a manifest and return its SHA-256; None if another one has this number already."""
    raw = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    digest = hashlib.sha256(raw).hexdigest()
    key = manifest_key(manifest.day, manifest.n)
    try:
        objects.put(key, raw)
    except Exists:
        # It may be this very one, put by an attempt whose reply was lost.
        return digest if objects.sha256(key) == digest else None
    return digest


def mark_pruning(objects: Objects, day: str) -> bool:
    """Note that rows of a day may leave the live store from now on; False if that was noted before."""
    try:
        objects.put(f"{folder_of(day)}/{PRUNING}", b"{}\n")
    except Exists:
        return False
    return True


def folder_of(day: str) -> str:
    """Return the key of a day's folder."""
    return f"day={day}"


def manifest_key(day: str, n: int) -> str:
    """Return the key of a day's manifest."""
    return f"{folder_of(day)}/manifest-{n}.json"


def part_key(day: str, service: str, bucket: int, sha256: str) -> str:
    """Return the key of a file; its digest in the name keeps two exports from ever writing to the same one."""
    return f"{folder_of(day)}/service={service}/bucket={bucket:02}/part-{sha256[:12]}.parquet"


def said_key(day: str, sha256: str) -> str:
    """Return the key of a file of what was said later of a day."""
    return f"{folder_of(day)}/said-{sha256[:12]}.parquet"


def keys_of(manifest: Manifest) -> set[str]:
    """Return the keys of everything that a manifest lists, and of the lists of ids of its files."""
    files = {part.path for part in manifest.parts} | {strays_key(part) for part in manifest.parts}
    return files | {said.path for said in manifest.said}


def strays_key(part: Part) -> str:
    """Return the key of the list of a file's request ids that do not carry their day."""
    return part.path.removesuffix(".parquet") + ".ids"


def ranges(parts: Iterable[Part], request_id: str) -> list[Part]:
    """Return the files that may hold a request id."""
    return [part for part in parts if part.first_id <= request_id <= part.last_id]


def _is_part(part: Part, manifest: Manifest) -> bool:
    day, _, rest = part.path.partition("/")
    return (
        day == folder_of(manifest.day)
        and _PART.fullmatch(rest) is not None
        and rest.startswith(f"service={part.service}/bucket={part.bucket:02}/part-{part.sha256[:12]}")
        and 0 <= part.bucket < manifest.buckets
        and part.rows > 0
    )


def _damaged(name: str, why: str) -> StorageError:
    return StorageError("damaged", f"{name} is not a sound manifest: {why}", "restore the object from a backup")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
