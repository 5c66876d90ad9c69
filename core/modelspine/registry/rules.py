"""What may be done to which entry: pure decisions over a state, each refusal with its reason.

It does not append, hash or ask anybody; ``registry.registry`` does, with what is decided here.
"""

from __future__ import annotations

from typing import Any

from modelspine.errors import Refused
from modelspine.ledger.state import Known, State
from modelspine.text import short, visible


def may_promote(
    state: State, sha: str, semver: str, env: str, *, signed: bool, override: bool = False
) -> dict[str, Any]:
    """What a promotion without a signed verdict would stand on; with one, only that nothing else forbids it.

    A dev ledger takes an unsigned development verdict: the entry has an evaluation report, and the event
    says that nobody signed for it. Only there may a failed gate be passed over, and the event says that too.
    A ledger that was not opened as dev, or a process told that it is prod, does neither.

    Raises:
        Refused: the promotion is not allowed, with the reason.
    """
    entry = state.entries[sha]
    _alive(entry)
    if entry.held is not None:
        raise Refused(f"{short(sha)} is held: {visible(entry.held)}", _RELEASE)
    taken = state.semvers.get(semver)
    if taken is not None and taken != sha:
        raise Refused(f"{semver} is {short(taken)} already; one semver never names two entries", "choose a new semver")
    if entry.registered.body.get("evidence", {}).get("eval_report") is None:
        raise Refused(
            f"{short(sha)} has no evaluation report: nobody can say how good it is",
            "evaluate the bundle (the report is its eval_report.json) and register it again",
        )
    dev = (state.env, env) == ("dev", "dev")
    if override and (signed or not dev):
        raise Refused(
            "only a dev ledger passes over a failed gate, and never beside a signed verdict",
            "train a better one; a prod ledger takes what CI signed: `spine promote REF --verdict F`",
        )
    failed = entry.gated is not None and entry.gated.body.get("result") != "pass"
    if entry.gated is not None and failed and not override:
        raise Refused(
            f"the gate refused {short(sha)} at #{entry.gated.seq}: a model that regresses is not promoted",
            f"`spine gate {short(sha)}` shows why; train a better one",
        )
    if not signed and not dev:
        raise Refused(
            "this ledger is prod: it takes only verdicts signed by CI", "give one: `spine promote REF --verdict F`"
        )
    run = entry.gated
    report = run.body.get("report") if run is not None else entry.report
    verdict = {"signed": False, "report": report, "gated": run.seq if run is not None else None}
    return {"verdict": verdict, **({"override": True} if failed else {})}


def may_route(state: State, sha: str) -> str:
    """The semver an entry takes traffic under.

    Raises:
        Refused: it is pending, held or tombstoned.
    """
    entry = state.entries[sha]
    _alive(entry)
    if entry.held is not None:
        raise Refused(f"{short(sha)} is held: {visible(entry.held)}", _RELEASE)
    if not entry.semvers:
        raise Refused(
            f"{short(sha)} was never promoted; only promoted entries answer learners",
            f"promote it first: `spine promote {short(sha)} --semver vX.Y.Z --reason TEXT`",
        )
    return entry.semvers[-1]


def may_answer(state: State, sha: str, semver: str) -> None:
    """Check that what an arm of a route names is an entry that may answer learners now, and its semver one of its own.

    The registry makes no other route. Whoever follows one asks again, since it may have been written past it.

    Raises:
        Refused: it may not.
    """
    if sha not in state.entries:
        raise Refused(f"{short(sha)} was never registered", _ELSEWHERE)
    may_route(state, sha)
    if semver not in state.entries[sha].semvers:
        raise Refused(f"{short(sha)} was never promoted as {visible(semver, 40)}", _ELSEWHERE)


def may_lead(state: State, sha: str) -> str:
    """The semver an entry takes all of the traffic under, with nothing measured beside the stable one first.

    In a prod ledger that is one which was stable before, or was promoted against what is in production now: a
    verdict says nothing of an entry that became stable since.

    Raises:
        Refused: it may not be routed to, or was promoted against another entry.
    """
    semver, entry = may_route(state, sha), state.entries[sha]
    if state.env == "dev" or entry.stable_since or entry.promoted_against == state.production:
        return semver
    raise Refused(
        f"{semver} {short(sha)} was promoted against {short(entry.promoted_against or 'nothing')}, and "
        f"{short(state.production or 'nothing')} is in production now",
        f"try it out (`spine route canary {semver}`), or gate it again and promote it under a new semver",
    )


def may_shadow(state: State, sha: str) -> str:
    """The semver an entry gets copies under; empty where it has none.

    No learner sees what a shadow answers, so it need not be promoted and may be held.

    Raises:
        Refused: it is tombstoned.
    """
    entry = state.entries[sha]
    _alive(entry)
    return entry.semvers[-1] if entry.semvers else ""


def may_roll_back(state: State, sha: str) -> str:
    """The semver an entry takes traffic under again.

    A rollback goes to what was the stable arm before, and to nothing else; it asks for no verdict, because
    that entry had one when it was promoted.

    Raises:
        Refused: it never was stable, is held or tombstoned.
    """
    semver = may_route(state, sha)
    if not state.entries[sha].stable_since:
        raise Refused(
            f"{semver} {short(sha)} never was the stable arm; going to it is going forward",
            f"go there instead: `spine {way_to(state, sha)} {semver} --reason TEXT`",
        )
    return semver


def way_to(state: State, sha: str) -> str:
    """The verb that takes traffic to a promoted entry which is not held: back, straight forward, or by trying it."""
    if state.entries[sha].stable_since:
        return "rollback"
    try:
        may_lead(state, sha)
    except Refused:
        return "route canary"
    return "route single"


def may_release(state: State, sha: str) -> None:
    """Check that an entry is held, and may take learners' traffic again.

    Raises:
        Refused: it is not held, or is tombstoned.
    """
    entry = state.entries[sha]
    _alive(entry)
    if entry.held is None:
        raise Refused(f"{short(sha)} is not held", "`spine list` shows which entries are")


def may_tombstone(state: State, sha: str) -> None:
    """Check that an entry may be buried.

    Raises:
        Refused: it takes traffic now, or is tombstoned already.
    """
    _alive(state.entries[sha])
    if state.route is not None and any(arm.sha == sha for arm in state.route.arms):
        raise Refused(f"{short(sha)} takes traffic now", "route to another entry first: `spine route single REF`")


def _alive(entry: Known) -> None:
    if entry.tombstoned is not None:
        raise Refused(
            f"{short(entry.sha)} is tombstoned: {visible(entry.tombstoned)}",
            "a tombstone is for good; use another entry",
        )


_ELSEWHERE = "route to one that was promoted: `spine rollback REF --reason TEXT`, or `route single`"
_RELEASE = "it takes no learner's traffic until `spine release REF --reason TEXT`"
