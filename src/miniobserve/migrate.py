"""Takes a trace store of the version before ``requests`` over, in place, and names the fields of its bodies anew.

Rows are copied page by page, each page in one transaction, and the old tables are dropped at the very end, in a
transaction that checks once more that everything was copied. So nothing is lost when it is killed, and running it again
goes on where it was. Until it is done, servers and readers refuse the store. Closed days of that version are converted
first, because what is left of their requests in the store is completed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.archive import Archive
from miniobserve.bodies import trace_of_body
from miniobserve.days import day_number
from miniobserve.ids import id_day
from miniobserve.kept import kept, to_be_taken
from miniobserve.old_days import convert_days
from miniobserve.rollup import roll_up
from miniobserve.rows import FEEDBACK_FROM, feedback_row, request_row
from miniobserve.schema import (
    ADD_PRUNED_SUMS,
    COLUMNS,
    DAY_NS,
    FEEDBACK_COLUMNS,
    INSERT_TAKEN,
    MINUTE,
    MINUTE_COLUMNS,
    UPSERT_FEEDBACK,
    UPSERT_PRUNED,
    has_table,
    is_old,
    refuse_old,
    schema,
)
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import Database, StorageError
from miniobserve.uptime import UPTIME_SCHEMA

__all__ = ["Migrated", "migrate", "refuse_old"]

_PAGE = 1_000
_OLD = ("traces", "bodies", "answers", "units", "minutes", "testers", "exported", "old_feedback")
_EVER = 2**63 - 1

Step = Callable[[str, int, int], None]
"""Called with what is being copied, how many are done, and how many there are."""


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken over."""

    requests: int = 0
    """Requests that the live store holds now."""
    feedback: int = 0
    closed_days: int = 0
    """Days whose requests are in files only."""
    unreadable: tuple[str, ...] = ()
    """Ids of requests whose stored JSON cannot be decoded; it is kept in the table ``unreadable``."""


def migrate(
    url: str, archive: Path | str | None = None, *, step: Step = lambda *_: None, without_closed_days: bool = False
) -> Migrated | None:
    """Take the store at ``url`` over; returns None if there is nothing to do.

    Args:
        url: the live trace store; no server may be writing to it.
        archive: the folder or bucket of its closed days.
        step: called as it goes on.
        without_closed_days: go on although files of closed days are missing, whose requests no figure then counts.

    Raises:
        StorageError: the store cannot be read or written; the file of a closed day is missing (kind ``unavailable``).

    """
    database = connect(url)
    try:
        days = Archive(archive) if archive is not None else None
        try:
            converted = 0 if days is None else convert_days(days, step)
            if not is_old(database):
                return Migrated(closed_days=converted) if converted else None
            _make_tables(database)
            if not without_closed_days:
                _check_days(database, days)
            while database.read(_MISSING):
                _copy_requests(database, step)
            _copy_feedback(database, days, step)
        finally:
            if days is not None:
                days.close()
        _note_pruned(database)
        _make_sums(database, step)
        return _finish(database)
    finally:
        database.close()


def _make_tables(database: Database) -> None:
    """Create the tables; the table of feedback, which has the name of an old one, takes its place."""
    with database.transaction() as tx:
        tx.lock("migrate")
        if not has_table(database, "old_feedback"):
            if has_table(database, "feedback"):
                tx.execute("DROP INDEX IF EXISTS feedback_outcome")
                tx.execute("ALTER TABLE feedback RENAME TO old_feedback")
            else:
                tx.execute("CREATE TABLE old_feedback (request_id TEXT PRIMARY KEY, outcome TEXT, at_ns BIGINT)")
        for statement in (*schema(database), UPTIME_SCHEMA):
            tx.execute(statement)
        tx.execute("CREATE TABLE IF NOT EXISTS unreadable (request_id TEXT PRIMARY KEY, body TEXT NOT NULL)")


_NOT_COPIED = (
    "NOT EXISTS (SELECT 1 FROM requests WHERE requests.request_id = bodies.request_id)"
    " AND NOT EXISTS (SELECT 1 FROM unreadable WHERE unreadable.request_id = bodies.request_id)"
)


