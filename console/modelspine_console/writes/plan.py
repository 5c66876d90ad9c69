"""A change before it is confirmed, as a frozen value: what it does, whom it affects, and what has to be typed.

Pure. It reads no store and changes nothing; that the rules allow the change, core has decided before.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from modelspine.errors import BadInput
from modelspine.ledger.route import FULL, Guard, weight_of
from modelspine.ledger.state import SEMVER, check_reason, check_semver
from modelspine.ledger.store import Event
from modelspine.text import short

NAME = "name"
"""Id of the field in which the name of the object is typed, so that it cannot be confused with another one."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One field that has to be filled in, with its suggested text."""

    id: str
    label: str
    text: str = ""
    hint: str = ""
    flag: str | None = None
    """Its flag in the equivalent command: ``--id`` if None, a positional argument if empty."""
    least: int = 0
    most: int = FULL
    """Bounds of a weight, in basis points."""
    optional: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A change of weight."""

    before_bp: int
    after_bp: int | None
    """The weight if none is typed; None if one has to be typed."""
    seen: bool = True
    """Whether users see the responses of the arm."""
    guard: Guard | None = None
    """What aborts the rollout when it does harm; None if nothing does."""
    then: tuple[str, str] = ("", "")
    """What happens next if no weight is typed, and if one is."""
    an_hour: int | None = None
    """Requests of the last hour to all arms; None if unknown."""
    per_second: float | None = None
    """Request rate; None if unknown."""
    skips: tuple[str, ...] = ()
    """Conditions of the canary's next step that are not met, so that the change skips them."""


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic that another entry will answer; none if the share is 0."""

    arms: tuple[str, ...] = ()
    share_bp: int = 0
    an_hour: int | None = None
    """Requests of the last hour in that share; None if unknown."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A change as it was planned on the ledger after event ``seq``."""

    verb: str
    sha: str
    name: str
    """The name of the object: semver or SHA of an entry, a request id, a day."""
    env: str
    seq: int
    key: str
    """The idempotency key; empty if the change cannot be made twice."""
    names: tuple[str, ...] = ()
    """Names of which one must be typed to confirm; empty if none has to be."""
    before: str = ""
    after: str = ""
    gated: Event | None = None
    signed: bool = False
    """True if the ledger accepts only signed verdicts."""
    touches: Touched = Touched()
    asks: tuple[Ask, ...] = ()
    taken: dict[str, str] = {}
    """Semver → SHA of the entry that has it."""
    step: Step | None = None
    """The change of a weight, if the plan makes one."""
    goes_back: bool = False
    """True if all traffic goes to an entry that was stable before, so that something may be given up."""
    item: Any = None
    """The never-regress item or the drift report that is added, if any."""

    @property
    def in_git(self) -> bool:
        """True if a branch is made and the ledger stays as it is."""
        return self.verb == "never_regress"

    @property
    def fields(self) -> tuple[Ask, ...]:
        """All fields, the name of the object last."""
        if not self.names:
            return self.asks
        return (*self.asks, Ask(id=NAME, label="confirm", hint=f"type {_either(self.names)}"))


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a change that was carried out."""

    text: str
    command: str = ""
    """The command that goes on from here, if one is needed to put the change into effect."""


def _either(names: Iterable[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def problem(plan: Plan, field: str, text: str) -> str | None:
    """What is wrong with the text of a field; None if it is valid."""
    try:
        if field == NAME:
            return None if text in plan.names else f"type {_either(plan.names)} to confirm"
        if field == "semver":
            check_semver(text)
            owner = plan.taken.get(text)
            return None if owner in (None, plan.sha) else f"{text} is already the semver of {short(str(owner))}"
        ask = next((ask for ask in plan.asks if ask.id == field), None)
        if ask is not None and ask.optional and not text.strip():
            return None
        if field == "weight":
            return _weight_problem(weight_of(text), ask)
        if field == "reason":
            check_reason(text)
        elif not text.strip():
            return "required: this ledger accepts only signed verdicts"
    except BadInput as error:
        return error.message
    return None


def _weight_problem(weight_bp: int, ask: Ask | None) -> str | None:
    if ask is None or ask.least <= weight_bp <= ask.most:
        return None
    return f"{weight_bp / 100:g} % is out of range ({ask.least / 100:g} % to {ask.most / 100:g} %)"


def planned_weight(plan: Plan, values: Mapping[str, str]) -> int | None:
    """The weight the change sets, with what was typed; None if it sets none or the text is invalid."""
    text = values.get("weight", "") if any(ask.id == "weight" for ask in plan.asks) else ""
    if text.strip():
        return weight_of(text) if problem(plan, "weight", text) is None else None
    return plan.step.after_bp if plan.step is not None else None


def affected(plan: Plan, values: Mapping[str, str]) -> Touched:
    """The traffic that another entry will answer, with what was typed."""
    step, weight = plan.step, planned_weight(plan, values)
    if step is None or weight is None or not step.seen:
        return plan.touches
    share = abs(weight - step.before_bp)
    hour = None if step.an_hour is None else round(step.an_hour * share / FULL)
    return msgspec.structs.replace(plan.touches, share_bp=share, an_hour=hour)


def incomplete(plan: Plan, values: Mapping[str, str]) -> str | None:
    """Id of the first field that is not valid yet; None if all are."""
    return next((ask.id for ask in plan.fields if problem(plan, ask.id, values.get(ask.id, "")) is not None), None)


def next_semver(taken: Iterable[str]) -> str:
    """The suggested semver: the next minor version after the highest one."""
    found = [SEMVER.fullmatch(name) for name in taken]
    numbers = [tuple(int(part) for part in match.groups()[:3]) for match in found if match is not None]
    if not numbers:
        return "v0.1.0"
    major, minor, _ = max(numbers)
    return f"v{major}.{minor + 1}.0"


def command_of(plan: Plan, values: Mapping[str, str]) -> str:
    """The equivalent command; it carries the plan's key, so it never makes a change twice."""
    if plan.in_git:
        return shlex.join(["spine", "incident", plan.name, "--never-regress", "--reason", values.get("reason", "")])
    if plan.verb == "report":
        return f"spine drift report --day {shlex.quote(plan.name)}"
    words = [*_WORDS[plan.verb], *([] if plan.verb in WHOLE else [short(plan.sha)])]
    for ask in plan.asks:
        text = values.get(ask.id, "")
        if ask.optional and not text.strip():
            continue
        if ask.id == "weight" and problem(plan, "weight", text) is None:
            text = str(weight_of(text))
        words += [ask.flag or f"--{ask.id}", text]
    words += ["--expect", str(plan.seq), "--key", plan.key]
    return shlex.join(["spine", *words])


_WORDS = {
    "promote": ("promote",),
    "rollback": ("rollback",),
    "route": ("route", "single"),
    "release": ("release",),
    "tombstone": ("tombstone",),
    "canary": ("route", "canary"),
    "shadow": ("route", "shadow"),
    "weight": ("route", "advance"),
    "advance": ("route", "advance"),
    "abort": ("route", "abort"),
}
WHOLE = frozenset({"weight", "advance", "abort"})
"""Verbs that apply to the current rollout; their commands name no entry."""
