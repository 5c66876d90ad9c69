"""A change that is about to be confirmed, as a frozen value: what it does, to whom, and what has to be typed first.

Pure. It reads no store and changes nothing; what the rules allow, core has decided before.
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
"""Id of the field in which the object's own name is typed."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has to be typed, with what is suggested."""

    id: str
    label: str
    text: str = ""
    hint: str = ""
    flag: str | None = None
    """The option of the command that takes it; None means `--ID`."""
    least: int = 0
    most: int = FULL
    """Of a weight: what it may be, basis points."""
    optional: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A change of weight."""

    before_bp: int
    after_bp: int | None
    """Where nothing is typed; None where something has to be."""
    seen: bool = True
    """Whether learners see what the arm answers."""
    guard: Guard | None = None
    """What bounds the harm; None where nothing does."""
    then: tuple[str, str] = ("", "")
    """How it goes on where no weight is typed, and where one is."""
    an_hour: int | None = None
    """Requests of the last hour, to all arms; None where nobody knows."""
    per_second: float | None = None


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """Whose requests another entry will answer; nobody's where no arm is named and the share is 0."""

    arms: tuple[str, ...] = ()
    share_bp: int = 0
    an_hour: int | None = None
    """Requests of the last hour; None where nobody knows."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done, decided on the ledger as it was after event ``seq``."""

    verb: str
    sha: str
    name: str
    """What the object is called."""
    env: str
    seq: int
    key: str
    """The idempotency key; for a file, the SHA-256 of the bytes it was decided on."""
    names: tuple[str, ...] = ()
    """Any of these must be typed; none means that nothing is."""
    before: str = ""
    after: str = ""
    gated: Event | None = None
    signed: bool = False
    """True where only a signed verdict counts."""
    touches: Touched = Touched()
    asks: tuple[Ask, ...] = ()
    taken: dict[str, str] = {}
    """Semver → SHA of the entry that has it."""
    step: Step | None = None
    """Where a weight is changed."""
    item: Any = None
    """The never-regress item or the drift report, where that is what is added."""

    @property
    def in_file(self) -> bool:
        """True where a file is changed and no ledger."""
        return self.verb == "never_regress"

    @property
    def fields(self) -> tuple[Ask, ...]:
        """Everything that is typed, the object's own name last."""
        if not self.names:
            return self.asks
        return (*self.asks, Ask(id=NAME, label="type its name", hint=" or ".join(self.names)))


def problem(plan: Plan, field: str, text: str) -> str | None:
    """What is wrong with what was typed into a field; None where nothing is."""
    try:
        if field == NAME:
            return None if text in plan.names else f"type {' or '.join(plan.names)}"
        if field == "semver":
            check_semver(text)
            owner = plan.taken.get(text)
            return None if owner in (None, plan.sha) else f"{text} is {short(str(owner))} already"
        ask = next((ask for ask in plan.asks if ask.id == field), None)
        if ask is not None and ask.optional and not text.strip():
            return None
        if field == "weight":
            return _no_weight(weight_of(text), ask)
        if field == "reason":
            check_reason(text)
        elif not text.strip():
            return "needed: this ledger takes signed verdicts only"
    except BadInput as error:
        return error.message
    return None


def _no_weight(weight_bp: int, ask: Ask | None) -> str | None:
    if ask is None or ask.least <= weight_bp <= ask.most:
        return None
    return f"{weight_bp / 100:g} % is too {'little' if weight_bp < ask.least else 'much'} here"


def weighed(plan: Plan, values: Mapping[str, str]) -> int | None:
    """The weight a change of weight goes to, with what was typed; None where that is none."""
    text = values.get("weight", "") if any(ask.id == "weight" for ask in plan.asks) else ""
    if text.strip():
        return weight_of(text) if problem(plan, "weight", text) is None else None
    return plan.step.after_bp if plan.step is not None else None


def reached(plan: Plan, values: Mapping[str, str]) -> Touched:
    """Whose requests another entry will answer, with what was typed."""
    step, weight = plan.step, weighed(plan, values)
    if step is None or weight is None or not step.seen:
        return plan.touches
    share = abs(weight - step.before_bp)
    hour = None if step.an_hour is None else round(step.an_hour * share / FULL)
    return msgspec.structs.replace(plan.touches, share_bp=share, an_hour=hour)


def unready(plan: Plan, values: Mapping[str, str]) -> str | None:
    """The first field that is not right yet; None where all are."""
    return next((ask.id for ask in plan.fields if problem(plan, ask.id, values.get(ask.id, "")) is not None), None)


def next_semver(taken: Iterable[str]) -> str:
    """The semver one would choose next: a minor version above the highest there is."""
    found = [SEMVER.fullmatch(name) for name in taken]
    numbers = [tuple(int(part) for part in match.groups()[:3]) for match in found if match is not None]
    if not numbers:
        return "v0.1.0"
    major, minor, _ = max(numbers)
    return f"v{major}.{minor + 1}.0"


def command_of(plan: Plan, values: Mapping[str, str]) -> str:
    """The headless command that does the same; with its key it also tells what became of it."""
    if plan.in_file:
        return f"spine incident {shlex.quote(plan.name)} --never-regress"
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
"""Verbs about the rollout under way; no entry is named with them."""
