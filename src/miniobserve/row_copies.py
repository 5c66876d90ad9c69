"""Writes rows of the live store to a Parquet file, which appears whole or not at all.

This module does not know what the rows are.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from miniobserve.day_files import connected, duckdb_errors
from miniobserve.record_batches import BatchStream
from miniobserve.sql.protocol import StorageError

if TYPE_CHECKING:
    from nanoarrow.c_array import CArray


def copy_rows(file: Path, batches: Iterator[CArray], empty: CArray, select: str) -> None:
    """Write what a query of DuckDB makes of some record batches, which are its table ``rows``.

    Args:
        file: what is written; one that is there is replaced.
        batches: the rows.
        empty: a batch without rows, with the columns of all others.
        select: the query.

    Raises:
        StorageError: the file cannot be written. What ``batches`` raises is raised as it is.
    """
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")
    stream = BatchStream(batches, empty)
    connection = connected(alone=True)
    try:
        with duckdb_errors(f"{file} cannot be written", "check the disk and your permission there"):
            connection.register("rows", stream)
            target = str(temporary).replace("'", "''")
            connection.execute(f"COPY ({select}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        temporary.replace(file)
    except StorageError:
        if stream.failure is not None:
            raise stream.failure from None
        raise
    finally:
        connection.close()
        temporary.unlink(missing_ok=True)
