"""Changes an operator may make: what one would do, as a frozen plan to confirm, and carrying out just that.

The only module of the console that writes a store. It opens its own writable spine for one change and closes
it again; what it shows before is read from the read-only one. The verbs and their refusals are core's.
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
from modelspine.text import short
from modelspine.traffic.request_rate import known_rate
from modelspine.traffic.rollout import under_way
from modelspine_console.writes import rollout_plan as rollouts
from modelspine_console.writes.plan import WHOLE, Ask, Plan, Touched, next_semver
from modelspine_console.writes.verbs import VERBS

if TYPE_CHECKING:
    from modelspine.incident.walk import Walk
    from modelspine.ledger.state import Known, State
    from modelspine.spine import Spine

HOUR_NS = 3_600_000_000_000
_PAST = {"never_regress": "added to the baseline"}


class Changes:
    """What may be changed in one project, and the door through which it is."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine

    # before -------------------------------------------------------------------------------------------

    def plan(self, verb: str, sha: str, *, reason: str = "") -> Plan:
        """What a verb would do to an entry, decided on the state there is now.

        Raises:
            Refused: the rules do not allow it.
        """
        state = self._spine.registry.state()
        whole = verb in WHOLE
        refusals = route_denied(state) if whole else denied(state, sha, self._spine.settings.env)
        if verb in refusals:
            raise Refused(refusals[verb], "nothing was changed")
        known = state.entries[under_way(state)[1].sha if whole else sha]
        if verb in rollouts.VERBS:
            return self._plan_rollout(verb, state, known, reason)
        env = prod_or(state, self._spine.settings.env)
        name = known.semvers[-1] if known.semvers else short(sha)
        before, after = _BEFORE_AFTER[verb](state, sha, name)
        return Plan(
            verb=verb,
            sha=sha,
            name=name,
            env=env,
            seq=state.seq,
            key=f"console-{uuid.uuid4().hex[:16]}",
            names=() if verb == "release" else (*known.semvers, short(sha)),
            before=before,
            after=after,
            gated=known.gated,
            signed=verb == "promote" and env == "prod",
            touches=self._touches(verb, state, sha),
            asks=_asks(verb, state, reason, signed=env == "prod"),
            taken=dict(state.semvers),
        )

    def _plan_rollout(self, verb: str, state: State, known: Known, reason: str) -> Plan:
        """What a verb would do to what is tried out, or begin to try out."""
        name = known.semvers[-1] if known.semvers else short(known.sha)
        per_second = known_rate(lambda: self._spine.traces)
        return Plan(
            verb=verb,
            sha=known.sha,
            name=name,
            env=prod_or(state, self._spine.settings.env),
            seq=state.seq,
            key=f"console-{uuid.uuid4().hex[:16]}",
            names=(*known.semvers, short(known.sha)) if verb in rollouts.NAMED else (),
            before=_route(state),
            after=rollouts.after(verb, state, name),
            gated=known.gated,
            touches=rollouts.touches(verb, state),
            asks=(*rollouts.asks(verb, state), Ask(id="reason", label="reason", text=reason)),
            step=rollouts.step(verb, state, self._an_hour(lambda _served: True), per_second),
        )

    def plan_never_regress(self, walk: Walk) -> Plan:
        """What adding an incident's sentence to the baseline would change.

        Raises:
            Refused: the sentence or the right answer is not known, or there is no baseline.
        """
        import hashlib

        from modelspine.gate.baseline import raw_baseline, read_baseline
        from modelspine.incident.walk import item_of

        item = item_of(walk)
        file = self._spine.settings.eval_baseline
        raw = raw_baseline(file)
        items = read_baseline(raw).never_regress
        if any(known == item for known in items):
            raise Refused("the baseline holds this sentence already", "nothing was changed")
        state = self._spine.registry.state()
        return Plan(
            verb="never_regress",
            sha=walk.trace.entry_sha,
            name=walk.request_id,
            env=prod_or(state, self._spine.settings.env),
            seq=state.seq,
            key=hashlib.sha256(raw).hexdigest(),
            before=f"{file.name}: {len(items)} never-regress items",
            after=f"{file.name}: {len(items) + 1}, with “{item.text}” → “{item.correct_form}”; not committed",
            item=item,
        )

    def plan_report(self, day: str) -> Plan:
        """What recording a day's drift report would change: it is counted now, and only what was counted is sent.

        Raises:
            Refused: the newest report says just this.
            BadInput, Unavailable, Damaged: it cannot be counted or compared.
        """
        from modelspine.drift.days import days, measure, recorded
        from modelspine.drift.format import summary

        state = self._spine.registry.state()
        report = measure(self._spine, day)
        event = days(self._spine).get(day)
        before = recorded(self._spine, event) if event is not None else None
        if before is not None and before.report == report:
            raise Refused(f"the newest report of {day} says just this", "nothing was changed")
        return Plan(
            verb="report",
            sha=report.entry_sha,
            name=day,
            env=prod_or(state, self._spine.settings.env),
            seq=state.seq,
            key="",
            before=f"#{before.event.seq}: {summary(before.report)}" if before is not None else "no report",
            after=summary(report),
            item=report,
        )

    def _touches(self, verb: str, state: State, sha: str) -> Touched:
        """The arms whose learners a change reaches, with their share and the requests of the last hour."""
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
        """Requests of the last hour that the wanted entries answered; None where no traces are to be had."""
        from modelspine.errors import SpineError
        from modelspine.ledger.store import storage_errors

        try:
            with storage_errors():
                minutes = self._spine.traces.minutes(time.time_ns() - HOUR_NS)
        except SpineError:
            return None
        return sum(minute.n for minute in minutes if wanted(minute.sha))

    # after --------------------------------------------------------------------------------------------

    def carry_out(self, plan: Plan, values: Mapping[str, str]) -> str:
        """Do what a plan showed, with what was typed into it; returns what stands in the ledger (or file) afterwards.

        Raises:
            Conflict: the ledger, or the file, moved since the plan was made; nothing was changed.
            Refused, BadInput, Damaged, Unavailable: as the verb says.
        """
        from modelspine.spine import Spine

        if plan.in_file:
            from modelspine.gate.baseline import add_item

            added = add_item(self._spine.settings.eval_baseline, plan.item, expected=plan.key)
            return f"{plan.name} {_PAST[plan.verb]} ({added.items} items); review and commit the file"
        with Spine(self._spine.settings, readonly=False) as spine:
            if plan.verb == "report":
                return _report(spine, plan)
            do: Any = VERBS[plan.verb]
            receipt = do(spine, plan, values)
        event = receipt.event
        if plan.verb in rollouts.VERBS:
            told = f"#{receipt.seq} {rollouts.PAST[plan.verb]}: {rollouts.shares(event.body['arms'])}"
            return told if receipt.created else f"{told} (it was so already)"
        earlier = "" if receipt.created else " (it was so already)"
        name = str(event.body.get("semver") or plan.name)
        return f"#{receipt.seq} {event.kind} {name} {short(receipt.sha)}{earlier}"


