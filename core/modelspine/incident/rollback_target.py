"""Answer 8 of a walk: what fixes this request, and the command that does it, where one is needed.

Every promoted entry is asked, those on hold too. An entry is proposed only if the gate would let it replace
production now: one sentence is no reason to forget all the others. It moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from miniobserve.traces import Trace
from modelspine.errors import SpineError, Unavailable
from modelspine.gate.result import Decision
from modelspine.incident.finding import Finding, finding
from modelspine.incident.reproduce import ask
from modelspine.ledger.state import State
from modelspine.lineage.status import Status
from modelspine.registry.registry import Registry
from modelspine.registry.rules import way_to
from modelspine.text import argument, short, visible
from modelspine.workload import Probe, Workload

Gate = Callable[[str], Decision]
"""Compares an entry with the baseline, production and the floor, and writes nothing."""


class Opinion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one promoted entry says to the sentence now."""

    sha: str
    semver: str | None
    says: str | None
    verifies: bool
    right: bool
    held: str | None = None
    """Why it is on hold."""
    gate: str | None = None
    """The gate's result against what stands now; asked of those that are right and not in production."""
    refused_for: str | None = None
    """The first reason of a gate that did not pass."""
    problem: str | None = None
    """Why it could not be asked."""
    unavailable: bool = False
    """True where it, or the gate, could not be asked because something did not answer, so nothing was checked."""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a request."""

    answer: str
    suggestion: str
    command: str
    go_to: str | None = None
    """The entry that fixes it, where one does: in production already, or to be taken there."""
    verb: str | None = None
    """What takes traffic there; None where nothing has to move."""
    sure: bool = True
    """False where nothing could be proven, only concluded from what is recorded."""
    unasked: bool = False
    """True where it would be another advice if an entry, or the gate, had answered."""


def fix_answer(
    registry: Registry, workload: Callable[[], Workload], trace: Trace, probe: Probe | None, gate: Gate
) -> Finding:
    """Ask every promoted entry, and report what fixes the request."""
    state = registry.state()
    expected = probe.expected if probe else None
    opinions = [_opinion(registry, workload, state, sha, trace, expected, gate) for sha in _newest_promoted(state)]
    evidence: dict[str, Any] = {"entries": [msgspec.to_builtins(opinion) for opinion in opinions]}
    unknown = _unknown(opinions, trace, expected)
    if unknown is not None:
        suggestion = "compare evaluation scores: `spine list`"
        evidence |= {"go_to": None, "verb": None, "suggestion": suggestion}
        silent = any(each.unavailable for each in opinions)
        status: Status = "not_checked" if silent else "missing"
        return finding(8, f"no comparison possible: {unknown}", status, evidence, "spine list")
    made = advice(state, opinions, trace, expected)
    evidence |= {"go_to": made.go_to, "verb": made.verb, "suggestion": made.suggestion}
    status = "not_checked" if made.unasked else "verified" if made.sure else "recorded"
    return finding(8, made.answer, status, evidence, made.command)


def advice(state: State, opinions: Sequence[Opinion], trace: Trace, expected: str | None) -> Advice:
    """What to do about a request, once every entry was asked. Pure: it looks only at what it is given."""
    production = next((each for each in opinions if each.sha == state.production), None)
    if trace.status < 500 and expected is not None and trace.correction == expected:
        return Advice(
            answer=f"the answer was correct: “{visible(expected, 80)}”",
            suggestion="nothing to fix: the answer was correct",
            command=f"spine traces show {argument(trace.request_id)}",
        )
    if production is not None and production.right:
        return _production_is_right(state, production, trace)
    usable = [each for each in opinions if each.right and each is not production]
    ready = next((each for each in usable if each.held is None and each.gate == "pass"), None)
    note = _both_fail(opinions, trace, production)
    if ready is not None:
        verb = way_to(state, ready.sha)
        command = f"spine {verb} {ready.semver} {argument(trace.request_id, '--reason')}"
        says = visible(str(ready.says), 80)
        answer = f"{_named(ready)} answers “{says}”; its bytes are verified and it passes the gate{note}"
        return Advice(answer=answer, suggestion=command, command=command, go_to=ready.sha, verb=verb)
    held = next((each for each in usable if each.held is not None and each.gate == "pass"), None)
    if held is not None:
        command = f"spine release {held.semver} {argument(trace.request_id, '--reason')}"
        answer = f"{_named(held)} answers this correctly but is on hold: {visible(str(held.held), 120)}{note}"
        then = f"spine {_after(state, held.sha)} {held.semver}"
        suggestion = f"if that reason no longer holds, release it: `{command}`; then `{then}`"
        return Advice(answer=answer, suggestion=suggestion, command=command)
    return _no_fix(usable, opinions, trace, expected, note)


def _production_is_right(state: State, production: Opinion, trace: Trace) -> Advice:
    """Production answers correctly: it fixed the mistake, or an entry that was tried beside it made the mistake."""
    stable = takewhile(lambda route: route.stable.sha == production.sha, reversed(state.routes))
    since = list(stable)[-1].epoch
    fixed = f"production {_named(production)} answers “{visible(str(production.says), 80)}”"
    tried = trace.semver or short(trace.entry_sha)
    if state.route is not None and trace.entry_sha in [arm.sha for arm in state.route.learners[1:]]:
        command = f"spine route abort {argument(trace.request_id, '--reason')}"
        return Advice(answer=f"{fixed}, but {tried} still gets traffic beside it", suggestion=command, command=command)
    verified = f"{fixed}; its bytes are verified"
    if since < trace.assignment.epoch:
        answer, why = f"{verified}; {tried} no longer gets traffic", f"{tried} no longer gets traffic"
    else:
        answer = f"already fixed since #{since}: {verified}"
        why = f"already fixed by {production.semver} since #{since}"
    suggestion = f"no rollback needed: {why} (`spine route show`)"
    return Advice(answer=answer, suggestion=suggestion, command="spine route show", go_to=production.sha)


def _no_fix(
    usable: Sequence[Opinion], opinions: Sequence[Opinion], trace: Trace, expected: str | None, note: str
) -> Advice:
    guard = f"spine incident {argument(trace.request_id)} --never-regress"
    form = f" that answers “{visible(expected, 80)}”" if expected else ""
    suggestion = f"train and promote a model{form}; `{guard}` keeps this mistake from coming back"
    if usable:
        best = usable[0]
        why = f": {visible(best.refused_for, 160)}" if best.refused_for else ""
        answer = f"{_named(best)} answers this correctly, but the gate does not let it replace production{why}"
        return Advice(
            answer=f"{answer}{note}; {suggestion}",
            suggestion=suggestion,
            command=f"spine gate {best.semver}",
            unasked=any(each.unavailable for each in opinions),
        )
    others = any(each.sha != trace.entry_sha for each in opinions)
    answer = "no other promoted entry answers this correctly" if others else "no other entry was promoted"
    return Advice(answer=f"{answer}{note}; {suggestion}", suggestion=suggestion, command="spine list", sure=False)


def _both_fail(opinions: Sequence[Opinion], trace: Trace, production: Opinion | None) -> str:
    """A note if the entry that answered is on hold already, and production is wrong about this sentence too."""
    answered = next((each for each in opinions if each.sha == trace.entry_sha), None)
    if answered is None or answered.held is None or production is None or production.sha == answered.sha:
        return ""
    wrong = f"production {production.semver} is wrong about this sentence too"
    return f" ({answered.semver}, which answered, is on hold; {wrong})"


def _opinion(
    registry: Registry,
    workload: Callable[[], Workload],
    state: State,
    sha: str,
    trace: Trace,
    expected: str | None,
    gate: Gate,
) -> Opinion:
    known = state.entries[sha]
    reply = ask(registry, workload, sha, trace.sentence)
    right = reply.problem is None and expected is not None and reply.output == expected
    made = Opinion(
        sha=sha,
        semver=known.semvers[-1],
        says=reply.output,
        verifies=reply.problem is None,
        right=right,
        held=known.held,
        problem=reply.problem,
        unavailable=reply.unavailable,
    )
    if not right or sha == state.production:
        return made
    try:
        decision = gate(sha)
    except SpineError as error:
        unavailable = isinstance(error, Unavailable)
        return msgspec.structs.replace(made, gate="error", refused_for=error.message, unavailable=unavailable)
    first = decision.reasons[0] if decision.reasons else None
    return msgspec.structs.replace(made, gate=decision.result, refused_for=first)


def _newest_promoted(state: State) -> list[str]:
    """Entries that were promoted and are not tombstoned, the newest promotion first."""
    alive = [known for known in state.entries.values() if known.promoted and known.tombstoned is None]
    return [known.sha for known in sorted(alive, key=lambda known: known.promoted[-1].seq, reverse=True)]


def _unknown(opinions: Sequence[Opinion], trace: Trace, expected: str | None) -> str | None:
    """Why the entries' answers cannot be judged; None where they can, or where there is no other entry to judge."""
    if not any(each.sha != trace.entry_sha for each in opinions):
        return None
    if trace.sentence is None:
        return "the sentence was not kept"
    silent = next((each for each in opinions if each.problem is not None and each.sha != trace.entry_sha), None)
    if silent is not None and not any(each.right for each in opinions):
        return visible(f"{silent.semver} cannot be asked: {silent.problem}", 200)
    return "the workload does not know the right answer" if expected is None else None


def _named(opinion: Opinion) -> str:
    return f"{opinion.semver} {short(opinion.sha)}"


def _after(state: State, sha: str) -> str:
    """The verb that takes traffic to an entry once it is released."""
    return "rollback" if state.entries[sha].stable_since else "route canary"
