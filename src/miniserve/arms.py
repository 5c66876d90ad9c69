"""The models that answer now: follows the ledger's route and swaps models while requests are served.

A route takes effect as a whole or not at all: first every bundle it names is re-hashed, loaded and warmed up.
If one of them fails, the previous route stays in effect and ``problem`` gives the reason. A request keeps the
``Serving`` it started with, so no answer mixes two routes. A shadow arm is not loaded here, so that a broken
shadow model cannot block a route. This module knows nothing of HTTP.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from miniobserve.traces import Assignment
from miniserve.bundles import Bundles, folders
from miniserve.record import Served
from miniserve.testers import Tester
from modelspine.errors import BadInput, Replaced, SpineError, Unavailable
from modelspine.identity.stamps import loaded_as_hashed
from modelspine.ledger.route import Arm, Route, assign, assign_tester, shadow_arm_of
from modelspine.text import short
from modelspine.workload import Model, Workload

POLL_SECONDS = 0.25
RETRY_SECONDS = 2.0
LONGEST_RETRY = 30.0
"""A route that failed to load is retried after 2, 4, 8 … seconds, up to this: the bundle may have been repaired."""

LOAD_SECONDS = 15.0
"""A load that takes longer is reported. It cannot be interrupted, and no other route is followed meanwhile."""

_WARM_TEXT = "a"
_UNFIT = "fix the workload or the bundle, or route to another entry"
_log = logging.getLogger("miniserve")


class Heads(Protocol):
    """The part of the ledger used here: a cheap check for new events."""

    def head(self) -> Any:
        """Return the newest event's seq and hash."""
        ...


class Routes(Bundles, Protocol):
    """The part of the registry used here."""

    def route(self) -> Route | None:
        """Return the route in force, or None before the first promotion."""
        ...

    def may_answer(self, sha: str, semver: str) -> None:
        """Raise ``Refused`` unless this entry may answer learners."""
        ...


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A route in effect on this server, with a warm model for every entry that answers learners."""

    route: Route
    wanted: Route
    """The ledger's route; it differs from ``route`` only while its models cannot be loaded."""
    models: Mapping[str, Model]

    def serve(self, unit: str, *, sticky: bool, tester: Tester | None = None) -> tuple[Served, Model | None]:
        """Assign a unit to an arm; returns the assignment with its entry, and that entry's model.

        The model is None for a tester who chose the shadow arm, whose model runs in a process of its own.

        Raises:
            BadInput: the tester chose an arm that the route does not have.

        """
        if tester is not None:
            return self._serve_tester(unit, sticky=sticky, tester=tester)
        assignment, arm = _assigned(self.route, unit, sticky=sticky)
        intended = arm.sha if self.wanted is self.route else _assigned(self.wanted, unit, sticky=sticky)[1].sha
        served = Served(
            assignment=assignment,
            sha=arm.sha,
            semver=arm.semver,
            intended_sha=intended,
            copy_to=shadow_arm_of(self.route, assignment),
        )
        return served, self.models[arm.sha]

    def _serve_tester(self, unit: str, *, sticky: bool, tester: Tester) -> tuple[Served, Model | None]:
        assignment = assign_tester(self.route, unit, sticky=sticky, tester=tester.name, arm=tester.arm)
        arm = next(arm for arm in self.route.arms if arm.name == assignment.arm)
        # No copy for the shadow: pairs of answers are evidence, and a tester's requests are not.
        served = Served(assignment=assignment, sha=arm.sha, semver=arm.semver, intended_sha=arm.sha)
        return served, None if arm is self.route.shadow else self.models[arm.sha]


def _assigned(route: Route, unit: str, *, sticky: bool) -> tuple[Assignment, Arm]:
    assignment = assign(route, unit, sticky=sticky)
    return assignment, next(arm for arm in route.arms if arm.name == assignment.arm)


class Arms:
    """The route in effect, kept up to date by a thread."""

    def __init__(
        self,
        ledger: Heads,
        registry: Routes,
        workload: Workload,
        *,
        batch: int = 8,
        on_change: Callable[[Serving], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._workload = workload
        self._batch = batch
        self._on_change = on_change
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
        """The route and models in effect; read it once per request, since it may change at any time."""
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
        """Stop following the ledger; the current models stay in effect."""
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
        self._retry_at = time.monotonic() + min(LONGEST_RETRY, RETRY_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 10)  # keeps 2**failures small on a server that runs for months

    def _take(self, route: Route) -> None:
        """Load the models of a route that are not loaded yet, then put the route into effect."""
        loaded = self._current.models if self._current else {}
        if self._current is not None:
            self._current = msgspec.structs.replace(self._current, wanted=route)
        # The registry checks this before it writes a route, but another program may have written to the ledger.
        for arm in route.learners:
            self._registry.may_answer(arm.sha, arm.semver)
        models = {arm.sha: loaded.get(arm.sha) or self._load(arm.sha) for arm in route.learners}
        # One assignment, so that a request on another thread sees either the old route or the new one.
        self._current = Serving(route=route, wanted=route, models=models)
        if self._on_change is not None:
            self._on_change(self._current)
        _log.info(
            "route in effect",
            extra={"fields": {"epoch": route.epoch, "strategy": route.strategy, "arms": [a.sha for a in route.arms]}},
        )

    def _load(self, sha: str) -> Model:
        """Load and warm up the model of one entry.

        Raises:
            SpineError: its bytes do not verify, or the workload failed to load it or to answer with it.
        """
        self._loading = (sha, time.monotonic())
        try:
            return self._warm(sha)
        except SpineError:
            raise
        except Exception as error:
            raise Unavailable(f"{short(sha)} cannot be loaded: {type(error).__name__}: {error}", _UNFIT) from error
        finally:
            self._loading = None

    def _warm(self, sha: str) -> Model:
        """Load one entry from verified bytes and run the smallest and the largest batch once."""
        model = loaded_as_hashed(
            lambda: self._registry.stamp(sha), lambda: self._workload.load(*folders(self._registry, sha)), short(sha)
        )
        for size in (1, self._batch):
            if len(model.answer([_WARM_TEXT] * size)) != size:
                raise BadInput(f"the model of {short(sha)} did not return one answer per text", _UNFIT)
        return model
