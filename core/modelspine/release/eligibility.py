"""The position of an entry: its newest gate run, its promotions' signatures, and the operations that are allowed.

It asks the rules of ``registry.rules`` and changes nothing. It does not know how the position is displayed.
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
from modelspine.registry.rules import (
    Floor,
    gate_overridden,
    may_join,
    may_lead,
    may_promote,
    may_release,
    may_roll_back,
    may_tombstone,
)
from modelspine.release.promotion import current_floor, floor_in_force
from modelspine.text import short, visible
from modelspine.traffic import rollout

if TYPE_CHECKING:
    from modelspine.project import Project


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict behind one promotion of an entry."""

    semver: str
    seq: int
    at: str
    status: Status
    """verified: signed by a trusted key; recorded: unsigned; mismatch: the signature is not valid now."""
    summary: str


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The position of an entry in the state after event ``seq``."""

    sha: str
    seq: int
    env: str
    gated: Event | None
    """Its newest gate run."""
    outdated: tuple[str, ...]
    """What has changed since that run: the baseline, the entry in production."""
    signatures: tuple[Signature, ...]
    denied: dict[str, str]
    """Operation → why it would be refused; an operation that is not a key is allowed."""


def position(project: Project, ref: str, at: str | None = None) -> Position:
    """The position of an entry now, or as of ``at`` (RFC 3339 UTC).

    Raises:
        UnknownRef, AmbiguousRef: ``ref`` names no entry, or several.
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
        denied=denied(state, sha, project.settings.env, floor_in_force(project), service=project.settings.service),
    )


def prod_or(state: State, env: str) -> str:
    """The environment whose rules apply: prod if either the ledger or this process says so."""
    return "prod" if "prod" in (state.env, env) else state.env


def denied(state: State, sha: str, env: str, floor: Floor | None = None, *, service: str = "") -> dict[str, str]:
    """Why each operation on an entry would be refused in a state; allowed operations are left out.

    ``env`` and ``service`` are the environment and the service of this process.
    ``floor`` says which entry is the floor; without it, none that was in production may be tombstoned in prod.
    """
    # A real promotion in prod brings a signed verdict. Without assuming one, promotion would always look refused.
    signed = prod_or(state, env) == "prod"

    def joins() -> bool:
        may_join(state, sha, service)
        return True

    def passed() -> dict[str, Any]:
        return gate_overridden(state, sha, env, override=False)

    rules: dict[str, Callable[[], Any]] = {
        "promote": lambda: may_promote(state, sha, "", env, signed=signed),
        "rollback": lambda: _not_routed(state, sha) and may_roll_back(state, sha),
        "route": lambda: _not_routed(state, sha) and joins() and may_lead(state, sha) and passed(),
        "release": lambda: may_release(state, sha),
        "tombstone": lambda: may_tombstone(state, sha, env, floor),
        "canary": lambda: joins() and rollout.start(state, "canary", sha, 0, "?") and passed(),
        "shadow": lambda: joins() and rollout.start(state, SHADOW, sha, 0, "?"),
    }
    return _refusals(rules)


def route_denied(state: State, judged: int | None = None) -> dict[str, str]:
    """Why each operation on the current rollout would be refused in a state; allowed operations are left out.

    ``judged`` is the epoch whose verdict is ``pass`` now, if there is one.
    """
    return _refusals(
        {
            "abort": lambda: rollout.abort(state, "?"),
            "advance": lambda: rollout.more_traffic(state, rollout.advance(state, "?", judged=judged), state.env),
            "weight": lambda: rollout.weigh(state, 0, "?"),
        }
    )


def _refusals(rules: dict[str, Callable[[], Any]]) -> dict[str, str]:
    found = {}
    for verb, rule in rules.items():
        try:
            rule()
        except Refused as error:
            found[verb] = error.message
    return found


def _not_routed(state: State, sha: str) -> bool:
    """True where an entry does not take all traffic already.

    Raises:
        Refused: it does, so routing to it would change nothing.
    """
    route = state.route
    if route is not None and route.strategy == "single" and route.stable.sha == sha:
        raise Refused(f"{short(sha)} takes all traffic already", "`spine route show` shows the active route")
    return True


def _outdated(project: Project, state: State, gated: Event) -> tuple[str, ...]:
    found = []
    file = project.settings.eval_baseline
    raw = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(raw).hexdigest() != gated.body.get("baseline"):
        found.append("the baseline has changed since")
    else:
        floor = current_floor(project, state, read_baseline(raw))
        compared = [gated.body.get(name) for name in ("floor", "stable", "sha")]
        if floor is not None and floor.entry_sha not in compared:
            found.append("the floor has changed since")
    if state.production not in (gated.body.get("stable"), gated.body.get("sha")):
        found.append("another entry is in production now")
    return tuple(found)


def _signature(project: Project, promoted: Event) -> Signature:
    verdict = promoted.body.get("verdict") or {}
    status: Status = "recorded"
    text = "unsigned verdict (dev ledger)"
    if verdict.get("signed"):
        try:
            signed = project.verdict(str(verdict.get("digest")))
            predicate = signed.statement.predicate
            status = "verified"
            run, issued = predicate.run.id, predicate.issued
            text = f"{predicate.result}, signed by {signed.key.name}, run {run}, issued {issued}"
        except SpineError as error:
            status, text = "mismatch", f"not valid: {error.message}"
    semver = str(promoted.body.get("semver", ""))
    return Signature(semver=semver, seq=promoted.seq, at=promoted.time, status=status, summary=visible(text, 300))
