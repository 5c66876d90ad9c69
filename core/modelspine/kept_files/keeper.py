"""Stores the bytes of files in the background, each under its digest and so only once.

A store that fails or is slow costs the bytes and never the request: the caller learns why they are not kept. It does
not know what the bytes are, or in which trace their digest stands.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from miniobserve.objects import Exists, open_objects
from miniobserve.sql.protocol import StorageError
from modelspine.kept_files.digests import key_of
from modelspine.text import size, visible

if TYPE_CHECKING:
    from miniobserve.objects import Objects

MOST_WAITING = 256_000_000
"""Bytes that wait for the store in this process; who has more to keep waits for room."""
KEEP_SECONDS = 10.0
"""How long the end of a request waits until its bytes are stored, and its beginning for room."""
REST_SECONDS = 30.0
"""How long nothing is sent to a store that failed, so that not every request of a batch waits for it."""
_KNOWN_SECONDS = 600.0
"""How long bytes count as stored without being sent again: somebody may delete them meanwhile."""
_MOST_KNOWN = 65_536
_THREADS = 8


class Held(NamedTuple):
    """Bytes that are to be kept."""

    name: str
    """What they are of the request, such as ``input.photo``."""
    sha256: str
    content: bytes


class _Begun(NamedTuple):
    at: float
    """By the monotonic clock."""
    why_not: Future[str]


class Keeper:
    """Keeps bytes in one store, in threads of its own; safe to use from any thread, but not after a fork."""

    def __init__(self, place: str) -> None:
        """Nothing is opened before the first bytes come; ``place`` is a folder or the URL of a bucket."""
        self._place = place
        self._pool = ThreadPoolExecutor(_THREADS, "kept-files")
        self._room = threading.Condition()
        self._waiting = 0
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._rests_until, self._why = 0.0, ""
        self._store: Objects | None = None

    def begin(self, held: Held, room_seconds: float = KEEP_SECONDS) -> Future[str]:
        """Begin to store bytes; the future has the empty text once they are durable, else why they are not."""
        with self._room:
            now = time.monotonic()
            begun = self._begun.get(held.sha256)
            if begun is not None and now - begun.at < _KNOWN_SECONDS and not _failed(begun.why_not):
                return begun.why_not
            if now < self._rests_until:
                return _done(self._why)
            # Larger bytes than the limit would never fit, so they pass where nothing else waits.
            if not self._room.wait_for(lambda: self._fits(len(held.content)), room_seconds):
                return _done(f"over {size(MOST_WAITING)} wait for {self._named} already")
            try:
                future = self._pool.submit(self._put, held)
            except RuntimeError:
                return _done("the process is ending")
            self._waiting += len(held.content)
            self._begun[held.sha256] = _Begun(now, future)
            if len(self._begun) > _MOST_KNOWN:
                self._begun.popitem(last=False)
        return future

    def unkept(self, begun: Iterable[tuple[str, Future[str]]], seconds: float) -> tuple[str, ...]:
        """Wait until the bytes are durable; says of each name whose bytes are not why they are not kept.

        With ``seconds`` of 0 it does not wait, and what is still on its way counts as not kept.
        """
        named = list(begun)
        late = wait([future for _, future in named], timeout=seconds).not_done
        why_late = "they were still on their way"
        if late and seconds:
            why_late = self._rest(f"{self._named} did not take them within {seconds:.0f} s")
        whys = ((name, why_late if each in late else each.result()) for name, each in named)
        return tuple(f"{visible(name, 80)}: its bytes are not kept: {why}" for name, why in whys if why)

    def close(self) -> None:
        """Store what waits, and end."""
        self._pool.shutdown()

    def _put(self, held: Held) -> str:
        try:
            if time.monotonic() < self._rests_until:
                return self._why
            if self._store is None:
                self._store = open_objects(self._place)
            self._store.put(key_of(held.sha256), held.content)
        except Exists:
            pass  # by its name it has these bytes; who reads them compares the digest
        except StorageError as error:
            return self._rest(visible(error.message, 160))
        except BaseException as error:  # noqa: BLE001 -- a driver's own failure, such as a panic of its runtime
            return self._rest(f"{type(error).__name__}: {visible(str(error), 120)}")
        finally:
            with self._room:
                self._waiting -= len(held.content)
                self._room.notify_all()
        self._rests_until = 0.0
        return ""

    def _rest(self, why: str) -> str:
        self._rests_until, self._why = time.monotonic() + REST_SECONDS, why
        return why

    def _fits(self, count: int) -> bool:
        return self._waiting == 0 or self._waiting + count <= MOST_WAITING

    @property
    def _named(self) -> str:
        return visible(self._place, 80)


class Keeping:
    """The bytes of one request that are on their way into a store; without a keeper, it keeps nothing."""

    def __init__(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        self._begun: list[tuple[str, Future[str]]] = []

    def begin(self, held: Iterable[Held], room_seconds: float = KEEP_SECONDS) -> None:
        """Begin to store bytes."""
        if self._keeper is not None:
            self._begun += [(each.name, self._keeper.begin(each, room_seconds)) for each in held]

    def unkept(self, seconds: float = KEEP_SECONDS) -> tuple[str, ...]:
        """What is not kept and why, once all is stored or the time is over."""
        return () if self._keeper is None else self._keeper.unkept(self._begun, seconds)


def _failed(why_not: Future[str]) -> bool:
    return why_not.done() and (why_not.cancelled() or why_not.exception() is not None or bool(why_not.result()))


def _done(why: str) -> Future[str]:
    future: Future[str] = Future()
    future.set_result(why)
    return future
