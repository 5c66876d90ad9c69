"""The models that answer now: follows the ledger's route and swaps models while requests are served.

A route takes effect as a whole or not at all: first every worker has loaded and warmed up every bundle it names.
If one of them fails, the previous route stays in effect and ``problem`` gives the reason; ``behind`` decides what
that means for this server. A request keeps the ``Serving`` it started with, so no answer mixes two routes. A shadow
arm is not loaded here, so that a broken shadow model cannot block a route. This module knows nothing of HTTP and of
processes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from miniobserve.traces import Assignment
from miniserve.behind import Behind, given_up
from miniserve.record import Served
from miniserve.testers import Tester
from modelspine.errors import BadInput, Replaced, SpineError
from modelspine.ledger.route import Arm, Route, assign, assign_tester, shadow_arm_of
from modelspine.text import short

POLL_SECONDS = 0.25
RETRY_SECONDS = 2.0
LONGEST_RETRY = 30.0
"""A route that failed to load is retried after 2, 4, 8 … seconds, up to this: the bundle may have been repaired."""

LOAD_SECONDS = 15.0
"""A load that takes longer is reported. No other route is followed meanwhile."""

_log = logging.getLogger("miniserve")


class Heads(Protocol):
    """The part of the ledger used here: a cheap check for new events."""

    def head(self) -> Any:
        """Return the newest event's seq and hash."""
        ...


class Loader(Protocol):
    """The part of the worker pool used here."""

    def load(self, sha: str) -> None:
        """Load an entry's verified bundle into every worker; raises ``SpineError`` if that fails."""
        ...

    def keep(self, shas: Iterable[str]) -> None:
        """Drop every entry but these."""
        ...


class Routes(Protocol):
    """The part of the registry used here."""

    def route(self) -> Route | None:
        """Return the route in force, or None before the first promotion."""
        ...

    def may_answer(self, sha: str, semver: str) -> None:
        """Raise ``Refused`` unless this entry may answer learners."""
        ...

    def is_here(self, sha: str) -> bool:
        """Whether a bundle and its parent's are on this machine; they are not hashed."""
        ...

    def obtain(self, sha: str, given_up: Callable[[], bool]) -> None:
        """Fetch a bundle and its parent's if they are not on this machine, unless that is given up."""
        ...


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A route in effect on this server, whose entries that answer learners are loaded in every worker."""

    route: Route
    wanted: Route
    """The ledger's route; it differs from ``route`` only while its models cannot be loaded."""

    def serve(self, unit: str, *, sticky: bool, tester: Tester | None = None) -> Served:
        """Assign a unit to an arm; returns the assignment with its entry.

        Raises:
            BadInput: the tester chose an arm that the route does not have.

        """
        if tester is not None:
            return self._serve_tester(unit, sticky=sticky, tester=tester)
        assignment, arm = _assigned(self.route, unit, sticky=sticky)
        intended = arm.sha if self.wanted is self.route else _assigned(self.wanted, unit, sticky=sticky)[1].sha
        return Served(
            assignment=assignment,
            sha=arm.sha,
            semver=arm.semver,
            intended_sha=intended,
            copy_to=shadow_arm_of(self.route, assignment),
        )

    def _serve_tester(self, unit: str, *, sticky: bool, tester: Tester) -> Served:
        assignment = assign_tester(self.route, unit, sticky=sticky, tester=tester.name, arm=tester.arm)
        arm = next(arm for arm in self.route.arms if arm.name == assignment.arm)
        # No copy for the shadow: pairs of answers are evidence, and a tester's requests are not.
        return Served(
            assignment=assignment,
            sha=arm.sha,
            semver=arm.semver,
            intended_sha=arm.sha,
            by_shadow=arm is self.route.shadow,
        )


def _assigned(route: Route, unit: str, *, sticky: bool) -> tuple[Assignment, Arm]:
    assignment = assign(route, unit, sticky=sticky)
    return assignment, next(arm for arm in route.arms if arm.name == assignment.arm)


