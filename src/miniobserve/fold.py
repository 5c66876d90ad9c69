"""Runs partial queries over files of requests and returns their rows, for callers that merge them.

A fold is a set of queries, each of which is run once for every bucket. A bucket is a list of Parquet files with the
columns of ``miniobserve.columns`` that holds every request of some units, so that what is grouped by unit is complete
within it. Sums of buckets are added up by the caller; the order of the rows is that of the buckets, whatever engine ran
them, so equal files give equal results. DuckDB is imported by the first fold. This module does not know what is summed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from miniobserve.columns import ADDED_FOR_SUMS, FOR_SUMS, complete_rows
from miniobserve.manifests import Part
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace

if TYPE_CHECKING:
    import duckdb

LOCAL = "local"
_SMALL = 100_000
"""Requests that one thread sums up in a fraction of a second."""
_RAY = "ray://"
_MEMORY_MB = 450
"""What one worker's DuckDB may hold in memory before it writes to a temporary folder."""
_SETTINGS = (
    f"SET memory_limit = '{_MEMORY_MB}MB'; SET preserve_insertion_order = false;"
    # Every query reads the same files, whose footers are read once.
    " SET parquet_metadata_cache = true"
)
_WITHOUT = 'set `engine = "local"`'
_ROWS = "{rows}"
_GRADED = "graded"
"""Queries that do not have this word need no labels."""
BUCKET = "('0x' || md5(coalesce(unit_hash, retry_of, request_id))[:8])::UBIGINT"
"""What a unit's bucket is the remainder of, in the SQL of DuckDB: ``day_files.bucket_of``."""

Rows = list[tuple[Any, ...]]
Step = Callable[[int, int], None]
"""Called with the number of requests in the buckets that are done, and in all of them."""


class Files(NamedTuple):
    """Files that hold the requests of the units of bucket ``number`` of ``of``."""

    files: tuple[str, ...] = ()
    number: int = 0
    of: int = 1
    without: tuple[str, ...] = ()
    """Ids of requests that do not count, because they are elsewhere too."""
    parts: tuple[Part, ...] = ()
    """Further files, of closed days; the worker fetches those that are not on its disk."""
    place: str = ""
    """The folder or URL of the parts."""
    cache: str | None = None
    """The folder for copies of what is fetched; a temporary one where there is none."""
    contents: tuple[bytes, ...] = ()
    """Further files as bytes, for a worker on another machine."""

    def overlaps(self, number: int, of: int) -> bool:
        """Whether a unit of another division's bucket may be in these files; both divisions are powers of two."""
        least = min(of, self.of)
        return number % least == self.number % least


class Bucket(NamedTuple):
    """All requests of the units of bucket ``number`` of ``of``."""

    files: tuple[Files, ...] = ()
    number: int = 0
    of: int = 1
    rows: int = 0
    """About how many requests it holds, for progress."""
    live: tuple[Trace, ...] = ()
    """Requests that are in no file."""
    labels: Files = Files()
    """Files of request ids and how labels grade them, which goes before the grades of the requests."""


def fold(
    buckets: Sequence[Bucket],
    queries: Mapping[str, str],
    values: Mapping[str, Any],
    *,
    engine: str = LOCAL,
    step: Step = lambda _done, _total: None,
) -> dict[str, Rows]:
    """Run every query on every bucket and return the rows of each query, bucket after bucket.

    Args:
        buckets: what to read.
        queries: name → SQL of DuckDB, in which ``{rows}`` stands for the requests and ``$name`` for a value. Its rows
            must come in an order of its own, or be added up in whatever order. They are run one after another, and may
            read a temporary table that an earlier one created from the bucket.
        values: the values of the queries, by name.
        engine: ``local`` for threads of this process; ``ray://HOST:PORT`` for tasks of a Ray cluster, or ``ray://auto``
            for the one that this machine belongs to. Its machines must reach the same closed days.
        step: called with the progress.

    Raises:
        StorageError: a file cannot be read, or the engine cannot be used.
    """
    found: dict[str, Rows] = {name: [] for name in queries}
    done, total = 0, sum(bucket.rows for bucket in buckets)
    run = _over_ray if engine.startswith(_RAY) else _over_threads
    for bucket, rows in zip(buckets, run(buckets, queries, values, engine), strict=True):
        for name in queries:
            found[name] += rows[name]
        done += bucket.rows
        step(done, total)
    return found


def partial(bucket: Bucket, queries: Mapping[str, str], values: Mapping[str, Any], threads: int = 1) -> dict[str, Rows]:
    """Run the queries on one bucket in a DuckDB of its own. With one thread, sums have the same last digits each time.

    Raises:
        StorageError: a file cannot be read, or DuckDB is not installed.
    """
    from miniobserve.day_files import connected

    connection = connected(alone=threads == 1)
    import duckdb

    try:
        connection.execute(_SETTINGS)
        with ExitStack() as opened:
            relation = _relation(connection, bucket, opened)
            labelled = _labelled(relation, bucket.labels, opened)
            of = {name: labelled if _GRADED in sql else relation for name, sql in queries.items()}
            return {name: _rows(connection, sql.replace(_ROWS, of[name]), values) for name, sql in queries.items()}
    except duckdb.Error as error:
        raise StorageError(
            "damaged",
            f"the requests cannot be summed up: {str(error).splitlines()[0]}",
            "`spine verify` reads every file of closed days; restore a damaged one from a backup",
        ) from error
    finally:
        connection.close()


