"""Closes days: writes the traces of a day to Parquet files, reads them back, and lists them in a manifest.

The manifest is what makes a day closed: it is created last and never over another one. Two exports at once may both
write files; one manifest wins, and the other export finds its number taken, reads the winner and adds what that one
lacks, which is nothing if both read the same store. A killed export leaves files that no manifest lists: no reader
sees them, and ``sweep`` deletes them. Rows are deleted from the live store only if the manifest that counts lists them
and the digests of its files were read back just before. This module does not choose the days.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

from miniobserve import manifests
from miniobserve.archive import Archive
from miniobserve.day_files import Written, buckets_for, write_files
from miniobserve.day_index import LISTING_SECONDS
from miniobserve.days import day_number
from miniobserve.manifests import Manifest, Part, Said, Totals
from miniobserve.objects import Exists
from miniobserve.prune import delete, delete_day
from miniobserve.reader import TraceReader
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.stray_ids import SUFFIX
from miniobserve.traces import Trace

SERVICE = "default"
"""What the files of a project without a name are filed under."""
_CHUNK = 5_000
_ATTEMPTS = 10
"""How often an export tries for the next number of a manifest while others take it."""
_IDS = "SELECT request_id, started_ns FROM requests WHERE day = ? AND request_id > ? ORDER BY request_id LIMIT ?"
_UNSURE_NS = 3_600_000_000_000
"""Feedback of the last hour before an export may have been committed while it read: the live store's is taken."""

Progress = Callable[[int, int], None]
"""Called with the number of requests read so far and the number of all."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One closed day, as verified by reading it back."""

    day: str
    rows: int
    """The number of requests in its files."""
    sha256: str
    """The SHA-256 of its manifest, which names the digests of all files."""
    file: str
    """Where its manifest is."""
    files: int
    bytes: int
    """The size of its files."""
    written: bool
    """False if the files already held all requests."""
    pruned: int = 0
    """The number of rows deleted from the live store."""


def export_day(
    url: str,
    archive: Archive,
    day: str,
    *,
    prune: bool = False,
    service: str = "",
    progress: Progress = lambda _done, _all: None,
) -> Exported | None:
    """Close one day, or add to it what came late; returns None if the day has no traces.

    Args:
        url: the live trace store.
        archive: where closed days are.
        day: ``YYYY-MM-DD``, UTC; its last request must have been answered.
        prune: delete from the live store the rows that the files hold.
        service: the name under which the files are filed.
        progress: called now and then.

    Raises:
        StorageError: the store or the place of closed days cannot be used, or what was read back differs from what was
            written.

    """
    reader, began_ns = TraceReader.open(url), time.time_ns()
    try:
        held, seen, digests = _closed(reader, archive, day, service or SERVICE, began_ns, progress)
    finally:
        reader.close()
    if held is None:
        return None
    manifest, sha256 = held
    pruned = 0
    if prune and seen:
        check(archive, manifest, digests)
        pruned = _prune(url, archive, manifest, seen)
    key = manifests.manifest_key(day, manifest.n)
    return Exported(
        day=day,
        rows=manifest.totals.rows,
        sha256=sha256,
        file=str(archive.objects.local(key) or f"{archive.place}/{key}"),
        files=len(manifest.parts),
        bytes=sum(part.bytes for part in manifest.parts),
        written=bool(digests),
        pruned=pruned,
    )


def _closed(
    reader: TraceReader, archive: Archive, day: str, service: str, began_ns: int, progress: Progress
) -> tuple[tuple[Manifest, str] | None, int, set[str]]:
    """Bring a day's files up to date.

    Returns:
        The manifest that counts with its SHA-256, the number of the live store's rows, all of which the files hold, and
        the keys of the files that were written and read back.

    """
    for _ in range(_ATTEMPTS):
        before = archive.index.manifest(day, fresh=True)
        late = _Late(reader, archive, day, progress)
        buckets = before[0].buckets if before else buckets_for(late.number)
        with tempfile.TemporaryDirectory(prefix="closing-") as folder:
            written = write_files(late, Path(folder), buckets) if late.number else []
            parts = [uploaded(archive, day, service, one) for one in written]
            said = _said(reader, archive, before[0], Path(folder) / "said.parquet") if before else None
        if not written and said is None:
            return before, late.seen, set()
        made = _next(before, day, buckets, began_ns, parts, [one.totals for one in written])
        if said is not None:
            others = (one for one in made.said if one.store != said.store)
            made = msgspec.structs.replace(made, said=(*others, said))
        digest = manifests.put(archive.objects, made)
        if digest is not None:
            archive.index.manifest(day, fresh=True)
            return (made, digest), late.seen, {part.path for part in parts} | ({said.path} if said else set())
    wrong = f"{day} could not be closed: other exports took {_ATTEMPTS} numbers of its manifest meanwhile"
    raise StorageError("unavailable", wrong, "let one machine at a time close days, then try again")


def _said(reader: TraceReader, archive: Archive, before: Manifest, file: Path) -> Said | None:
    """Put what was said of a day's answers since it was closed beside its files; None where that is there already.

    The file also has what was said just before, which its requests' files may hold already. It has what one live store
    knows: another store that closes the same day has a file of its own.
    """
    store, rows, newest_ns = reader.said_since(before.day, before.feedback_ns)
    known = next((one for one in before.said if one.store == store), None)
    if known is None:
        is_new = newest_ns >= before.feedback_ns + _UNSURE_NS
    else:
        is_new = (rows, newest_ns) != (known.rows, known.newest_ns)
    if not is_new:
        return None
    reader.copy_said(before.day, before.feedback_ns, file)
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    key = manifests.said_key(before.day, sha256)
    with suppress(Exists):
        archive.objects.put(key, file)
    if archive.objects.sha256(key) != sha256:
        wrong = f"{archive.place}/{key} reads back with another digest; nothing was changed"
        raise StorageError("damaged", wrong, "check the disk or the bucket, then export the day again")
    return Said(store=store, path=key, bytes=file.stat().st_size, sha256=sha256, rows=rows, newest_ns=newest_ns)