class Arms:
    """The route in effect, kept up to date by a thread."""

    def __init__(
        self,
        ledger: Heads,
        registry: Routes,
        models: Loader,
        *,
        on_change: Callable[[Serving], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._models = models
        self._on_change = on_change
        self.behind = Behind(registry.may_answer)
        self._current: Serving | None = None
        self._problem: str | None = None
        self._replaced: str | None = None
        self._loading: tuple[str, float] | None = None
        self._seen: Any = None
        self._retry_at = 0.0
        self._failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="arms", daemon=True)

    @property
    def current(self) -> Serving:
        """The route in effect; read it once per request, since it may change at any time."""
        if self._current is None:
            raise RuntimeError("Arms.current was read before start()")
        return self._current

    def may_answer(self, sha: str, semver: str) -> None:
        """Check in the ledger, now, that an entry may answer.

        Raises:
            Refused: it may not.

        """
        self._registry.may_answer(sha, semver)

    @property
    def problem(self) -> str | None:
        """Why the ledger's route is not in effect here or could not be read; None if it is in effect."""
        loading = self._loading
        if loading is not None and (seconds := time.monotonic() - loading[1]) > LOAD_SECONDS:
            return f"{short(loading[0])} has been loading for {seconds:.0f} s; if it hangs, route away and restart"
        return self._problem

    @property
    def replaced(self) -> str | None:
        """Why nothing may be answered: another ledger is in the place of the one that the route here came from."""
        return self._replaced

    def start(self) -> None:
        """Load the route in force, then follow the ledger in a thread.

        Raises:
            BadInput: no entry was ever promoted.
            Refused: the route names an entry that may not answer learners.
            Damaged, Unavailable: a bundle of the route cannot be loaded.

        """
        self._seen = self._ledger.head()
        route = self._registry.route()
        if route is None:
            raise BadInput(
                "there is no route yet, so there is nothing to serve",
                "promote an entry first: `spine promote REF --semver v0.1.0 --reason TEXT`",
            )
        self._take(route)
        self._thread.start()

    def stop(self) -> None:
        """Stop following the ledger; the current route stays in effect."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def refresh(self) -> None:
        """Check the ledger once and switch to its route if that changed; never raises."""
        try:
            head = self._ledger.head()
            taken = self.current.wanted is self.current.route
            if head == self._seen and (taken or time.monotonic() < self._retry_at):
                self._problem, self._replaced = None if taken else self._problem, None
                return
            route = self._registry.route()
            self._replaced = None
            if head != self._seen:
                self.behind.look(self.current.route, route)
                self._seen, self._failures = head, 0
            if route is not None and (route != self.current.route or self.current.wanted != route):
                self._take(route)
            self._problem, self._failures = None, 0
        except Replaced as error:
            self._replaced = error.message
            self._schedule_retry(error.message)
        except SpineError as error:
            self._schedule_retry(error.message)
        except Exception as error:  # noqa: BLE001 -- a workload may raise anything; the current models keep serving
            self._schedule_retry(f"{type(error).__name__}: {error}")

    def _follow(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.refresh()

    def _schedule_retry(self, reason: str) -> None:
        if reason != self._problem:  # log a lasting problem once, not at every retry
            _log.error("the ledger's route is not in effect", extra={"fields": {"reason": reason}})
        self._problem = reason
        self.behind.failed(reason)
        self._retry_at = time.monotonic() + min(LONGEST_RETRY, RETRY_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 10)  # keeps 2**failures small on a server that runs for months

    def _take(self, route: Route) -> None:
        """Load the models of a route that are not loaded yet, then put the route into effect."""
        loaded = {arm.sha for arm in self._current.route.learners} if self._current else set()
        if self._current is not None:
            self._current = msgspec.structs.replace(self._current, wanted=route)
        # The registry checks this before it writes a route, but another program may have written to the ledger.
        for arm in route.learners:
            self._registry.may_answer(arm.sha, arm.semver)
        wanted = {arm.sha for arm in route.learners}
        for sha in sorted(wanted - loaded):
            self._obtain(sha, route)
        try:
            for sha in sorted(wanted - loaded):
                self._loading = (sha, time.monotonic())
                self._models.load(sha)
        except BaseException:
            self._models.keep(loaded)
            raise
        finally:
            self._loading = None
        # One assignment, so that a request on another thread sees either the old route or the new one.
        self._current = Serving(route=route, wanted=route)
        self.behind.reached()
        # After it, because a request that began before keeps the route that it was assigned by.
        self._models.keep(wanted)
        if self._on_change is not None:
            self._on_change(self._current)
        _log.info(
            "route in effect",
            extra={"fields": {"epoch": route.epoch, "strategy": route.strategy, "arms": [a.sha for a in route.arms]}},
        )

    def _obtain(self, sha: str, route: Route) -> None:
        """Fetch an entry's bundle if it is not on this machine, as long as the ledger's route is the one given."""
        if self._registry.is_here(sha):
            return
        _log.info("fetching a bundle", extra={"fields": {"sha": sha}})
        self.behind.fetching(sha)
        try:
            self._registry.obtain(sha, given_up(self._ledger.head, self._registry.route, route, self._stop.is_set))
        finally:
            self.behind.fetching(None)
