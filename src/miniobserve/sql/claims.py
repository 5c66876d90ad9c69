"""A task that only one of several processes on one database does at a time, as long as its process is alive.

On PostgreSQL the claim is an advisory lock of the session, which the server gives up when the connection ends. It saves
work and guarantees nothing: a process that lost its claim unnoticed may do the task once more. SQLite needs none,
because its processes share a machine.
"""

from __future__ import annotations

from miniobserve.sql.protocol import Database

STALLED_SECONDS = 30.0
"""A holder whose connection has been idle for longer is taken for stopped and loses its claim."""

_KEY = "hashtextextended(current_schema() || ' ' || ?, 0)"
_LOCKS = (
    "pg_locks.locktype = 'advisory' AND pg_locks.granted AND pg_locks.objsubid = 1"  # noqa: S608 -- constants
    " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND ((pg_locks.classid::bigint << 32) | pg_locks.objid::bigint) = {_KEY}"
)
# A second lock by the same session would be counted, and two unlocks would be needed. CASE is evaluated in order.
_TAKE = (
    f"SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_locks WHERE pg_locks.pid = pg_backend_pid() AND {_LOCKS})"  # noqa: S608
    f" THEN true ELSE pg_try_advisory_lock({_KEY}) END"
)
_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid)"  # noqa: S608 -- constants
    f" WHERE {_LOCKS} AND state LIKE 'idle%' AND clock_timestamp() - state_change > ? * interval '1 second'"
)


def claim(database: Database, name: str, stalled: float = STALLED_SECONDS) -> bool:
    """Return whether this process may do a task, which it claims if no other one has.

    A claim lasts until the connection ends. The connection of a holder that was idle for ``stalled`` seconds is ended:
    a process that is stopped, or on a machine that the network lost, keeps its locks otherwise.

    Raises:
        StorageError: the database cannot be reached.
    """
    if not database.partitioned:
        return True
    if database.read(_TAKE, (name, name))[0][0]:
        return True
    database.read(_END, (name, stalled))
    return False
