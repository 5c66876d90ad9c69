"""Which requests of an epoch count, and which are set aside because their times lie outside of it.

The judge of a canary and the reports of its epochs rest on the same scope. It judges nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from miniobserve.evidence import Evidence, Stray
from modelspine.text import visible
from modelspine.times import age, ledger_time

STRAYS = 5
"""So many requests at each end of replayed traffic do not count for its duration, so that a few stray times of
replayed requests end no step."""
LIVE_NS = 3_600 * 1_000_000_000
"""A service that answered more than ``STRAYS`` live requests in this time before an epoch is a live one, and what is
replayed into it brings no clock, even if it comes before the epoch's first live request."""
_NS = 1_000_000_000
TOLERANCE_NS = _NS
"""How far the clock of another replica may differ from this one's without its requests being set aside."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of an epoch that count: those from ``from_ns`` up to, but not including, ``before_ns``."""

    from_ns: int
    before_ns: int
    simulated: bool
    """Whether all of its requests were replayed with times before the epoch, so that they may bring their own clock."""
    begins_ns: int
    """Where its windows begin: at its event in the ledger, or at its first request where that one's clock is behind."""
    ahead: Stray | None = None
    """The requests that claim to have started after the present; they are set aside."""
    behind: Stray | None = None
    """The requests that claim to have started before ``from_ns``; they are set aside."""


def scope_of(evidence: Evidence, epoch: int, since_ns: int, now_ns: int) -> Scope:
    """Find out which requests of an epoch count.

    A request ahead of the present is set aside, and so is one that lies before the epoch, once a live one lies in it.
    If live ones lie only before it, the clock that dated it in the ledger is ahead of the servers', or theirs is
    behind: then all live ones count, so that the epoch is judged, and what was replayed with earlier times is set
    aside. A replayed request may claim any time, so it sets no live one aside. Only where all requests were replayed
    with times before the epoch, into a service that was idle when it began, do they count and bring their own,
    simulated clock.

    Args:
        evidence: the trace store's evidence.
        epoch: the epoch.
        since_ns: when it was opened, by the ledger.
        now_ns: the present.
    """
    limit, opened = now_ns + TOLERANCE_NS, since_ns - TOLERANCE_NS
    from_ns, begins_ns, simulated = opened, since_ns, False
    # Finding a live request may read every replayed one that lies before it, so the search begins before the epoch,
    # where there are usually none at all.
    earliest = evidence.first_live(epoch, min(opened, limit))
    if earliest is not None:
        if evidence.first_live(epoch, limit, opened) is None:
            from_ns = begins_ns = earliest
    elif evidence.span(epoch, limit, opened) is None:
        # An epoch that is dated ahead of the present has not begun by this clock, but its requests have.
        begun = min(since_ns, now_ns)
        if not evidence.busy(begun - LIVE_NS, begun, STRAYS + 1):
            from_ns, simulated = 0, True
    return Scope(
        from_ns=from_ns,
        before_ns=limit,
        simulated=simulated,
        begins_ns=begins_ns,
        ahead=evidence.ahead(epoch, limit),
        behind=None if simulated else evidence.behind(epoch, from_ns),
    )


def stray_texts(scope: Scope, since_ns: int, now_ns: int) -> list[str]:
    """Say which requests are set aside because of their times, and whether the epoch itself is ahead of the present."""
    found = []
    present, opened = datetime.fromtimestamp(now_ns / _NS, UTC), datetime.fromtimestamp(since_ns / _NS, UTC)
    if since_ns > now_ns + TOLERANCE_NS:
        by = age(ledger_time(now_ns), opened)
        counted_from = "the step's time is counted from that moment"
        found.append(f"the ledger dates this epoch {by} ahead of this clock: {counted_from}")
    if scope.ahead is not None:
        by = age(ledger_time(now_ns), datetime.fromtimestamp(scope.ahead.started_ns / _NS, UTC))
        found.append(_stray_text(scope.ahead, "ahead of this clock", by))
    if scope.behind is not None:
        by = age(ledger_time(scope.behind.started_ns), min(opened, present))
        found.append(_stray_text(scope.behind, "before this epoch", by))
    return found


def _stray_text(stray: Stray, where: str, by: str) -> str:
    number = "1 request lies" if stray.n == 1 else f"{stray.n:,} requests lie"
    furthest = f"{visible(stray.request_id, 64)} by {by}"
    return f"{number} {where} ({furthest}) and {'is' if stray.n == 1 else 'are'} set aside"
