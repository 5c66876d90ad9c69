"""The commands that take all traffic to an entry, or begin to: as they can be typed, one after the other.

Pure: it decides from the ledger's state alone. Whether the gate would let the entry replace production is known before.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelspine.ledger.route import Arm
from modelspine.ledger.state import State
from modelspine.registry.rules import way_to
from modelspine.text import argument, short


def way_there(state: State, sha: str, reason: str) -> tuple[str, ...]:
    """The commands, of which the last one moves traffic.

    Empty where a canary or an A/B test is in progress and the entry could only begin another: one must end first.

    Args:
        state: the present state.
        sha: a promoted entry that the gate lets replace production, and that is not in production.
        reason: what each command records as its reason, unquoted.
    """
    known, verb = state.entries[sha], way_to(state, sha)
    name, why = known.semvers[-1], argument(reason, "--reason")
    if verb == "route canary" and _tried(state) is not None:
        return ()
    release = [f"spine release {name} {why}"] if known.held is not None else []
    # A route asks for the newest recorded gate run, and a rollback asks for none.
    refused = verb != "rollback" and known.gated is not None and known.gated.body.get("result") != "pass"
    gate = [f"spine gate {name}"] if refused else []
    return (*release, *gate, f"spine {verb} {name} {why}")


def in_turn(commands: Sequence[str]) -> str:
    """The commands as a suggestion: one alone as it is typed, several as a sentence."""
    return commands[0] if len(commands) == 1 else "; then ".join(f"`{command}`" for command in commands)


def wait(state: State, sha: str) -> str:
    """What to wait for, where ``way_there`` gives no command."""
    candidate = _tried(state)
    if candidate is None or candidate.sha == sha:
        return "wait until its rollout, which is in progress, has ended"
    name = state.entries[sha].semvers[-1]
    return f"wait until the rollout of {candidate.semver} {short(candidate.sha)} has ended, then start that of {name}"


def _tried(state: State) -> Arm | None:
    """The entry that answers some users beside production, if there is one."""
    route = state.route
    return route.candidate if route is not None and route.strategy in ("ab", "canary") else None


def lost_last(state: State, sha: str) -> bool:
    """Whether an entry's newest part in a route was that of a candidate, which was then taken out."""
    for route in reversed(state.routes):
        if route.stable.sha == sha:
            return False
        if sha in [arm.sha for arm in route.learners[1:]]:
            return route is not state.route
    return False
