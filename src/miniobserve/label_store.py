"""Stores what is said of many answers at once, apart from a server: a transaction for each few thousand.

What was committed stays if the next batch fails, and saying it again changes nothing, so an import can be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from miniobserve.archive import Archive
from miniobserve.label_lookup import in_closed_days
from miniobserve.labels import Closed, store
from miniobserve.saying import Keeper, Saying, Stored
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.tables import complete
from miniobserve.traces import Trace

BATCH = 2_000
"""Sayings of one transaction, which keeps a server that writes to the same SQLite file waiting for a tenth of a second.
"""


class _DryRun(Exception):
    """Ends a transaction that must not be committed."""


class LabelStore:
    """A trace store, to which labels are added."""

    def __init__(self, url: str, archive: str, keeper: Keeper, *, dry_run: bool = False) -> None:
        """Open the store at ``url``, whose closed days are at ``archive``; with ``dry_run`` nothing is stored.

        Raises:
            StorageError: there is no store, or it cannot be written.
        """
        self._database = connect(url)
        self._keeper = keeper
        self._dry_run = dry_run
        self._archive = Archive(archive)
        try:
            complete(self._database)
        except StorageError:
            self.close()
            raise

    def say(self, sayings: Sequence[Saying]) -> list[Stored | None]:
        """Store up to ``BATCH`` sayings; None for those whose requests a closed day may have: see ``say_closed``.

        Raises:
            StorageError: nothing of this batch was stored.
        """
        return [None if isinstance(one, Closed) else one for one in self._store(sayings, None)]

    def say_closed(self, sayings: Sequence[Saying]) -> list[Stored]:
        """Store sayings about requests that the live store does not have.

        Raises:
            StorageError: a closed day cannot be read, or a batch could not be stored.
        """
        closed = in_closed_days(self._archive, sayings)
        results = []
        for start in range(0, len(sayings), BATCH):
            done = self._store(sayings[start : start + BATCH], closed)
            results += [one for one in done if isinstance(one, Stored)]
        return results

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
        self._archive.close()

    def _store(self, sayings: Sequence[Saying], closed: Sequence[Trace] | None) -> list[Stored | Closed]:
        results: list[Stored | Closed] = []
        try:
            with self._database.transaction() as tx:
                results = store(tx, sayings, self._keeper, "import", time.time_ns(), closed)
                if self._dry_run:
                    raise _DryRun
        except _DryRun:
            pass
        return results