def _next(
    before: tuple[Manifest, str] | None, day: str, buckets: int, began_ns: int, parts: Sequence[Part],
    totals: Sequence[Totals],
) -> Manifest:  # fmt: skip
    """Return the manifest that adds some files to those of the one before it."""
    if before is None:
        return Manifest(
            day=day, n=1, created_ns=began_ns, feedback_ns=began_ns - _UNSURE_NS, buckets=buckets,
            totals=sum(totals, Totals()), parts=tuple(parts),
        )  # fmt: skip
    manifest, sha256 = before
    return msgspec.structs.replace(
        manifest, n=manifest.n + 1, previous=sha256, created_ns=began_ns, totals=sum(totals, manifest.totals),
        parts=(*manifest.parts, *parts),
    )  # fmt: skip


class _Late:
    """The traces of a day that its files do not hold yet."""

    def __init__(self, reader: TraceReader, archive: Archive, day: str, progress: Progress) -> None:
        self._reader = reader
        self._archive = archive
        self._day = day
        self._progress = progress
        self.number = reader.day_count(day)
        """How many traces the live store has of the day."""
        self.seen = 0
        """How many of them were read so far, those that the files hold included."""

    def __iter__(self) -> Iterator[Trace]:
        traces = self._reader.day_traces(self._day)
        is_closed = self._archive.index.manifest(self._day) is not None
        while chunk := list(islice(traces, _CHUNK)):
            known = self._archive.known(self._day, [one.request_id for one in chunk]) if is_closed else {}
            self.seen += len(chunk)
            # A request of another store may have the same id, so the time of its start counts too.
            yield from (one for one in chunk if known.get(one.request_id) != one.started_ns)
            self._progress(self.seen, self.number)


def uploaded(archive: Archive, day: str, service: str, written: Written) -> Part:
    """Put a file into the store, and read its bytes back."""
    key = manifests.part_key(day, service, written.bucket, written.sha256)
    # Another export may have put this very file.
    with suppress(Exists):
        archive.objects.put(key, written.file)
    found = archive.objects.sha256(key)
    if found != written.sha256:
        wrong = f"{archive.place}/{key} reads back with another digest ({found[:12]}); nothing was changed"
        raise StorageError("damaged", wrong, "check the disk or the bucket, then export the day again")
    strays = len(written.strays) // 4
    part = Part(
        path=key, bytes=written.size, sha256=written.sha256, rows=written.totals.rows, service=service,
        bucket=written.bucket, first_id=written.first_id, last_id=written.last_id, first_ns=written.first_ns,
        last_ns=written.last_ns, strays=strays,
        strays_sha256=hashlib.sha256(written.strays).hexdigest() if strays else "",
    )  # fmt: skip
    if strays:
        with suppress(Exists):  # of the very same file, so of the same ids
            archive.objects.put(manifests.strays_key(part), written.strays)
        if archive.objects.sha256(manifests.strays_key(part)) != part.strays_sha256:
            wrong = f"{archive.place}/{manifests.strays_key(part)} reads back with another digest; nothing was changed"
            raise StorageError("damaged", wrong, "check the disk or the bucket, then export the day again")
    return part


def check(archive: Archive, manifest: Manifest, checked: Collection[str] = ()) -> None:
    """Read the files of a manifest and compare their digests, but for those whose keys are in ``checked``.

    Raises:
        StorageError: a file is missing, cannot be read or has another digest.
    """
    for part in manifest.parts:
        if part.path not in checked and (found := archive.objects.sha256(part.path)) != part.sha256:
            wrong = f"{archive.place}/{part.path} does not match its manifest: its SHA-256 is {found[:12]}"
            raise StorageError("damaged", wrong, "restore the file from a backup")


def _prune(url: str, archive: Archive, manifest: Manifest, seen: int) -> int:
    """Delete from the live store every row of a day that the files hold; ``seen`` is the number that they all were."""
    day, number = manifest.day, day_number(manifest.day)
    if manifests.mark_pruning(archive.objects, day) and archive.objects.local("any") is None:
        time.sleep(LISTING_SECONDS + 1)  # until every reader looks at this day's files too
    database = connect(url)
    try:
        if delete_day(database, number, seen):
            return seen
        # More came meanwhile, or another prune is at work: only what the files hold may go.
        gone, after = 0, ""
        while True:
            rows = database.read(_IDS, (number, after, _CHUNK))
            if not rows:
                return gone
            after = rows[-1][0]
            known = archive.known(day, [name for name, _ in rows])
            ids = [name for name, started_ns in rows if known.get(name) == started_ns]
            if ids:
                with database.transaction() as tx:
                    delete(tx, number, ids)
                gone += len(ids)
    finally:
        database.close()


def sweep(archive: Archive) -> list[str]:
    """Delete the files that no manifest which counts lists, as killed exports leave them; returns their keys.

    It must not run while a day is being closed: the files of that export are not listed yet.
    """
    found = []
    for day, seen in archive.index.days(fresh=True).items():
        held = archive.index.manifest(day)
        listed = manifests.keys_of(held[0]) if held is not None else set()
        found += [key for key in seen.parts if key not in listed and key.endswith((".parquet", SUFFIX))]
    for key in found:
        archive.objects.delete(key)
    return found
