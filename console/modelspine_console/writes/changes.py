"""The changes an operator can make: planning one, as a frozen value to confirm, and carrying out exactly that plan.

The only module of the console that writes to a store. It opens a writable spine for one change and closes it again;
plans are read from the read-only one. The verbs, and the reasons to refuse them, are core's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import Refused
from modelspine.ledger.route import FULL
from modelspine.release.eligibility import denied, prod_or, route_denied
from modelspine.release.promotion import floor_in_force
from modelspine.text import counted, short
from modelspine.traffic.request_rate import known_rate
from modelspine.traffic.rollout import under_way
from modelspine.words import words
from modelspine_console.writes import rollout_plan as rollouts
from modelspine_console.writes.plan import WHOLE, Ask, Done, Plan, Touched, next_semver
from modelspine_console.writes.verbs import VERBS, Verdict, decide_now

if TYPE_CHECKING:
    from modelspine.incident.walk import Walk
    from modelspine.ledger.state import Known, State
    from modelspine.release.rollback_cost import RollbackCost
    from modelspine.spine import Spine

HOUR_NS = 3_600_000_000_000
PATIENCE = 20.0
"""Seconds that production may take to answer complaints, while the dialog is open and can be confirmed."""
REASON_HINT = "required, recorded permanently"


class Changes:
    """Plans and carries out changes in one project."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine

    # planning -----------------------------------------------------------------------------------------

    def plan(self, verb: str, sha: str, *, reason: str = "") -> Plan:
        """The plan of a verb for an entry, based on the current state.

        Raises:
            Refused: the rules do not allow it.
        """
        state = self._spine.registry.state()
        # Only a step by hand needs the verdict: reading the traces must not keep an operator in trouble waiting.
        found = decide_now(self._spine) if verb == "advance" else Verdict()
        refusals = self._refusals(verb, state, sha, found)
        if verb in refusals:
            raise Refused(refusals[verb], "nothing was changed")
        known = state.entries[under_way(state)[1].sha if verb in WHOLE else sha]
        if verb in rollouts.VERBS:
            return self._plan_rollout(verb, state, known, reason, found)
        env, name = prod_or(state, self._spine.settings.env), _name(known)
        before, after = _BEFORE_AFTER[verb](state, sha, name)
        return Plan(
            **self._basis(verb, sha, name, state),
            key=_new_key(),
            names=() if verb == "release" else (*known.semvers, short(sha)),
            before=before,
            after=after,
            gated=known.gated,
            signed=verb == "promote" and env == "prod",
            touches=self._touches(verb, state, sha),
            goes_back=verb == "rollback" or (verb == "route" and bool(known.stable_since)),
            asks=_asks(verb, state, reason, signed=env == "prod"),
            taken=dict(state.semvers),
        )

    def _refusals(self, verb: str, state: State, sha: str, found: Verdict) -> dict[str, str]:
        if verb in WHOLE:
            return route_denied(state, found.judged)
        own = self._spine.settings
        return denied(state, sha, own.env, floor_in_force(self._spine), service=own.service)

    def _plan_rollout(self, verb: str, state: State, known: Known, reason: str, found: Verdict) -> Plan:
        """The plan of a verb that starts or changes a rollout."""
        name, per_second = _name(known), known_rate(lambda: self._spine.traces)
        return Plan(
            **self._basis(verb, known.sha, name, state),
            key=_new_key(),
            names=(*known.semvers, short(known.sha)) if verb in rollouts.NAMED else (),
            before=_route(state),
            after=rollouts.after(verb, state, name, found.judged),
            gated=known.gated,
            touches=rollouts.touches(verb, state),
            asks=(*rollouts.asks(verb, state), Ask(id="reason", label="reason", text=reason, hint=REASON_HINT)),
            step=rollouts.step(verb, state, self._an_hour(lambda _served: True), per_second, found.skips),
        )

    def plan_never_regress(self, walk: Walk) -> Plan:
        """The plan of a branch that adds an incident's sentence to the baseline.

        Raises:
            Refused: the sentence or its correct form is unknown, or there is no baseline, or it has the sentence.
        """
        from modelspine.gate.baseline import raw_baseline, read_baseline
        from modelspine.incident.walk import item_of

        item = item_of(walk)
        file = self._spine.settings.eval_baseline
        items = read_baseline(raw_baseline(file)).never_regress
        if any(msgspec.structs.replace(known, reason=item.reason) == item for known in items):
            raise Refused(f"the baseline already contains this {words().input}", "nothing was changed")
        return Plan(
            **self._basis("never_regress", walk.trace.entry_sha, walk.request_id, self._spine.registry.state()),
            key="",
            before=f"{file.name}: {counted(len(items), 'never-regress item')}",
            after=f"a branch for review that adds “{item.text}” → “{item.correct_form}”; no file here changes",
            asks=(Ask(id="reason", label="reason", hint="required: why it must stay right; part of the commit"),),
            item=item,
        )

    def plan_report(self, day: str) -> Plan:
        """The plan of recording a day's drift report; it is computed now, and exactly this report is recorded.

        Raises:
            Refused: the newest report is identical.
            BadInput, Unavailable, Damaged: the report cannot be computed.
        """
        from modelspine.drift.days import days, recorded
        from modelspine.drift.format import summary
        from modelspine.drift.measurement import measure

        state = self._spine.registry.state()
        report = measure(self._spine, day)
        event = days(self._spine).get(day)
        before = recorded(self._spine, event) if event is not None else None
        if before is not None and before.report == report:
            raise Refused(f"the newest report of {day} is identical", "nothing was changed")
        return Plan(
            **self._basis("report", report.entry_sha, day, state),
            key="",
            before=f"#{before.event.seq}: {summary(before.report)}" if before is not None else "no report",
            after=summary(report),
            item=report,
        )

    def _basis(self, verb: str, sha: str, name: str, state: State) -> dict[str, Any]:
        """What every plan names: its object, and the state of the ledger it is based on."""
        env = prod_or(state, self._spine.settings.env)
        return {"verb": verb, "sha": sha, "name": name, "env": env, "seq": state.seq}

    def _touches(self, verb: str, state: State, sha: str) -> Touched:
        """The arms whose users a change affects, with their share and their requests of the last hour."""
        route = state.route
        if verb in ("release", "tombstone") or (verb == "promote" and route is not None):
            return Touched()
        arms = [] if route is None else [arm for arm in route.arms if arm.sha != sha]
        share = sum(arm.weight_bp for arm in arms) if route is not None else FULL
        shas = {arm.sha for arm in arms}
        return Touched(
            arms=tuple(f"{arm.name} {arm.semver}" for arm in arms),
            share_bp=share,
            an_hour=self._an_hour(lambda served: served in shas),
        )

    def _an_hour(self, wanted: Callable[[str], bool]) -> int | None:
        """Requests of the last hour that the wanted entries answered; None if there are no readable traces."""
        from modelspine.errors import SpineError
        from modelspine.ledger.store import storage_errors

        try:
            with storage_errors():
                minutes = self._spine.traces.minutes(time.time_ns() - HOUR_NS)
        except SpineError:
            return None
        return sum(minute.n for minute in minutes if wanted(minute.sha))

    def rollback_cost(self, sha: str) -> RollbackCost:
        """What going back to an entry costs; reads all its dismissed answers, so it takes a while."""
        from modelspine.release.rollback_cost import rollback_cost

        return rollback_cost(self._spine, sha, seconds=PATIENCE)

    def traffic(self, sha: str, step: Callable[[int, int], None]) -> str:
        """What going back would mean for recent traffic, in a sentence; ``step`` is called with the progress."""
        from modelspine.incident.counterfactual import preview

        return preview(self._spine, sha, step).sentence

    # carrying out -------------------------------------------------------------------------------------

    def carry_out(self, plan: Plan, values: Mapping[str, str]) -> Done:
        """Carry out a plan with what was typed; returns a summary of what was recorded.

        Raises:
            Conflict: the ledger changed since the plan was made; nothing was changed.
            Refused, BadInput, Damaged, Unavailable: from the verb.
        """
        from modelspine.spine import Spine

        if plan.in_git:
            return _guard(self._spine, plan, values["reason"])
        with Spine(self._spine.settings, readonly=False) as spine:
            if plan.verb == "report":
                return Done(text=_report(spine, plan))
            do: Any = VERBS[plan.verb]
            receipt = do(spine, plan, values)
        event = receipt.event
        repeated = "" if receipt.created else " (no change)"
        repeated += "".join(f"; {warning}" for warning in receipt.warnings)
        if plan.verb in rollouts.VERBS:
            shares = rollouts.shares(event.body["arms"])
            return Done(text=f"#{receipt.seq} {rollouts.PAST[plan.verb]}: {shares}{repeated}")
        name = str(event.body.get("semver") or plan.name)
        return Done(text=f"#{receipt.seq} {event.kind} {name} {short(receipt.sha)}{repeated}")


