"""What going back to an entry costs: the buckets it is worse in, and the complaints that would come back.

A rollback is neither blocked nor delayed by this: an operator in trouble must be able to go back. A preview and the
console's dialog say it before the change, the command says it afterwards. What cannot be found out is unknown, with the
reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from miniobserve.traces import Trace
from modelspine.answering import answered_within
from modelspine.errors import SpineError
from modelspine.gate.eval_report import Count, EvalReport
from modelspine.identity.private_copies import PrivateCopies
from modelspine.ledger.state import State
from modelspine.ledger.store import storage_errors
from modelspine.project import Project
from modelspine.text import counted, short, visible
from modelspine.workload import plugin_of

_MANY = 10_000
"""Complaints are looked at up to here, the newest first."""
_TEXTS = 500
"""Distinct texts that are put to production, the newest first."""
SECONDS = 3.0
"""How long production may take to answer them: whoever rolls back is waiting."""


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
    incomparable: tuple[str, ...] = ()
    """Buckets that only one of the two reports has, or that do not have the same n in both."""
    unknown: str | None = None
    """Why the buckets could not be compared; None where they were."""
    reopened: tuple[str, ...] | None = ()
    """Complaints that come back, newest first: requests that the target answered wrong, that learners dismissed, and
    that production answers right. None if unknown."""
    still_wrong: int = 0
    """Complaints about the target that production answers wrong too: going back loses nothing there."""
    unchecked: int = 0
    """Complaints about the target of which it is unknown whether production answers them right."""
    unchecked_why: str | None = None
    """Why ``reopened`` is unknown, or some complaints were not checked."""

    def sentence(self) -> str:
        """The cost in one line."""
        if self.reopened is None and self.unchecked_why == self.unknown:  # one reason for both is said once
            return self._buckets()
        return f"{self._buckets()}; {self._complaints()}"

    def _buckets(self) -> str:
        if self.unknown is not None:
            return f"what it gives up is unknown: {self.unknown}"
        if self.losses:
            first, more = self.losses[0], len(self.losses) - 1
            rest = f" and less in {counted(more, 'other bucket')}" if more else ""
            found = f"gives up {first.items:,} of {first.target.n:,} on {visible(first.name, 60)}{rest}"
        else:
            found = "no bucket of the eval set gets worse"
        if self.incomparable:
            more = len(self.incomparable) - 1
            rest = f" and {counted(more, 'other bucket')}" if more else ""
            found += f" (not comparable: {visible(self.incomparable[0], 60)}{rest})"
        return found

    def _complaints(self) -> str:
        if self.reopened is None:
            return f"which incidents it reopens is unknown: {self.unchecked_why}"
        found = f"reopens {counted(len(self.reopened), 'incident')}" if self.reopened else "reopens no incident"
        if not self.unchecked:
            return found
        found = f"{found}, " if self.reopened else ""
        return f"{found}{counted(self.unchecked, 'complaint')} not checked: {self.unchecked_why}"


def rollback_cost(project: Project, ref: str, *, state: State | None = None, seconds: float = SECONDS) -> RollbackCost:
    """What going back to an entry costs; production gets so many seconds to answer what learners complained about.

    Args:
        project: the project.
        ref: the entry to go back to.
        state: the state in which the cost is asked for; by default the present one.
        seconds: how long production may take.

    Raises:
        UnknownRef, AmbiguousRef: no or several entries have that name.
    """
    state = state or project.registry.state()
    sha, production = state.resolve(ref), state.production
    found = RollbackCost(target=sha, production=production)
    if production is None or production == sha:
        return found
    return _with_complaints(project, _with_buckets(project, found, production), production, seconds)


def _with_buckets(project: Project, cost: RollbackCost, production: str) -> RollbackCost:
    there, here = (project.registry.get(each).eval_report for each in (cost.target, production))
    unknown = None
    if there is None or here is None:
        unknown = f"{short(cost.target if there is None else production)} has no evaluation report"
    elif there.eval_set.sha256 != here.eval_set.sha256:
        unknown = "the two were evaluated on different eval sets"
    if there is None or here is None or unknown is not None:
        return msgspec.structs.replace(cost, unknown=unknown)
    losses, incomparable = _losses(there, here)
    if len(incomparable) == len(there.buckets.keys() | here.buckets.keys()):
        return msgspec.structs.replace(
            cost, incomparable=incomparable, unknown="no bucket is in both evaluation reports with the same n"
        )
    return msgspec.structs.replace(cost, losses=losses, incomparable=incomparable)


def _losses(there: EvalReport, here: EvalReport) -> tuple[tuple[Loss, ...], tuple[str, ...]]:
    """The buckets that are worse there than here, and the names of those that cannot be compared."""
    losses, incomparable = [], []
    for name in sorted(there.buckets.keys() | here.buckets.keys()):
        target, production = there.buckets.get(name), here.buckets.get(name)
        if target is None or production is None or target.n != production.n:
            incomparable.append(name)
        elif target.k < production.k:
            losses.append(Loss(name=name, target=target, production=production))
    return tuple(sorted(losses, key=lambda loss: (-loss.items / loss.target.n, loss.name))), tuple(incomparable)


def _with_complaints(project: Project, cost: RollbackCost, production: str, seconds: float) -> RollbackCost:
    """The cost with the complaints about the target that production would answer right, wrong, or nobody knows."""
    try:
        with storage_errors():
            listed = project.traces.list(outcome="dismissed", sha=cost.target, limit=_MANY).traces
            lost = project.traces.lost_complaints(cost.target)
    except SpineError as error:
        return msgspec.structs.replace(cost, reopened=None, unchecked_why=error.message)
    # A copy for a shadow reached nobody, a tester is no learner, and a right answer that was dismissed is not a mistake
    # that comes back.
    by_learners = [trace for trace in listed if trace.shadow_of is None and trace.is_evidence]
    complaints = [trace for trace in by_learners if trace.graded is not True]
    wrong = [trace for trace in complaints if trace.graded is False]
    right, why = _answers_of_production(project, production, wrong, seconds)
    verdicts = [right.get(trace.input or "") for trace in wrong]
    unknown = verdicts.count(None)
    ungraded = len(complaints) - len(wrong)
    gone = sum(number for _, number in lost)
    reasons = (_lost([day for day, _ in lost]) if lost else "", why if unknown else "", _UNGRADED if ungraded else "")
    return msgspec.structs.replace(
        cost,
        reopened=tuple(trace.request_id for trace, verdict in zip(wrong, verdicts, strict=True) if verdict),
        still_wrong=verdicts.count(False),
        unchecked=gone + unknown + ungraded,
        unchecked_why=", ".join(dict.fromkeys(filter(None, reasons))) or None,
    )


def _lost(days: Sequence[str]) -> str:
    """Why complaints of these days are unknown."""
    more = f" and {counted(len(days) - 1, 'other closed day')}" if len(days) > 1 else ""
    return f"the files of {days[0]}{more} are missing"


_UNGRADED = "the workload does not know the right answer"


def _answers_of_production(
    project: Project, production: str, wrong: list[Trace], seconds: float
) -> tuple[dict[str, bool | None], str]:
    """Whether production answers each text right, and why that is not known of the texts that are missing."""
    texts = list(dict.fromkeys(trace.input for trace in wrong if trace.input))
    if not texts:
        return {}, "their texts were not kept"
    asked = texts[:_TEXTS]
    try:
        with PrivateCopies() as copies:
            folder, parent = copies.both(project.registry, production)
            folders = [(str(folder), str(parent) if parent is not None else None)]
            replies = answered_within(seconds, plugin_of(project.settings.workload), folders, asked, lambda *_: None)
    except SpineError as error:
        return {}, f"production could not be asked: {error.message}"
    right = {text: reply.right for text, (reply,) in zip(asked, replies, strict=False)}
    if len(replies) < len(asked):
        return right, f"production answered {len(replies):,} of {counted(len(asked), 'text')} within {seconds:g} s"
    if len(asked) < len(texts):
        return right, f"only the newest {_TEXTS:,} texts were put to production"
    if None in right.values():
        return right, _UNGRADED
    return right, "their texts were not kept"
