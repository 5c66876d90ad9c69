"""The rows of a Parquet file as lines of JSON. It does not know where the file comes from."""

from __future__ import annotations

import glob
from pathlib import Path

from miniobserve.archive import connected
from modelspine.errors import BadInput, Unavailable
from modelspine.ledger.store import storage_errors
from modelspine.lineage.row_formats import as_json
from modelspine.text import visible

_BATCH = 2_000


def write_lines(file: Path, lines: Path) -> None:
    """Write each row of a Parquet file as a line of JSON, by column.

    Raises:
        Unavailable: DuckDB, which reads Parquet, is not installed.
        BadInput: it is no Parquet file.
    """
    with storage_errors():
        connection = connected()
    import duckdb

    try:  # DuckDB takes brackets and stars in a name for a pattern
        found = connection.execute("SELECT * FROM read_parquet(?)", [glob.escape(str(file))])
        names = [column[0] for column in found.description or ()]
        with lines.open("w", encoding="utf-8") as stream:
            while rows := found.fetchmany(_BATCH):
                for row in rows:
                    stream.write(as_json(dict(zip(names, row, strict=True))) + "\n")
    except duckdb.Error as error:
        why = visible(str(error).splitlines()[0], 160)
        raise BadInput(f"the Parquet file cannot be read: {why}", "check that it is one") from error
    finally:
        connection.close()


def number_of_rows(file: Path) -> int | None:
    """The number of rows that a Parquet file says it has; None where it is none, or DuckDB is not installed."""
    try:
        with storage_errors():
            connection = connected()
    except Unavailable:
        return None
    import duckdb

    try:
        found = connection.execute("SELECT count(*) FROM read_parquet(?)", [glob.escape(str(file))]).fetchone()
    except duckdb.Error:
        return None
    finally:
        connection.close()
    return int(found[0]) if found else None
