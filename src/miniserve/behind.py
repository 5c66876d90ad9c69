"""What a server may do while the ledger's route is not in effect on it: be sent requests, and answer with old entries.

A route that loads at once changes nothing: the old one answers until the new one is in effect, so that no request is
dropped. A server that cannot take it reports itself unready. It goes on answering what is sent to it all the same, but
never with an entry that the ledger has put on hold meanwhile. The module does not know how a route is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from modelspine.errors import Refused, SpineError
from modelspine.ledger.route import Route
from modelspine.text import short

GRACE_SECONDS = 1.5
"""How long a route may take to load before it counts as one that this server cannot take."""


class Behind:
    """How one server stands to the ledger's route; written by the thread that follows it, read by others."""

    def __init__(self, may_answer: Callable[[str, str], None]) -> None:
        """``may_answer`` raises ``Refused`` for an entry and semver that may not answer learners now."""
        self._may_answer = may_answer
        self._since: float | None = None
        self._failed: str | None = None
        self._fetching: str | None = None
        self._barred: dict[str, str] = {}

    def look(self, served: Route, wanted: Route | None) -> None:
        """Note the ledger's route after an event, and which entries of the one in effect may answer no longer."""
        barred: dict[str, str] = {}
        for arm in served.learners:
            try:
                self._may_answer(arm.sha, arm.semver)
            except Refused as error:
                barred[arm.sha] = error.message
        self._barred = barred
        if wanted is None or wanted == served:
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        self._failed = None

    def reached(self) -> None:
        """Note that the ledger's route is in effect; it was checked that its entries may answer."""
        self._since, self._failed, self._barred = None, None, {}

    def failed(self, reason: str) -> None:
        """Note that the ledger's route could not be taken, if it is another one than the one in effect."""
        self._failed = reason if self._since is not None else None

    def fetching(self, sha: str | None) -> None:
        """Note that an entry's bundle is not on this machine and is fetched now; None once that ended."""
        self._fetching = sha

    @property
    def unready(self) -> str | None:
        """Why no request should be sent here; None if the ledger's route is in effect, or will be in a moment."""
        since = self._since
        if since is None:
            return next(iter(self._barred.values()), None)
        if self._failed is not None:
            return f"the ledger's route is not in effect here: {self._failed}"
        if time.monotonic() - since <= GRACE_SECONDS:
            return None
        if (sha := self._fetching) is not None:
            return f"the ledger's route is not in effect here: {short(sha)} is being fetched"
        return next((f"the ledger's route is not in effect here yet, and {why}" for why in self._barred.values()), None)

    def refusal(self, sha: str) -> str | None:
        """Why an entry of the route in effect may not answer a request now; None if it may."""
        why, since = self._barred.get(sha), self._since
        if why is None or since is None:
            return why
        late = time.monotonic() - since > GRACE_SECONDS
        return why if late or self._failed is not None or self._fetching is not None else None


def given_up(
    head: Callable[[], Any], current: Callable[[], Route | None], route: Route, stopped: Callable[[], bool]
) -> Callable[[], bool]:
    """Return the question whether a fetch for a route should end: the server stops, or another route is in force.

    Args:
        head: returns the ledger's newest event.
        current: returns the ledger's route; asked only after a new event.
        route: the route that needs what is fetched.
        stopped: whether the server stops.
    """
    looked: Any = None

    def ended() -> bool:
        nonlocal looked
        if stopped():
            return True
        try:
            if (now := head()) == looked:
                return False
            looked = now
            return current() != route
        except SpineError:
            return False  # the ledger cannot be read now, so nothing says that another route is wanted

    return ended
