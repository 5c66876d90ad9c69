"""What going back to an entry costs: the buckets it is worse in, and the mistakes that learners complained about.

A rollback is never blocked by this: an operator in trouble must be able to go back. It is said before the change,
so that nobody gives up what was gained without knowing it.
"""

from __future__ import annotations

import msgspec

from modelspine.errors import SpineError
from modelspine.gate.eval_report import Count, EvalReport
from modelspine.project import Project
from modelspine.text import counted, short, visible

_MANY = 10_000
"""Complaints are counted up to here."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket in which the target has fewer right than production."""

    name: str
    target: Count
    production: Count

    @property
    def items(self) -> int:
        """How many items fewer, of the target's n."""
        return self.production.k - self.target.k


class RollbackCost(msgspec.Struct, frozen=True, kw_only=True):
    """What production has that the target has not."""

    target: str
    production: str | None
    losses: tuple[Loss, ...] = ()
    """The buckets that get worse, the largest loss of percentage points first."""
    reopened: tuple[str, ...] = ()
    """Requests that learners dismissed, that the target answered wrong, newest first."""
    unknown: str | None = None
    """Why the buckets could not be compared; None where they were."""

    def sentence(self) -> str:
        """The cost in one line."""
        parts = []
        if self.unknown is not None:
            parts.append(f"what it gives up is unknown: {self.unknown}")
        elif self.losses:
            first, more = self.losses[0], len(self.losses) - 1
            rest = f" and less in {counted(more, 'other bucket')}" if more else ""
            parts.append(f"gives up {first.items:,} of {first.target.n:,} on {visible(first.name, 60)}{rest}")
        else:
            parts.append("no bucket of the eval set gets worse")
        if self.reopened:
            parts.append(f"reopens {counted(len(self.reopened), 'incident')}")
        return "; ".join(parts)


def rollback_cost(project: Project, ref: str) -> RollbackCost:
    """What going back to an entry costs now.

    Raises:
        UnknownRef, AmbiguousRef: no or several entries have that name.
    """
    state = project.registry.state()
    sha, production = state.resolve(ref), state.production
    reopened = _reopened(project, sha)
    if production is None or production == sha:
        return RollbackCost(target=sha, production=production, reopened=reopened)
    there, here = (project.registry.get(each).eval_report for each in (sha, production))
    if there is None or here is None:
        without = short(sha if there is None else production)
        why = f"{without} has no evaluation report"
        return RollbackCost(target=sha, production=production, reopened=reopened, unknown=why)
    if there.eval_set.sha256 != here.eval_set.sha256:
        why = "the two were evaluated on different eval sets"
        return RollbackCost(target=sha, production=production, reopened=reopened, unknown=why)
    return RollbackCost(target=sha, production=production, losses=_losses(there, here), reopened=reopened)


def _losses(there: EvalReport, here: EvalReport) -> tuple[Loss, ...]:
    found = [
        Loss(name=name, target=count, production=here.buckets[name])
        for name, count in there.buckets.items()
        if name in here.buckets and count.n == here.buckets[name].n and count.k < here.buckets[name].k
    ]
    return tuple(sorted(found, key=lambda loss: (-loss.items / loss.target.n, loss.name)))


def _reopened(project: Project, sha: str) -> tuple[str, ...]:
    """Dismissed answers of the entry that were wrong; none where there are no traces on this machine."""
    try:
        dismissed = project.traces.list(outcome="dismissed", sha=sha, limit=_MANY).traces
    except SpineError:
        return ()
    by_learners = [trace for trace in dismissed if trace.shadow_of is None and trace.is_evidence]
    return tuple(trace.request_id for trace in by_learners if trace.graded is False)