def _name(known: Known) -> str:
    return known.semvers[-1] if known.semvers else short(known.sha)


def _new_key() -> str:
    return f"console-{uuid.uuid4().hex[:16]}"


def _guard(spine: Spine, plan: Plan, reason: str) -> Done:
    """Make the branch of a never-regress item; the working tree stays as it is."""
    from modelspine.incident.guard import guard, item_with_reason

    made = guard(spine.settings, item_with_reason(plan.item, reason), subject=f"Never answer {plan.name} wrong again")
    if made.branch is None:
        return Done(
            text=f"the committed baseline already contains this {words().input}; nothing was changed", command=made.next
        )
    patch = (
        f"; the same as a patch for `git am --keep-cr`, because there is no remote: {made.patch}"
        if made.patch is not None
        else ""
    )
    return Done(text=f"branch {made.branch} adds the {words().input}; review and merge it{patch}", command=made.next)


def _report(spine: Spine, plan: Plan) -> str:
    from modelspine.drift.days import record

    made = record(spine, plan.item, expected=plan.seq)
    return f"#{made.event.seq} {made.event.kind} {plan.name} {plan.item.status}"


def _asks(verb: str, state: State, reason: str, *, signed: bool) -> tuple[Ask, ...]:
    asks = (Ask(id="reason", label="reason", text=reason, hint=REASON_HINT),)
    if verb != "promote":
        return asks
    file = (Ask(id="verdict", label="signed verdict", hint="path of the file written by `spine gate --sign`"),)
    return (Ask(id="semver", label="semver", text=next_semver(state.semvers)), *asks, *(file if signed else ()))


