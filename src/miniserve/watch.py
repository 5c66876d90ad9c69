"""The thread that looks after a canary: it asks ``modelspine.traffic.canary`` what follows, until it is over.

Every replica has one and there is no leader; what they decide is the same, and one append wins. It does not
know what a decision is made of.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from modelspine.errors import SpineError
from modelspine.ledger.route import Route
from modelspine.spine import Spine

EVERY_SECONDS = 0.5
PAUSE = 9
"""A look is followed by a pause at least this many times its processor time: it takes a tenth of a core at most."""
_log = logging.getLogger("miniserve")


class Watch:
    """Follows the canaries of one ledger for as long as this server runs."""

    def __init__(self, spine: Spine, route: Callable[[], Route]) -> None:
        """Start the thread.

        Args:
            spine: connections of its own: a look at many traces must not keep requests waiting.
            route: the route in effect here; a canary is looked at only while it is one.
        """
        self._spine = spine
        self._route = route
        self._stop = threading.Event()
        self._blind_since: float | None = None
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; a canary stays as it is."""
        self._stop.set()
        self._thread.join(5)
        self._spine.close()

    def _run(self) -> None:
        pause = EVERY_SECONDS
        while not self._stop.wait(pause):
            began = time.thread_time()
            if self._route().strategy == "canary":
                self._look()
            else:
                self._blind_since, self._told = None, ""
            pause = max(EVERY_SECONDS, PAUSE * (time.thread_time() - began))

    def _look(self) -> None:
        from modelspine.traffic.canary import tick  # statistics load with the first canary

        began = time.monotonic()
        blind = 0.0 if self._blind_since is None else began - self._blind_since
        try:
            decision = tick(self._spine.routing, self._spine.traces, datetime.now(UTC), blind=blind)
        except SpineError as error:
            self._warn(error.message)
            return
        except Exception as error:  # noqa: BLE001 -- the thread must be there for the next look
            _log.error("the canary's watch failed", exc_info=error)
            return
        if decision is None or decision.judgement is not None:
            self._blind_since, self._told = None, ""
        else:
            self._blind_since = began if self._blind_since is None else self._blind_since
            if not self._told:
                self._warn(decision.reason)
        if decision is not None and decision.seq is not None:
            fields = {"action": decision.action, "verdict": decision.verdict, "reason": decision.reason}
            _log.info("the canary moved", extra={"fields": {**fields, "seq": decision.seq}})

    def _warn(self, reason: str) -> None:
        """Say once why there is no look, and not twice a second."""
        if reason != self._told:
            _log.warning("the canary cannot be looked at", extra={"fields": {"reason": reason}})
        self._told = reason
