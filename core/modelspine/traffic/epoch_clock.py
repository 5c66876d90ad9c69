"""How long an epoch has lasted, and which windows of it had requests.

The time of an epoch is the ledger's and the reader's, never that of a single request. It judges nothing.
"""

from __future__ import annotations

import msgspec

from miniobserve.evidence import Evidence
from modelspine.ledger.route import Route
from modelspine.traffic.epoch_scope import STRAYS, Scope, scope_of

MOST_WINDOWS = 4
"""No decision looks back further than this many windows."""
_NS = 1_000_000_000


class Window(msgspec.Struct, frozen=True):
    """A fixed-length interval of an epoch with at least one request; it is judged on all requests up to its end."""

    number: int
    before_ns: int
    """Its end, exclusive."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long an epoch has lasted, and its most recent windows with requests, newest first."""

    seconds: float
    windows: tuple[Window, ...]
    scope: Scope
    """The requests that count."""


def timing(
    evidence: Evidence,
    route: Route,
    since_ns: int,
    now_ns: int,
    window_seconds: int,
    watched: float | None = None,
) -> Timing:
    """Measure an epoch's duration and its most recent windows.

    An epoch lasts from its event in the ledger to the present, and no longer than a server has watched it; no request's
    time changes that. Only where all requests were replayed with simulated times (``Scope.simulated``) do the first and
    the last of them define the start and the present, without the outermost ``STRAYS`` at each end.

    Args:
        evidence: the trace store's evidence.
        route: the epoch's route.
        since_ns: when the epoch was opened.
        now_ns: the present.
        window_seconds: the length of a window.
        watched: the longest that the epoch can have lasted, in seconds, by the monotonic clock of a server that has
            watched it; None where nobody has. It keeps a wall clock that jumps ahead from ending a step.
    """
    scope = scope_of(evidence, route.epoch, since_ns, now_ns)
    replayed = evidence.span(route.epoch, scope.before_ns, spare=STRAYS) if scope.simulated else None
    start, present = replayed or (scope.begins_ns, now_ns)
    # An epoch may be dated ahead of the present, by a clock that is; it has lasted for no time then.
    seconds = max(0.0, (present - (start if replayed else since_ns)) / _NS)
    if watched is not None and replayed is None:
        seconds = min(seconds, watched)
    span = evidence.span(route.epoch, scope.before_ns, scope.from_ns)
    if span is None:
        return Timing(seconds=seconds, windows=(), scope=scope)
    last = span[1]
    width = window_seconds * _NS
    windows: list[Window] = []
    # Jumping from one request back to the latest one before its window skips empty windows without a query for each.
    while len(windows) < MOST_WINDOWS:
        number = max(0, (last - start) // width)
        end = start + (number + 1) * width
        windows.append(Window(number, min(end, scope.before_ns)))
        # The first window also holds what came before it: clocks differ, and a replay's outermost requests do not
        # count for its start.
        earlier = evidence.span(route.epoch, start + number * width, span[0]) if number else None
        if earlier is None:
            break
        last = earlier[1]
    return Timing(seconds=seconds, windows=tuple(windows), scope=scope)


def covered(evidence: Evidence, route: Route, since_ns: int, now_ns: int) -> float:
    """Return how many seconds of an epoch its live requests cover, counting each window with one in full.

    A process that has just started cannot tell the age of an epoch from a wall clock that may be hours ahead. A wrong
    clock adds no more than the windows in which it stamped a request.
    """
    if route.ladder is None:
        return 0.0
    width = route.ladder.guard.window_seconds
    seen = evidence.windows(route.epoch, since_ns, now_ns, width * _NS) * width
    return max(0.0, min(float(seen), (now_ns - since_ns) / _NS))


class EpochClock:
    """Measures by a monotonic clock how long a process has seen an epoch last.

    A wall clock may jump; then the time since the ledger's event says nothing. An epoch that began while this process
    ran is as old as this process has seen it. The first one may be older, so its age at first sight is what its
    requests cover (``covered``). It is used by one thread.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._since = 0.0

    @property
    def is_new(self) -> bool:
        """Whether it has not seen any epoch yet."""
        return self._epoch is None

    def see(self, epoch: int, monotonic: float, age_at_first: float = 0.0) -> float:
        """Note that an epoch is active and return the longest that it can have lasted, in seconds.

        Args:
            epoch: the epoch.
            monotonic: the monotonic clock, in seconds.
            age_at_first: its age as far as it is known, in seconds; used only for the first epoch this process sees.
        """
        if self._epoch is None:
            self._since = monotonic - max(0.0, age_at_first)
        elif epoch != self._epoch:
            self._since = monotonic
        self._epoch = epoch
        return monotonic - self._since
