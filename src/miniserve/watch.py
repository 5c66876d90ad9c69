"""The thread that supervises a canary: it asks ``modelspine.traffic.canary`` for the next decision until it ends.

Every replica runs one and each reaches the same decision from the same data. Where they share a PostgreSQL server, one
of them looks and the others wait until it is gone, because a look reads much; that saves work only, and it is still the
first append to the ledger that counts. This module does not know how a decision is made.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from miniobserve.sql.protocol import StorageError
from modelspine.errors import SpineError
from modelspine.ledger.route import Route
from modelspine.spine import Spine
from modelspine.traffic.epoch_clock import EpochClock, covered

EVERY_SECONDS = 0.5
PAUSE = 9
"""The pause after a check is at least this many times its processor time, so checks use at most 10 % of a core."""
_log = logging.getLogger("miniserve")


_NONE = Route(strategy="none", epoch=0, salt="0", arms=())


def ledger_route(spine: Spine) -> Callable[[], Route]:
    """Return a function that reads the route from the ledger; while that fails, it returns the last one it read."""
    last = _NONE

    def read() -> Route:
        nonlocal last
        try:
            last = spine.registry.route() or _NONE
        except SpineError as error:
            _log.debug("the ledger cannot be read", extra={"fields": {"reason": error.message}})
        return last

    return read


class Watch:
    """Supervises the canaries of one ledger while this server runs."""

    def __init__(
        self, spine: Spine, route: Callable[[], Route], on_decision: Callable[[str, str, bool], None] | None = None
    ) -> None:
        """Start the thread.

        Args:
            spine: with its own database connections, so that reading many traces does not delay requests.
            route: returns the route in effect here; checks run only while it is a canary.
            on_decision: called with each decision's action and verdict, and whether this server wrote it.
        """
        self._spine = spine
        self._route = route
        self._on_decision = on_decision
        self._stop = threading.Event()
        self._blind_since: float | None = None
        self._clock = EpochClock()
        self._warned = ""
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; a running canary stays as it is."""
        self._stop.set()
        self._thread.join(5)
        self._spine.close()

    def _run(self) -> None:
        pause = EVERY_SECONDS
        while not self._stop.wait(pause):
            began = time.thread_time()
            route = self._route()
            if route.strategy == "canary":
                if self._is_mine(route):
                    self._look()
            else:
                self._clock.see(route.epoch, time.monotonic())
                self._blind_since, self._warned = None, ""
            pause = max(EVERY_SECONDS, PAUSE * (time.thread_time() - began))

    def _is_mine(self, route: Route) -> bool:
        """Whether this replica looks, rather than another one that shares the trace store."""
        try:
            if self._spine.traces.claim("canary"):
                return True
        except (SpineError, StorageError):
            return True  # the look says why the traces cannot be read, and counts for how long
        # The first epoch that this process looks at may be older than the process; the others began while it ran.
        if not self._clock.is_new:
            self._clock.see(route.epoch, time.monotonic())
        self._blind_since, self._warned = None, ""
        return False

    def _look(self) -> None:
        from modelspine.traffic.canary import tick  # imported here because few servers ever run a canary

        began = time.monotonic()
        blind = 0.0 if self._blind_since is None else began - self._blind_since
        try:
            now = datetime.now(UTC)
            decision = tick(self._spine.routing, self._spine.traces, now, blind=blind, watched=self._watched)
        except SpineError as error:
            self._warn(error.message)
            return
        except Exception as error:  # noqa: BLE001 -- the thread must survive until the next check
            _log.error("the canary check failed", exc_info=error)
            return
        if decision is None or decision.judgement is not None:
            self._blind_since, self._warned = None, ""
        else:
            self._blind_since = began if self._blind_since is None else self._blind_since
            if not self._warned:
                self._warn(decision.reason)
        if decision is not None and self._on_decision is not None:
            self._on_decision(decision.action, decision.verdict, decision.seq is not None)
        if decision is not None and decision.seq is not None:
            fields = {"action": decision.action, "verdict": decision.verdict, "reason": decision.reason}
            _log.info("the canary changed state", extra={"fields": {**fields, "seq": decision.seq}})

    def _watched(self, epoch: int, since_ns: int) -> float:
        """The longest that an epoch can have lasted, in seconds: a wall clock that is ahead must not end a step."""
        route = self._route()
        if not self._clock.is_new or route.epoch != epoch:
            return self._clock.see(epoch, time.monotonic())
        age = covered(self._spine.traces.evidence, route, since_ns, time.time_ns())
        return self._clock.see(epoch, time.monotonic(), age)

    def _warn(self, reason: str) -> None:
        """Log a reason once, not at every check."""
        if reason != self._warned:
            _log.warning("the canary cannot be checked", extra={"fields": {"reason": reason}})
        self._warned = reason
