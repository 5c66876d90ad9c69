"""The rules for changing entries: pure decisions on a state, each refusal with its reason.

It does not append events, hash bytes or verify signatures; ``registry.registry`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelspine.errors import Refused
from modelspine.ledger.state import Known, State
from modelspine.text import short, visible
from modelspine.words import words


def may_promote(
    state: State, sha: str, semver: str, env: str, *, signed: bool, override: bool = False
) -> dict[str, Any]:
    """The event's record of an unsigned verdict; for a signed one (``signed``) only the common conditions are checked.

    A dev ledger accepts an unsigned verdict for an entry that has an evaluation report, and only there can a failed
    gate be overridden; the event records both.

    Raises:
        Refused: the promotion is not allowed; the message gives the reason.
    """
    entry = _usable(state, sha)
    taken = state.semvers.get(semver)
    if taken is not None and taken != sha:
        raise Refused(f"{semver} already names {short(taken)}; a semver is never reused", "choose a new semver")
    if entry.registered.body.get("evidence", {}).get("eval_report") is None:
        raise Refused(
            f"{short(sha)} has no evaluation report, so its quality is unknown",
            "evaluate the bundle (the report is its eval_report.json) and register it again",
        )
    # Both the ledger and the process must be dev: neither a setting nor a copied ledger alone relaxes the rules.
    dev = (state.env, env) == ("dev", "dev")
    if override and (signed or not dev):
        raise Refused(
            "a failed gate can be overridden only in a dev ledger and without a signed verdict",
            "train a better model; a prod ledger needs a verdict from CI: `spine promote REF --verdict F`",
        )
    fault = _gate_fault(entry, "is not promoted")
    if fault is not None and not override:
        raise Refused(*fault)
    if not signed and not dev:
        raise Refused(
            "a prod ledger accepts only verdicts signed by CI, and none was given",
            "give one: `spine promote REF --verdict F`",
        )
    # A gate run records the report it read, which may be newer than the registered one.
    run = entry.gated
    report = run.body.get("report") if run is not None else entry.report
    verdict = {"signed": False, "report": report, "gated": run.seq if run is not None else None}
    return {"verdict": verdict, **({"override": True} if fault is not None else {})}


def gate_overridden(state: State, sha: str, env: str, *, override: bool, since: int = 0) -> dict[str, Any]:
    """What the event of a route to an entry records about its newest gate run: an override, or nothing.

    Promotion asks the gate, and the gate may have been asked again since. The entry in production needs no new answer
    to stay there, and a rollback asks for none, so that an operator in trouble is never held up.

    Args:
        state: the state that is decided on.
        sha: the entry that gets traffic.
        env: the environment of this process.
        override: whether a failed gate is to be overridden; only in a dev ledger.
        since: a gate run before this seq was asked about already, when the rollout began.

    Raises:
        Refused: the entry failed its newest gate run, or that run could compare nothing.
    """
    dev = (state.env, env) == ("dev", "dev")
    if override and not dev:
        raise Refused(
            "a failed gate can be overridden only in a dev ledger",
            "train a better model, or `spine rollback REF` to an earlier one",
        )
    entry = state.entries[sha]
    fault = _gate_fault(entry, f"answers no {words().unit}")
    if fault is None or entry.gated is None or entry.gated.seq < since or sha == state.production:
        return {}
    if not override:
        message, hint = fault
        raise Refused(message, f"{hint}; --override-gate routes to it all the same, on record" if dev else hint)
    return {"override": True}


def _gate_fault(entry: Known, consequence: str) -> tuple[str, str] | None:
    """What the newest gate run found against an entry, and what to do; None for a pass or no run."""
    run, name = entry.gated, short(entry.sha)
    if run is None or run.body.get("result") == "pass":
        return None
    shows = f"`spine gate {name}` shows why"
    if run.body.get("result") == "error":
        unknown = f"the gate could not compare {name} at #{run.seq}, so its quality is unknown"
        return unknown, f"{shows}; evaluate it on the baseline's eval set and gate it again"
    return (
        f"{name} failed the gate at #{run.seq}: a model that regresses {consequence}",
        f"{shows}; train a better model",
    )


def may_route(state: State, sha: str) -> str:
    """The semver under which an entry may receive traffic.

    Raises:
        Refused: it is pending, on hold or tombstoned.
    """
    entry = _usable(state, sha)
    if not entry.semvers:
        raise Refused(
            f"{short(sha)} was never promoted; only promoted entries may answer {words().units}",
            f"promote it first: `spine promote {short(sha)} --semver vX.Y.Z --reason TEXT`",
        )
    return entry.semvers[-1]


def may_answer(state: State, sha: str, semver: str) -> None:
    """Check that the entry of a route's arm may answer learners, and that the arm's semver belongs to it.

    The registry creates only such routes; a server checks again, because an event may have been written without it.

    Raises:
        Refused: the entry may not answer, or the semver is not its own.
    """
    if sha not in state.entries:
        raise Refused(f"{short(sha)} was never registered", _PROMOTED_ONLY)
    may_route(state, sha)
    if semver not in state.entries[sha].semvers:
        raise Refused(f"{short(sha)} was never promoted as {visible(semver, 40)}", _PROMOTED_ONLY)


def may_lead(state: State, sha: str) -> str:
    """The semver under which an entry may receive all traffic without a canary first.

    Raises:
        Refused: it may not receive traffic, or a prod ledger requires a comparison with the current production.
    """
    semver, entry = may_route(state, sha), state.entries[sha]
    # A verdict compares an entry with the one that was stable then; it says nothing about one that became stable since.
    if state.env == "dev" or entry.stable_since or entry.promoted_against == state.production:
        return semver
    raise Refused(
        f"{semver} {short(sha)} was compared with {short(entry.promoted_against or 'nothing')} when it was promoted, "
        f"but {short(state.production or 'nothing')} is in production now",
        f"start a canary (`spine route canary {semver}`), or gate it again and promote it under a new semver",
    )


def may_join(state: State, sha: str, service: str) -> None:
    """Check that an entry belongs to the service whose route it is to enter; ``service`` is this project's, if named.

    An entry that was the stable arm before may always return, so that a service that was renamed can roll back. An
    entry or a project without a name says nothing, and then the entry in production speaks for the project.

    Raises:
        Refused: it was registered for another service.
    """
    entry = state.entries[sha]
    theirs = entry.registered.body.get("service")
    in_production = state.entries.get(state.production or "")
    own = service or (in_production.registered.body.get("service") if in_production is not None else None)
    if theirs and own and theirs != own and not entry.stable_since:
        raise Refused(
            f"{short(sha)} was registered for the service {visible(str(theirs), 60)}, and this route is that of "
            f"{visible(str(own), 60)}",
            "route it in the project of its own service; `service` in spine.toml says which one this is",
        )


def ledger_service(state: State) -> str:
    """The service whose ledger it is: that of the first entry which names one; empty before there is one."""
    named = (known.registered.body.get("service") for known in state.entries.values())
    return next((str(name) for name in named if name), "")


def may_register(state: State, service: str) -> str:
    """Check that an entry is of the service whose ledger it is; returns a warning, or an empty text.

    A dev ledger only warns, so that a service can be renamed and tried out under its new name.

    Raises:
        Refused: it is a prod ledger, and its first entries are of another service.
    """
    first = ledger_service(state)
    if not first or not service or service == first:
        return ""
    text = f"this ledger is that of the service {visible(first, 60)}, and the project is now {visible(service, 60)}"
    if state.env == "prod":
        raise Refused(
            f"{text}: one ledger is one service",
            f'set service = "{visible(first, 60)}" in spine.toml; another service has a folder and a ledger of its own',
        )
    return f"{text}; a prod ledger would refuse it"


def may_shadow(state: State, sha: str) -> str:
    """The semver under which an entry may receive copies of requests; empty if it has none.

    A shadow's answers reach no learner, so the entry may be pending or on hold.

    Raises:
        Refused: it is tombstoned.
    """
    entry = _not_tombstoned(state, sha)
    return entry.semvers[-1] if entry.semvers else ""


def may_roll_back(state: State, sha: str) -> str:
    """The semver under which traffic may be rolled back to an entry.

    Only an entry that was the stable arm before qualifies. It needs no new verdict, because it had one when it was
    promoted.

    Raises:
        Refused: it was never stable, is pending, on hold or tombstoned.
    """
    semver = may_route(state, sha)
    if not state.entries[sha].stable_since:
        raise Refused(
            f"{semver} {short(sha)} was never the stable arm, so there is nothing to roll back to",
            f"route to it instead: `spine {way_to(state, sha)} {semver} --reason TEXT`",
        )
    return semver


def way_to(state: State, sha: str) -> str:
    """The command that brings traffic to a promoted entry which is not on hold: rollback, route single or canary."""
    if state.entries[sha].stable_since:
        return "rollback"
    try:
        may_lead(state, sha)
    except Refused:
        return "route canary"
    return "route single"


def may_release(state: State, sha: str) -> None:
    """Check that the hold of an entry may end.

    Raises:
        Refused: it is not on hold, or is tombstoned.
    """
    if _not_tombstoned(state, sha).held is None:
        raise Refused(f"{short(sha)} is not on hold", "`spine list` shows which entries are")


Floor = Callable[[State], str | None]
"""The SHA of the floor in a state, under the baseline in force; see ``registry.floor``."""


def may_tombstone(state: State, sha: str, env: str, floor: Floor | None = None) -> None:
    """Check that an entry may be tombstoned.

    A prod ledger refuses it for the floor, so that no single command decides that the best entry no longer counts.

    Raises:
        Refused: it is an arm of the route in force, is tombstoned already or, in prod, is the floor or may be it.
    """
    entry = _not_tombstoned(state, sha)
    if state.route is not None and any(arm.sha == sha for arm in state.route.arms):
        raise Refused(f"{short(sha)} is receiving traffic", "route to another entry first: `spine route single REF`")
    # Only an entry that was the stable arm can be the floor; the others need no baseline to be looked at.
    if (state.env, env) == ("dev", "dev") or not entry.stable_since:
        return
    if floor is None:
        raise Refused(
            f"{short(sha)} was in production, and nothing says whether it is the floor",
            "use `spine tombstone REF`, which asks the committed baseline",
        )
    if floor(state) == sha:
        raise Refused(
            f"{short(sha)} is the floor, the best entry ever in production; only a reviewed change takes it out",
            "name it in `floor_excludes` of the committed baseline, with the reason; a hold keeps traffic from it",
        )


def _not_tombstoned(state: State, sha: str) -> Known:
    """The entry; refused if it is tombstoned."""
    entry = state.entries[sha]
    if entry.tombstoned is not None:
        raise Refused(
            f"{short(sha)} is tombstoned: {visible(entry.tombstoned)}", "tombstones are permanent; use another entry"
        )
    return entry


def _usable(state: State, sha: str) -> Known:
    """The entry; refused if it is tombstoned or on hold."""
    entry = _not_tombstoned(state, sha)
    if entry.held is not None:
        raise Refused(f"{short(sha)} is on hold: {visible(entry.held)}", _RELEASE)
    return entry


_PROMOTED_ONLY = "route to a promoted entry: `spine rollback REF --reason TEXT`, or `spine route single REF`"
_RELEASE = "it may not receive traffic until the hold ends: `spine release REF --reason TEXT`"
