"""Which requests come from a tester: a person or a probe with a signed token, who may choose the arm that answers.

A tester's request is answered and traced like any other, but marked, so that no comparison counts it. A request
with a bad token is refused rather than answered as a learner's: it would otherwise be counted although its sender
asked for the opposite. This module does not know how an arm is chosen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from starlette.datastructures import Headers

from miniserve.replies import Problem
from modelspine.attestation.keys import Trust
from modelspine.attestation.tester_token import read_tester
from modelspine.attestation.trust import TESTERS, load_trust
from modelspine.errors import Refused, Unavailable
from modelspine.settings import Settings

TOKEN_HEADER, ARM_HEADER = "X-Spine-Tester", "X-Spine-Arm"
_log = logging.getLogger("miniserve")


class Tester(NamedTuple):
    """Who tests, and which arm they asked for."""

    name: str
    arm: str | None
    """None to be assigned like a learner, though outside the comparison, as a probe wants it."""


class Testers:
    """The keys of testers, as they were when the server started."""

    def __init__(
        self, trust: Trust | None = None, ledger: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._trust = trust
        self._ledger = ledger
        self._now = now

    @classmethod
    def load(cls, settings: Settings, env: str, ledger: str) -> Testers:
        """Read the testers file; without a usable one, no token is accepted."""
        if not settings.testers.is_file():
            return cls()
        try:
            return cls(load_trust(settings, env, TESTERS), ledger)
        except (Refused, Unavailable) as error:
            # Learners are served all the same: testers are a convenience.
            _log.warning("no tester is accepted", extra={"fields": {"reason": error.message, "hint": error.hint}})
            return cls()

    def of(self, headers: Headers) -> Tester | None:
        """Return the tester that sent a request; None for an ordinary request.

        Raises:
            Problem: 403 for a token that is not valid, and for a chosen arm without a token.

        """
        tokens, arms = headers.getlist(TOKEN_HEADER), headers.getlist(ARM_HEADER)
        if not tokens and not arms:
            return None
        if len(tokens) != 1 or len(arms) > 1:
            raise Problem(403, "tester_refused", f"send {TOKEN_HEADER} once, and {ARM_HEADER} at most once")
        if self._trust is None:
            raise Problem(403, "tester_refused", "this server accepts no tester tokens")
        try:
            name = read_tester(tokens[0], self._trust, ledger=self._ledger, now=self._now())
        except Refused as error:
            raise Problem(403, "tester_refused", error.message) from error
        return Tester(name, arms[0].strip() or None if arms else None)