def _relation(connection: duckdb.DuckDBPyConnection, bucket: Bucket, opened: ExitStack) -> str:
    """The SQL of all requests of a bucket; ``opened`` keeps fetched files as long as the query may need them."""
    found = []
    for number, some in enumerate(bucket.files):
        conditions = [f"{BUCKET} % {bucket.of} = {bucket.number}"] if some.of < bucket.of else []
        if some.without:
            connection.execute(
                f"CREATE TABLE without{number} AS SELECT unnest(?::VARCHAR[]) AS id", [list(some.without)]
            )
            conditions.append(f"request_id NOT IN (FROM without{number})")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        # The names of files are quoted.
        found += [f"SELECT * FROM {read}{where}" for read in _read(connection, _local(some, opened))]  # noqa: S608
    if bucket.live or not found:
        from miniobserve.record_batches import OneBatch, batch_of

        connection.register("live", OneBatch(batch_of(bucket.live, [0] * len(bucket.live))))
        found.append(f"SELECT *, {ADDED_FOR_SUMS} FROM live")  # noqa: S608 -- ours
    return f"({' UNION ALL BY NAME '.join(found)})"


def _read(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> Iterator[str]:
    """Yield the SQL of the rows of some files: of those with the columns for sums, and of earlier ones without."""
    names = ", ".join(f"'{name}'" for name in FOR_SUMS)
    query = (
        f"SELECT file_name FROM parquet_schema([{_quoted(files)}]) WHERE name IN ({names})"  # noqa: S608 -- quoted
        f" GROUP BY file_name HAVING count(DISTINCT name) = {len(FOR_SUMS)}"
    )
    having = {name for (name,) in connection.execute(query).fetchall()} if files else set()
    if some := [file for file in files if file in having]:
        yield complete_rows(f"[{_quoted(some)}]")
    if some := [file for file in files if file not in having]:
        yield f"(SELECT *, {ADDED_FOR_SUMS} FROM {complete_rows(f'[{_quoted(some)}]')})"  # noqa: S608 -- quoted


def _local(some: Files, opened: ExitStack) -> list[str]:
    """The absolute paths of the files, once they are on this disk."""
    from miniobserve.archive import Archive

    files = list(some.files)
    if some.parts:
        archive = opened.enter_context(closing(Archive(some.place, Path(some.cache) if some.cache else None)))
        files += [str(archive.file(part)) for part in some.parts]
    for at, content in enumerate(some.contents):
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="fold-")))
        (folder / f"{at}.parquet").write_bytes(content)
        files.append(str(folder / f"{at}.parquet"))
    return [str(Path(file).resolve()) for file in files]  # as DuckDB gives them back


def _quoted(files: Sequence[str]) -> str:
    """The names of files in SQL."""
    from miniobserve.day_files import literal

    return ", ".join(f"'{quoted}'" for quoted in (literal(Path(file)).replace("'", "''") for file in files))


def _labelled(relation: str, labels: Files, opened: ExitStack) -> str:
    """The SQL of the same requests with the grades by their labels."""
    if not (files := _local(labels, opened)):
        return relation
    return (
        f"(SELECT given.* REPLACE (coalesce(said.graded, given.graded) AS graded) FROM {relation} AS given"  # noqa: S608
        f" LEFT JOIN read_parquet([{_quoted(files)}]) AS said ON said.request_id = given.request_id)"
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]) -> Rows:
    rows: Rows = connection.execute(sql, {name: v for name, v in values.items() if f"${name}" in sql}).fetchall()
    return rows


def _over_threads(
    buckets: Sequence[Bucket], queries: Mapping[str, str], values: Mapping[str, Any], _engine: str
) -> Iterator[dict[str, Rows]]:
    # DuckDB works outside of Python's lock, so threads use all cores; so does DuckDB alone where one bucket is large.
    # A small one has one thread, because several add up in any order, and then the last digits of a sum vary.
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(min(len(buckets), cores) or 1) as pool:
        threads = cores if len(buckets) == 1 and buckets[0].rows > _SMALL else 1
        yield from pool.map(lambda bucket: partial(bucket, queries, values, threads), buckets)


def _over_ray(
    buckets: Sequence[Bucket], queries: Mapping[str, str], values: Mapping[str, Any], engine: str
) -> Iterator[dict[str, Rows]]:
    try:
        import ray
    except ImportError as error:
        wrong = f"the engine {engine} needs Ray, which cannot be imported: {error}"
        raise StorageError(
            "unavailable", wrong, "pip install 'modelspine[ray]', or set `engine = \"local\"`"
        ) from error
    try:
        if not ray.is_initialized():
            ray.init(address="auto" if engine == f"{_RAY}auto" else engine, log_to_driver=False)
        task = ray.remote(partial)
        waiting = [task.remote(_sent(bucket), dict(queries), dict(values)) for bucket in buckets]
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise StorageError(
            "unavailable", f"the Ray cluster at {engine} cannot be used: {error}", 'start it, or set `engine = "local"`'
        ) from error
    for one in waiting:
        try:
            yield ray.get(one)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, StorageError) else _unusable(engine, error) from error


def _sent(bucket: Bucket) -> Bucket:
    """The bucket with the content of its local files, which a worker on another machine has not."""
    *made, labels = [
        some._replace(files=(), contents=tuple(Path(file).read_bytes() for file in some.files))
        for some in (*bucket.files, bucket.labels)
    ]
    return bucket._replace(files=tuple(made), labels=labels)


def _unusable(engine: str, error: Exception) -> StorageError:
    wrong = f"the Ray cluster at {engine} cannot be used: {str(error).strip().splitlines()[-1]}"
    return StorageError("unavailable", wrong, f"start it, or {_WITHOUT}")