_MISSING = f"SELECT 1 FROM bodies WHERE {_NOT_COPIED} LIMIT 1"  # noqa: S608 -- a constant


def _copy_requests(database: Database, step: Step) -> None:
    """Copy every body that is not a request yet."""
    total = int(database.read("SELECT COUNT(*) FROM bodies")[0][0])
    last, done, partitions = "", 0, set[int]()
    page = (
        f"SELECT request_id, body FROM bodies WHERE request_id > ? AND {_NOT_COPIED} ORDER BY request_id LIMIT {_PAGE}"  # noqa: S608
    )
    while bodies := database.read(page, (last,)):
        rows, unreadable = [], []
        for request_id, body in bodies:
            try:
                rows.append(request_row(trace_of_body(body)))
            except (msgspec.MsgspecError, ValueError, TypeError):
                unreadable.append((request_id, body))
        for day in {row[1] for row in rows} - partitions:
            database.partition("requests", day)
            partitions.add(day)
        with database.transaction() as tx:
            if rows:
                tx.insert("requests", COLUMNS, rows)
                if len(kept(tx, rows)) < len(rows):
                    raise StorageError("damaged", "the trace store does not hold what was copied", "see `spine verify`")
                if strays := to_be_taken(rows):
                    tx.executemany(INSERT_TAKEN, strays)
            if unreadable:
                tx.executemany("INSERT INTO unreadable (request_id, body) VALUES (?, ?)", unreadable)
        last, done = bodies[-1][0], done + len(bodies)
        step("requests", done, total)


def _copy_feedback(database: Database, days: Archive | None, step: Step) -> None:
    """Copy feedback with what figures need of its request, from the request or from what is left of a pruned one."""
    total = int(database.read("SELECT COUNT(*) FROM old_feedback")[0][0])
    columns = ", ".join(f"requests.{name}" for name in FEEDBACK_FROM)
    last, done = "", 0
    while found := database.read(
        f"SELECT old_feedback.request_id, outcome, at_ns, {columns} FROM old_feedback LEFT JOIN requests"  # noqa: S608
        f" ON requests.request_id = old_feedback.request_id WHERE old_feedback.request_id > ?"
        f" ORDER BY old_feedback.request_id LIMIT {_PAGE}",
        (last,),
    ):
        rows = [feedback_row(row[0], row[1], row[2], row[3:]) for row in found if row[3] is not None]
        gone = [row for row in found if row[3] is None]
        rows += _of_pruned(database, days, gone)
        with database.transaction() as tx:
            tx.executemany(UPSERT_FEEDBACK, rows)
        last, done = found[-1][0], done + len(found)
        step("feedback", done, total)