def _report(spine: Spine, plan: Plan) -> str:
    from modelspine.drift.days import record

    made = record(spine, plan.item, expected=plan.seq)
    return f"#{made.event.seq} {made.event.kind} {plan.name} {plan.item.status}"


def _asks(verb: str, state: State, reason: str, *, signed: bool) -> tuple[Ask, ...]:
    asks = (Ask(id="reason", label="reason", text=reason),)
    if verb != "promote":
        return asks
    file = (Ask(id="verdict", label="signed verdict", hint="path of the file `spine gate --sign` wrote"),)
    return (Ask(id="semver", label="semver", text=next_semver(state.semvers)), *asks, *(file if signed else ()))


def _route(state: State) -> str:
    route = state.route
    if route is None:
        return "nothing is routed"
    return rollouts.shares([msgspec.to_builtins(arm) for arm in route.arms])


def _rerouted(state: State, sha: str, name: str, *, holds: bool) -> tuple[str, str]:
    left = dict.fromkeys(arm.semver for arm in state.route.arms if arm.sha != sha) if state.route else {}
    held = f"; {', '.join(left)} held" if holds and left else ""
    return _route(state), f"stable {name} 100 %{held}"


def _promoted(state: State, sha: str, name: str) -> tuple[str, str]:
    first = "; routed to, as the first promotion" if state.route is None else "; the route stays as it is"
    return f"{name} {state.entries[sha].status}", f"{short(sha)} is SEMVER{first}"


_BEFORE_AFTER: dict[str, Callable[[State, str, str], tuple[str, str]]] = {
    "promote": _promoted,
    "rollback": lambda state, sha, name: _rerouted(state, sha, name, holds=True),
    "route": lambda state, sha, name: _rerouted(state, sha, name, holds=False),
    "release": lambda state, sha, name: (f"{name} held: {state.entries[sha].held}", f"{name} may take traffic again"),
    "tombstone": lambda state, sha, name: (f"{name} {state.entries[sha].status}", f"{name} tombstoned, for good"),
}
