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
from modelspine.gate.eval_report import Count
from modelspine.gate.result import Decision
from modelspine.incident.finding import Finding, finding
from modelspine.incident.reproduce import ask
from modelspine.incident.way_there import in_turn, lost_last, wait, way_there
from modelspine.ledger.state import State
from modelspine.lineage.status import Status
from modelspine.registry.registry import Registry
from modelspine.registry.rules import way_to
from modelspine.text import argument, short, visible
from modelspine.words import words
from modelspine.workload import Probe, Workload, right_by

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
    total: Count | None = None
    """What it has right of the eval set, where the gate compared it."""
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
    release: str | None = None
    """The entry on hold that is to be released, where that is what it proposes."""
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
    opinions = [_opinion(registry, workload, state, sha, trace, expected, gate) for sha in newest_promoted(state)]
    evidence: dict[str, Any] = {"entries": [msgspec.to_builtins(opinion) for opinion in opinions]}
    unknown = _unknown(opinions, trace, expected)
    if unknown is not None:
        suggestion = "compare evaluation scores: `spine list`"
        evidence |= {"go_to": None, "verb": None, "release": None, "suggestion": suggestion}
        silent = any(each.unavailable for each in opinions)
        status: Status = "not_checked" if silent else "missing"
        return finding(8, f"no comparison possible: {unknown}", status, evidence, "spine list")
    known = trace.status < 500 and trace.output is not None and expected is not None
    correct = known and right_by(workload(), str(trace.output), str(expected))
    made = advice(state, opinions, trace, expected, correct=bool(correct))
    evidence |= {"go_to": made.go_to, "verb": made.verb, "release": made.release, "suggestion": made.suggestion}
    status = "not_checked" if made.unasked else "verified" if made.sure else "recorded"
    return finding(8, made.answer, status, evidence, made.command)


def advice(state: State, opinions: Sequence[Opinion], trace: Trace, expected: str | None, *, correct: bool) -> Advice:
    """What to do about a request, once every entry was asked. Pure: it looks only at what it is given.

    ``correct`` says that the answer was right.
    """
    production = next((each for each in opinions if each.sha == state.production), None)
    if correct:
        return Advice(
            answer=f"the answer was correct: “{visible(str(expected), 80)}”",
            suggestion="nothing to fix: the answer was correct",
            command=f"spine traces show {argument(trace.request_id)}",
        )
    if production is not None and production.right:
        return _production_is_right(state, production, trace)
    right = [each for each in opinions if each.right and each is not production]
    usable = sorted(right, key=lambda each: _preference(state, each))
    passed = [each for each in usable if each.gate == "pass"]
    note = _both_fail(opinions, trace, production)
    free = next((each for each in passed if each.held is None), None)
    if free is not None:
        return _go_to(state, free, trace, note)
    if passed:
        return _release(state, passed[0], trace, note)
    return _no_fix(usable, opinions, trace, expected, note)


def _preference(state: State, opinion: Opinion) -> tuple[bool, bool, float]:
    """What an entry is sorted by; of equal ones, the newest promotion stays the first.

    Whoever was in production passed live, and whose rollout was ended did not; the eval set cannot tell them apart.
    """
    share = (opinion.total.ratio or 0.0) if opinion.total is not None else 0.0
    return not state.entries[opinion.sha].stable_since, lost_last(state, opinion.sha), -share


def _go_to(state: State, free: Opinion, trace: Trace, note: str) -> Advice:
    """Take traffic to an entry that answers correctly, passes the gate and is not on hold."""
    says = visible(str(free.says), 80)
    answer = f"{_named(free)} answers “{says}”; its bytes are verified and it passes the gate{note}"
    commands = way_there(state, free.sha, trace.request_id)
    if not commands:
        return _wait(state, answer, free)
    verb = way_to(state, free.sha)
    return Advice(answer=answer, suggestion=in_turn(commands), command=commands[0], go_to=free.sha, verb=verb)


def _release(state: State, held: Opinion, trace: Trace, note: str) -> Advice:
    """Release an entry that answers correctly and passes the gate, and take traffic to it."""
    answer = f"{_named(held)} answers this correctly but is on hold: {visible(str(held.held), 120)}{note}"
    commands = way_there(state, held.sha, trace.request_id)
    if not commands:
        return _wait(state, answer, held)
    suggestion = f"if that reason no longer holds, release it: {in_turn(commands)}"
    return Advice(answer=answer, suggestion=suggestion, command=commands[0], release=held.sha)


def _wait(state: State, answer: str, opinion: Opinion) -> Advice:
    """Leave the rollout that is in progress to its end: one complaint is no reason to abort it."""
    command = "spine route show"
    return Advice(answer=answer, suggestion=f"{wait(state, opinion.sha)} (`{command}`)", command=command)


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
    wrong = f"production {production.semver} is wrong about this {words().input} too"
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
    reply = ask(registry, workload, sha, trace.input)
    told = reply.problem is None and reply.output is not None and expected is not None
    right = bool(told and right_by(workload(), str(reply.output), str(expected)))
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
    total = next((each.total.cand for each in decision.compared if each.total is not None), None)
    return msgspec.structs.replace(made, gate=decision.result, refused_for=first, total=total)


def newest_promoted(state: State) -> list[str]:
    """Entries that were promoted and are not tombstoned, the newest promotion first."""
    alive = [known for known in state.entries.values() if known.promoted and known.tombstoned is None]
    return [known.sha for known in sorted(alive, key=lambda known: known.promoted[-1].seq, reverse=True)]


def _unknown(opinions: Sequence[Opinion], trace: Trace, expected: str | None) -> str | None:
    """Why the entries' answers cannot be judged; None where they can, or where there is no other entry to judge."""
    if not any(each.sha != trace.entry_sha for each in opinions):
        return None
    if trace.input is None:
        return f"the {words().input} was not kept"
    silent = next((each for each in opinions if each.problem is not None and each.sha != trace.entry_sha), None)
    if silent is not None and not any(each.right for each in opinions):
        return visible(f"{silent.semver} cannot be asked: {silent.problem}", 200)
    return "the workload does not know the right answer" if expected is None else None


def _named(opinion: Opinion) -> str:
    return f"{opinion.semver} {short(opinion.sha)}"