def _of_pruned(database: Database, days: Archive | None, gone: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows of feedback on pruned requests: ``answers`` has all of a request but its entry."""
    if not gone:
        return []
    condition, ids = database.among("request_id", [row[0] for row in gone])
    answers: dict[str, tuple[Any, ...]] = {}
    if has_table(database, "answers"):
        query = f"SELECT request_id, started_ns, epoch, arm, u, shadow_of FROM answers WHERE {condition}"  # noqa: S608
        answers = {row[0]: row[1:] for row in database.read(query, ids)}
    exported = dict(database.read(f"SELECT request_id, day FROM exported WHERE {condition}", ids))  # noqa: S608
    entries: dict[str, str] = {}
    if days is not None and (there := sorted(set(exported.values()) & set(days.days()))):
        query = "SELECT request_id, entry_sha FROM {files} WHERE request_id IN (SELECT unnest(?::VARCHAR[]))"
        entries = dict(days.read(query, there, ([row[0] for row in gone],)))
    rows = []
    for request_id, outcome, at_ns, *_ in gone:
        day = day_number(exported[request_id]) if request_id in exported else 0
        started, epoch, arm, u, shadow_of = answers.get(request_id, (day * DAY_NS, 0, "", "", None))
        context = (day, started, epoch, arm, u, int(request_id in answers), shadow_of, entries.get(request_id, ""))
        rows.append((request_id, outcome, at_ns, *context))
    assert all(len(row) == len(FEEDBACK_COLUMNS) for row in rows)
    return rows


def _check_days(database: Database, days: Archive | None) -> None:
    """Refuse to go on where the file of a day is missing that was pruned from the store."""
    if not has_table(database, "exported"):
        return
    pruned = {row[0] for row in database.read("SELECT DISTINCT day FROM exported")}
    lost = sorted(pruned - set(days.days() if days is not None else ()))
    if lost:
        raise StorageError(
            "unavailable",
            f"the files of {len(lost)} closed days are missing, the first is {lost[0]}; what is left of their requests"
            " in the old tables would be lost",
            "put the files where the setting `parquet` says, or repeat with --without-closed-days",
        )


def _note_pruned(database: Database) -> None:
    """Note which days were pruned and their epochs, and the ids of theirs that do not carry the day."""
    if not has_table(database, "exported"):
        return
    epochs = "MIN(answers.epoch), MAX(answers.epoch)" if has_table(database, "answers") else "NULL, NULL"
    join = " LEFT JOIN answers ON answers.request_id = exported.request_id" if "answers" in epochs else ""
    days = database.read(f"SELECT day, {epochs} FROM exported{join} GROUP BY day")  # noqa: S608
    with database.transaction() as tx:
        for day, first, last in days:
            known = first is not None
            tx.execute(UPSERT_PRUNED, (day_number(day), first if known else 0, last if known else _EVER))
    last = ""
    page = f"SELECT request_id, day FROM exported WHERE request_id > ? ORDER BY request_id LIMIT {_PAGE}"  # noqa: S608
    while ids := database.read(page, (last,)):
        taken = [(name, number) for name, day in ids if id_day(name) != (number := day_number(day))]
        if taken:
            with database.transaction() as tx:
                tx.executemany(INSERT_TAKEN, taken)
        last = ids[-1][0]


def _make_sums(database: Database, step: Step) -> None:
    """Make the sums of the live requests; what the old minutes have beyond them is of pruned requests."""
    step("sums", 0, 1)
    with database.transaction() as tx:
        tx.execute("DELETE FROM touched")
        tx.execute(f"INSERT INTO touched (minute) SELECT DISTINCT {MINUTE} FROM requests")  # noqa: S608 -- a constant
    roll_up(database, database)
    names = ", ".join(MINUTE_COLUMNS)
    with database.transaction() as tx:
        tx.execute("DELETE FROM pruned_sums")
        if not has_table(database, "minutes") or not tx.execute("SELECT 1 FROM pruned LIMIT 1"):
            return
        live = {tuple(row[:3]): row[3:] for row in tx.execute(f"SELECT {names} FROM sums")}  # noqa: S608 -- names
        rows = []
        for row in tx.execute(f"SELECT {names} FROM minutes"):  # noqa: S608 -- names
            less = live.get(tuple(row[:3]), (0,) * len(row[3:]))
            left = [whole - part for whole, part in zip(row[3:], less, strict=True)]
            if left[0] > 0:
                rows.append((*row[:3], *left))
        if rows:
            tx.executemany(ADD_PRUNED_SUMS, rows)


def _finish(database: Database) -> Migrated:
    """Drop the old tables, if everything was copied."""
    with database.transaction() as tx:
        tx.only_writer("bodies")
        feedback = tx.execute(
            "SELECT COUNT(*) FROM old_feedback WHERE request_id NOT IN (SELECT request_id FROM feedback)"
        )
        if tx.execute(_MISSING) or feedback[0][0]:
            raise StorageError(
                "unavailable",
                "requests or feedback came in meanwhile; nothing was dropped",
                "stop every server that writes to this store, then repeat `spine migrate`",
            )
        unreadable = tuple(row[0] for row in tx.execute("SELECT request_id FROM unreadable ORDER BY request_id"))
        counts = [int(tx.execute(f"SELECT COUNT(*) FROM {name}")[0][0]) for name in ("requests", "feedback", "pruned")]  # noqa: S608
        for table in (*_OLD, *(() if unreadable else ("unreadable",))):
            tx.execute(f"DROP TABLE IF EXISTS {table}")
    return Migrated(requests=counts[0], feedback=counts[1], closed_days=counts[2], unreadable=unreadable)
