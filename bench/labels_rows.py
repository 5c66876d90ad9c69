"""Bench group labels: importing a label for each of a million requests, and what the labels cost the figures.

The peer is what one would write by hand: read the same CSV, look each id up in SQLite, and keep its label in a table.
"""

from __future__ import annotations

import csv
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import stores
from rows import Row

from miniobserve.fold import fold
from miniobserve.label_store import BATCH, LabelStore
from miniobserve.reader import TraceReader
from miniobserve.saying import KeepAll
from modelspine.cost.partial import QUERIES
from modelspine.maintenance.label_import import counted_rows, sayings_of
from modelspine.maintenance.label_rows import columns_of, rows_of

COUNT = 1_000_000
_EVER = 2**63 - 1


def rows(count: int = COUNT) -> Iterator[Row]:
    """Yield the rows of this group."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        url = stores.traces(path, count)
        file = Path(folder) / "labels.csv"
        with file.open("w") as stream:
            stream.write("request_id,label\n")
            stream.writelines(f"req-{number:012d},Yesterday he went to school.\n" for number in range(count))
        bare = _figures(url)
        by_hand = _timed(lambda: _by_hand(path, file))
        took = _timed(lambda: _imported(url, folder, file))
        again = _timed(lambda: _imported(url, folder, file))
        yield Row(f"importing {count:,} labels", took, "CPU s", None, "SQLite by hand, which grades nothing", by_hand)
        yield Row("importing the same file again", again, "CPU s", None, "the first time", took)
        labelled = _figures(url)
        for name, (without, with_labels) in {n: (bare[n], labelled[n]) for n in bare}.items():
            yield Row(f"{name}, every request labelled", with_labels, "CPU s", None, "without a label", without)


def _timed(call: Callable[[], object]) -> float:
    """Seconds of this process's CPU time, which say the same on a busy machine."""
    began = time.process_time()
    call()
    return time.process_time() - began


def _imported(url: str, folder: str, file: Path) -> None:
    (_, first), *_ = [next(rows_of(file))]
    columns = columns_of(first, None)
    _, _, several = counted_rows(file, columns)  # as the command does, before it stores anything
    store = LabelStore(url, f"{folder}/parquet", KeepAll())
    batch = []
    for saying in sayings_of(file, columns, several, Counter()):
        batch.append(saying)
        if len(batch) == BATCH:
            store.say(batch)
            batch = []
    store.say(batch)
    store.close()


def _by_hand(path: Path, file: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE by_hand (request_id TEXT PRIMARY KEY, label TEXT, graded INTEGER)")
    with file.open() as stream:
        reader = csv.reader(stream)
        next(reader)
        done = False
        while not done:
            connection.execute("BEGIN IMMEDIATE")
            for _ in range(BATCH):
                row = next(reader, None)
                if row is None:
                    done = True
                    break
                found = connection.execute("SELECT request_id FROM requests WHERE request_id = ?", row[:1]).fetchone()
                if found:
                    insert = "INSERT INTO by_hand VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET label = excluded.label"
                    connection.execute(insert, row)
            connection.execute("COMMIT")
    connection.execute("DROP TABLE by_hand")
    connection.close()


def _figures(url: str) -> dict[str, float]:
    """Seconds of the figures that labels change, each after what it keeps on disk was made."""
    reader = TraceReader.open(url)
    requests = reader.requests
    found = {"units of an epoch": _timed(lambda: reader.evidence.units(3))}
    requests.buckets(0, _EVER)
    given = {"since": 0, "until": _EVER}
    found["cost of every request"] = _timed(lambda: fold(requests.buckets(0, _EVER), QUERIES, given))
    reader.close()
    return found
