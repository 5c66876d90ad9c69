"""How long an epoch has lasted, and which windows of it had requests.

The time of an epoch is the ledger's and the reader's, never that of a single request. It judges nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from miniobserve.evidence import Evidence, Stray
from modelspine.ledger.route import Route
from modelspine.text import visible
from modelspine.times import age, ledger_time

MOST_WINDOWS = 4
"""No decision looks back further than this many windows."""
STRAYS = 5
"""So many requests at each end of replayed traffic do not count for its duration, so that a few stray times of
replayed requests end no step."""
LIVE_NS = 600 * 1_000_000_000
"""A service that answered more than ``STRAYS`` requests in this time before an epoch is a live one, and what is
replayed into it brings no clock, even if it comes before the epoch's first live request."""
_NS = 1_000_000_000
TOLERANCE_NS = _NS
"""How far the clock of another replica may differ from this one's without its requests being set aside."""


class Window(msgspec.Struct, frozen=True):
    """A fixed-length interval of an epoch with at least one request; it is judged on all requests up to its end."""

    number: int
    before_ns: int
    """Its end, exclusive."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long an epoch has lasted, and its most recent windows with requests, newest first."""

    seconds: float
    windows: tuple[Window, ...]
    ahead: Stray | None = None
    """The requests that claim to have started after the present; they are set aside."""
    behind: Stray | None = None
    """The requests that claim to have started before the epoch, although others started in it; they are set aside."""
    from_ns: int = 0
    """Requests that started earlier are set aside."""


def timing(
    evidence: Evidence,
    route: Route,
    since_ns: int,
    now_ns: int,
    window_seconds: int,
    watched: float | None = None,
) -> Timing:
    """Measure an epoch's duration and its most recent windows.

    An epoch lasts from its event in the ledger to the present, and no request's time changes that: one that lies ahead
    of the present is set aside, and so is one that lies before the epoch. Only where all requests lie before the epoch,
    and the service was idle when it began, were they replayed with simulated times; then the first and the last
    request define the start and the present, without the outermost ``STRAYS`` at each end.

    Args:
        evidence: the trace store's evidence.
        route: the epoch's route.
        since_ns: when the epoch was opened.
        now_ns: the present.
        window_seconds: the length of a window.
        watched: the longest that the epoch can have lasted, in seconds, by the monotonic clock of a server that has
            watched it; None where nobody has. It keeps a wall clock that jumps ahead from ending a step.
    """
    limit = now_ns + TOLERANCE_NS
    ahead = evidence.ahead(route.epoch, limit)
    own = evidence.span(route.epoch, limit, since_ns - TOLERANCE_NS)
    live = own is not None or evidence.busy(since_ns - LIVE_NS, since_ns, STRAYS + 1)
    from_ns = since_ns - TOLERANCE_NS if live else 0
    behind = evidence.behind(route.epoch, from_ns) if live else None
    replayed = None if live else evidence.span(route.epoch, limit, spare=STRAYS)
    start, present = replayed or (since_ns, now_ns)
    seconds = (present - start) / _NS
    if watched is not None and replayed is None:
        seconds = min(seconds, watched)
    span = own or evidence.span(route.epoch, limit, from_ns)
    if span is None:
        return Timing(seconds=seconds, windows=(), ahead=ahead, behind=behind, from_ns=from_ns)
    last = span[1]
    width = window_seconds * _NS
    windows: list[Window] = []
    # Jumping from one request back to the latest one before its window skips empty windows without a query for each.
    while len(windows) < MOST_WINDOWS:
        number = max(0, (last - start) // width)
        end = start + (number + 1) * width
        windows.append(Window(number, min(end, limit)))
        # The first window also holds what came before it: clocks differ, and a replay's outermost requests do not
        # count for its start.
        earlier = evidence.span(route.epoch, start + number * width, span[0]) if number else None
        if earlier is None:
            break
        last = earlier[1]
    return Timing(seconds=seconds, windows=tuple(windows), ahead=ahead, behind=behind, from_ns=from_ns)


def stray_texts(clock: Timing, since_ns: int, now_ns: int) -> list[str]:
    """Say which requests are set aside because they claim to be ahead of the present, or to precede the epoch."""
    found = []
    if clock.ahead is not None:
        by = age(ledger_time(now_ns), datetime.fromtimestamp(clock.ahead.started_ns / _NS, UTC))
        found.append(_stray_text(clock.ahead, "ahead of this clock", by))
    if clock.behind is not None:
        by = age(ledger_time(clock.behind.started_ns), datetime.fromtimestamp(since_ns / _NS, UTC))
        found.append(_stray_text(clock.behind, "before this epoch", by))
    return found


def _stray_text(stray: Stray, where: str, by: str) -> str:
    number = "1 request lies" if stray.n == 1 else f"{stray.n:,} requests lie"
    furthest = f"{visible(stray.request_id, 64)} by {by}"
    return f"{number} {where} ({furthest}) and {'is' if stray.n == 1 else 'are'} set aside"


def covered(evidence: Evidence, route: Route, since_ns: int, now_ns: int) -> float:
    """Return how many seconds of an epoch its requests cover, counting each window with a request in full.

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