def _route(state: State) -> str:
    route = state.route
    if route is None:
        return "nothing is routed"
    return rollouts.shares([msgspec.to_builtins(arm) for arm in route.arms])


def _rerouted(state: State, sha: str, name: str, *, holds: bool) -> tuple[str, str]:
    left = dict.fromkeys(arm.semver for arm in state.route.arms if arm.sha != sha) if state.route else {}
    held = f"; {', '.join(left)} put on hold" if holds and left else ""
    return _route(state), f"stable {name} 100 %{held}"


def _promoted(state: State, sha: str, name: str) -> tuple[str, str]:
    first = "; first promotion, so it gets all traffic" if state.route is None else "; routing unchanged"
    return f"{name} {state.entries[sha].status}", f"{short(sha)} is SEMVER{first}"


_BEFORE_AFTER: dict[str, Callable[[State, str, str], tuple[str, str]]] = {
    "promote": _promoted,
    "rollback": lambda state, sha, name: _rerouted(state, sha, name, holds=True),
    "route": lambda state, sha, name: _rerouted(state, sha, name, holds=False),
    "release": lambda state, sha, name: (f"{name} held: {state.entries[sha].held}", f"{name} may take traffic again"),
    "tombstone": lambda state, sha, name: (f"{name} {state.entries[sha].status}", f"{name} tombstoned permanently"),
}
