"""Converts the closed days of an earlier version: one file a day, with the JSON of each trace in a column.

The old file is read once, compared with the digest that it carries, and deleted only after the new files were read
back and their manifest was created. A conversion that was killed is begun again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from miniobserve import manifests
from miniobserve.archive import Archive
from miniobserve.bodies import trace_of_body
from miniobserve.day_files import buckets_for, connected, duckdb_errors, literal, write_files
from miniobserve.export import SERVICE, uploaded
from miniobserve.manifests import Manifest, Totals
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace

PRUNED = "PRUNED"
"""The file beside an old day's from which rows may have been deleted in the live store."""
_PAGE = 5_000
Step = Callable[[str, int, int], None]


def old_days(archive: Archive) -> list[str]:
    """Return the days in the form of an earlier version that were not converted, oldest first."""
    return [day for day, seen in archive.index.days(fresh=True).items() if seen.old and not seen.latest]


def convert_days(archive: Archive, step: Step = lambda *_: None) -> int:
    """Convert all days of an earlier version; returns how many there were.

    Raises:
        StorageError: see ``convert_day``.
    """
    days = old_days(archive)
    for number, day in enumerate(days):
        step("closed days", number, len(days))
        convert_day(archive, day)
    return len(days)


def convert_day(archive: Archive, day: str, *, service: str = "") -> Manifest:
    """Write an old day's traces to files of the present form, and delete the old file.

    Raises:
        StorageError: the old file is damaged, or the new ones cannot be written.
    """
    folder = manifests.folder_of(day)
    key = f"{folder}/{manifests.OLD}"
    with tempfile.TemporaryDirectory(prefix="converting-") as scratch:
        file = archive.objects.local(key)
        if file is None:
            file = Path(scratch) / "old.parquet"
            archive.objects.fetch(key, file)
        rows = _Rows(file, f"{archive.place}/{key}")
        buckets = buckets_for(rows.said[0])
        written = write_files(rows, Path(scratch), buckets)
        rows.check()
        parts = [uploaded(archive, day, service or SERVICE, one) for one in written]
    if any(stored.key == f"{folder}/{PRUNED}" for stored in archive.objects.list(folder)):
        manifests.mark_pruning(archive.objects, day)  # before the manifest, so that no reader takes the day for whole
    # All feedback of the live store counts, because nothing says when the old file was written.
    made = Manifest(
        day=day, n=1, created_ns=0, feedback_ns=0, buckets=buckets, parts=tuple(parts),
        totals=sum((one.totals for one in written), Totals()),
    )  # fmt: skip
    if manifests.put(archive.objects, made) is None:
        wrong = f"{day} was closed anew meanwhile; its old file {archive.place}/{key} was left"
        raise StorageError("unavailable", wrong, "let one machine at a time migrate")
    for name in (PRUNED, manifests.OLD):
        archive.objects.delete(f"{folder}/{name}")
    return made


class _Rows:
    """The traces of an old file, oldest first, digested while they are read."""

    def __init__(self, file: Path, name: str) -> None:
        self._file = literal(file)
        self._name = name
        self._errors = f"{name} cannot be read", "restore the file from a backup, then repeat `spine migrate`"
        connection = connected()
        try:
            with duckdb_errors(*self._errors):
                query = "SELECT key, value FROM parquet_kv_metadata(?)"
                pairs = {bytes(key): bytes(value) for key, value in connection.execute(query, [self._file]).fetchall()}
        finally:
            connection.close()
        self.said = int(pairs.get(b"rows", b"-1")), pairs.get(b"sha256", b"").decode(errors="replace")
        """The number and the SHA-256 of the rows, as the file's metadata has them."""
        self._found = 0, ""

    def __iter__(self) -> Iterator[Trace]:
        encode, sha, count = msgspec.json.Encoder().encode, hashlib.sha256(), 0
        connection = connected()
        try:
            with duckdb_errors(*self._errors):
                query = "SELECT started_ns, request_id, body, feedback FROM read_parquet(?) ORDER BY 1, 2"
                cursor = connection.execute(query, [self._file])
                while rows := cursor.fetchmany(_PAGE):
                    for row in rows:
                        sha.update(encode(row) + b"\n")
                        count += 1
                        yield self._trace(row[2], row[3])
        finally:
            connection.close()
        self._found = count, sha.hexdigest()

    def check(self) -> None:
        """Compare what was read with the metadata.

        Raises:
            StorageError: kind ``damaged`` if they differ.
        """
        if self._found != self.said:
            wrong = f"{self._name} does not match its metadata: it holds {self._found[0]:,} rows"
            raise StorageError("damaged", wrong, "restore the file from a backup, then repeat `spine migrate`")

    def _trace(self, body: str, feedback: str | None) -> Trace:
        try:
            trace = trace_of_body(body)
        except msgspec.MsgspecError as error:
            wrong = f"{self._name} holds a trace that cannot be decoded: {error}"
            raise StorageError("damaged", wrong, "restore the file from a backup") from error
        return trace if feedback is None else msgspec.structs.replace(trace, feedback=feedback)
