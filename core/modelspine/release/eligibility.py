"""Where an entry stands: its newest gate run, the signatures under its promotions, and what may be done to it.

It asks the rules of ``registry.rules`` and changes nothing. It does not know who shows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import Refused, SpineError
from modelspine.gate.baseline import read_baseline
from modelspine.ledger.route import SHADOW
from modelspine.ledger.state import State
from modelspine.ledger.store import Event
from modelspine.lineage.status import Status
from modelspine.registry.rules import may_lead, may_promote, may_release, may_roll_back, may_tombstone
from modelspine.release.promotion import current_floor
from modelspine.text import short, visible
from modelspine.traffic import rollout

if TYPE_CHECKING:
    from modelspine.project import Project


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What one promotion of an entry stood on."""

    semver: str
    seq: int
    at: str
    status: Status
    """verified: a trusted key signed it; recorded: nobody did; mismatch: the signature does not hold now."""
    told: str


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where an entry stands in the state after event ``seq``."""

    sha: str
    seq: int
    env: str
    gated: Event | None
    """Its newest gate run."""
    outdated: tuple[str, ...]
    """What that run was decided on and is another one today: the baseline, the entry in production."""
    signatures: tuple[Signature, ...]
    denied: dict[str, str]
    """Verb → why it would be refused; a verb that is not in it would not be."""


def position(project: Project, ref: str, at: str | None = None) -> Position:
    """Where an entry stands now, or stood at a moment.

    Raises:
        UnknownRef, AmbiguousRef: no or several entries have that name.
    """
    state = project.registry.state(at)
    sha = state.resolve(ref)
    known = state.entries[sha]
    return Position(
        sha=sha,
        seq=state.seq,
        env=prod_or(state, project.settings.env),
        gated=known.gated,
        outdated=_outdated(project, state, known.gated) if known.gated is not None else (),
        signatures=tuple(_signature(project, event) for event in reversed(known.promoted)),
        denied=denied(state, sha, project.settings.env),
    )


def prod_or(state: State, env: str) -> str:
    """The environment whose rules hold: prod, where the ledger or this process says so."""
    return "prod" if "prod" in (state.env, env) else state.env


def denied(state: State, sha: str, env: str) -> dict[str, str]:
    """Why each verb that changes an entry would be refused on a state; what would not be is left out."""
    signed = prod_or(state, env) == "prod"
    asked: dict[str, Callable[[], Any]] = {
        "promote": lambda: may_promote(state, sha, "", env, signed=signed),
        "rollback": lambda: _moved(state, sha) and may_roll_back(state, sha),
        "route": lambda: _moved(state, sha) and may_lead(state, sha),
        "release": lambda: may_release(state, sha),
        "tombstone": lambda: may_tombstone(state, sha),
        "canary": lambda: rollout.start(state, "canary", sha, 0, "?"),
        "shadow": lambda: rollout.start(state, SHADOW, sha, 0, "?"),
    }
    return _refusals(asked)


def route_denied(state: State) -> dict[str, str]:
    """The same of the verbs that change what is tried out, whichever entry that is."""
    return _refusals(
        {
            "abort": lambda: rollout.abort(state, "?"),
            "advance": lambda: rollout.advance(state, "?"),
            "weight": lambda: rollout.weigh(state, 0, "?"),
        }
    )


def _refusals(asked: dict[str, Callable[[], Any]]) -> dict[str, str]:
    found = {}
    for verb, ask in asked.items():
        try:
            ask()
        except Refused as error:
            found[verb] = error.message
    return found


def _moved(state: State, sha: str) -> bool:
    """True where routing to an entry would move traffic."""
    route = state.route
    if route is not None and route.strategy == "single" and route.stable.sha == sha:
        raise Refused(f"{short(sha)} takes all traffic already", "`spine route show` shows who does")
    return True


def _outdated(project: Project, state: State, gated: Event) -> tuple[str, ...]:
    found = []
    file = project.settings.eval_baseline
    raw = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(raw).hexdigest() != gated.body.get("baseline"):
        found.append("the baseline is another one today")
    else:
        floor = current_floor(project, state, read_baseline(raw))
        compared = [gated.body.get(name) for name in ("floor", "stable", "sha")]
        if floor is not None and floor.entry_sha not in compared:
            found.append("the floor is another one today")
    if state.production not in (gated.body.get("stable"), gated.body.get("sha")):
        found.append("another entry is in production today")
    return tuple(found)


def _signature(project: Project, promoted: Event) -> Signature:
    verdict = promoted.body.get("verdict") or {}
    status: Status = "recorded"
    told = "nobody signed: a development verdict"
    if verdict.get("signed"):
        try:
            said = project.verdict(str(verdict.get("digest")))
            of = said.statement.predicate
            status, told = "verified", f"{of.result}, signed by {said.key.name}, run {of.run.id}, issued {of.issued}"
        except SpineError as error:
            status, told = "mismatch", f"it does not hold: {error.message}"
    semver = str(promoted.body.get("semver", ""))
    return Signature(semver=semver, seq=promoted.seq, at=promoted.at, status=status, told=visible(told, 300))
