"""Which days a store of closed days has, and the files of each, as their manifests list them.

The listing of a folder is read for every question; that of a bucket may be some seconds old, so whoever deletes rows
from the live store waits for longer than that after noting it. Manifests never change, so each is read once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from miniobserve import manifests
from miniobserve.days import date_of
from miniobserve.ids import id_day
from miniobserve.manifests import DayObjects, Manifest, Part
from miniobserve.objects import Objects
from miniobserve.sql.protocol import StorageError

LISTING_SECONDS = 4.0
"""How old the listing of a bucket may be."""
_READERS = 16


class DayIndex:
    """The days of one store; safe to use from any thread."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._lock = threading.Lock()
        self._read: dict[tuple[str, int], tuple[Manifest, str]] = {}
        self._listed: dict[str, DayObjects] = {}
        self._at = float("-inf")
        self._is_local = objects.local("any") is not None

    def days(self, *, fresh: bool = False) -> dict[str, DayObjects]:
        """Return what the store holds of each closed day, oldest first."""
        with self._lock:
            if fresh or self._is_local or time.monotonic() - self._at > LISTING_SECONDS:
                began = time.monotonic()
                self._listed = manifests.listed(self.objects)
                self._at = began
            listed = self._listed
        return {day: seen for day, seen in listed.items() if seen.latest or seen.old}

    def known(self) -> dict[str, DayObjects]:
        """Return every day that the store holds anything of, also one whose manifests are missing."""
        return manifests.listed(self.objects)

    def manifest(self, day: str, *, fresh: bool = False) -> tuple[Manifest, str] | None:
        """Return the manifest of a day that counts, and its SHA-256; None for a day that is not closed.

        Raises:
            StorageError: the manifest is damaged, or the day is in the form of an earlier version.
        """
        seen = manifests.listed(self.objects, day).get(day) if fresh else self.days().get(day)
        found = self._manifest(day, seen)
        if fresh:
            with self._lock:
                self._at = float("-inf")
        return found

    def parts(self, days: Sequence[str], listed: dict[str, DayObjects] | None = None) -> list[Part]:
        """Return the files of some days; those that are not closed have none. ``listed`` is a listing just made."""
        if not days:
            return []
        seen = self.days() if listed is None else listed
        if len(days) > 1 and not self._is_local:
            with ThreadPoolExecutor(_READERS) as pool:
                found = list(pool.map(lambda day: self._manifest(day, seen.get(day)), days))
        else:
            found = [self._manifest(day, seen.get(day)) for day in days]
        return [part for one in found if one is not None for part in one[0].parts]

    def _manifest(self, day: str, seen: DayObjects | None) -> tuple[Manifest, str] | None:
        if seen is None:
            return None
        if not seen.latest:
            if seen.old:
                raise old_day(self.objects, day)
            return None
        key = day, seen.latest
        with self._lock:
            known = self._read.get(key)
        if known is None:
            known = manifests.read(self.objects, *key)
            with self._lock:
                self._read[key] = known
        return known

    @staticmethod
    def days_of(request_id: str) -> tuple[str, ...]:
        """Return the days that a generated id may be of, which are none for another id.

        It begins with the milliseconds at which it was made; its request may have started just after.
        """
        number = id_day(request_id)
        return () if number is None else (date_of(number), date_of(number + 1))


def old_day(objects: Objects, day: str) -> StorageError:
    """The error for a day that an earlier version closed."""
    wrong = f"the closed day {day} in {objects.name} has the form of an earlier version"
    return StorageError("unavailable", wrong, "run `spine migrate`, which converts it")
