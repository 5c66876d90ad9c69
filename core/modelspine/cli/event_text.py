"""What the ledger holds, as the commands show it: an entry's status, its verdict, its name, and an event in a sentence.

It draws nothing; ``cli.output`` makes the texts safe to show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelspine.cli.output import Cell, Out, share, status_cell
from modelspine.gate.eval_report import Count
from modelspine.ledger.route import FULL
from modelspine.ledger.store import Event
from modelspine.registry.entries import Entry
from modelspine.registry.promotion_record import WORDS, verdict_kind
from modelspine.text import visible


def entry_status(entry: Entry) -> Cell:
    """An entry's status; being an arm of the route says more than having been promoted."""
    if entry.production:
        return status_cell("production")
    return status_cell(entry.arms[0] if entry.status == "promoted" and entry.arms else entry.status)


def entry_verdict(entry: Entry) -> Cell:
    """What an entry's promotion rests on; anything but a signature is marked as a warning."""
    if entry.verdict is None:
        return Cell("–", "muted")
    return Cell(WORDS[entry.verdict], "" if entry.verdict == "signed" else "warn")


def entry_name(sha: str, semver: str | None = None) -> str:
    """An entry as a sentence names it: ``v0.1.0 4be190c7a1b2``, or its SHA alone."""
    return visible(f"{semver} {sha[:12]}" if semver else sha[:12], 60)


def score(count: Count | None) -> str:
    """A score as ``95/100 95.0 %``; a dash where nothing was measured."""
    return share(count.k, count.n) if count else "–"


def draw_events(out: Out, events: Iterable[Event]) -> None:
    """Write events as a table, in their order."""
    rows = [(f"#{event.seq}", event.at, event.actor, event.kind, event_summary(event)) for event in events]
    out.table(("seq", "at", "actor", "kind", "what"), rows, right=("seq",), optional=("actor",))


def event_summary(event: Event) -> str:
    """An event in a few words, without its seq and time."""
    body = event.body
    text = _SUMMARIES.get(event.kind, _other)(body)
    if event.kind == "promoted":
        text += f", {WORDS[verdict_kind(event)]}"
    elif event.kind == "routed" and body.get("override"):
        text += f", {WORDS['overridden']}"
    reason = body.get("reason")
    return f"{text} — {reason}" if reason else text


def _other(body: dict[str, Any]) -> str:
    return entry_name(str(body["sha"])) if "sha" in body else ""


def _opened(body: dict[str, Any]) -> str:
    return f"as {body.get('env')}"


def _registered(body: dict[str, Any]) -> str:
    return f"{entry_name(str(body.get('sha')))} {body.get('variant', '')}".rstrip()


def _promoted(body: dict[str, Any]) -> str:
    return entry_name(str(body.get("sha")), str(body.get("semver")))


def _routed(body: dict[str, Any]) -> str:
    arms = [arm for arm in body.get("arms", ()) if isinstance(arm, dict)]
    return ", ".join(
        f"{arm.get('name')} {entry_name(str(arm.get('sha')), str(arm.get('semver')))} "
        f"{100 * int(arm.get('weight_bp', 0)) / FULL:g} %"
        for arm in arms
    )


def _denied(body: dict[str, Any]) -> str:
    attempt = f"{body.get('verb')} {body.get('semver', '')}".rstrip()
    return f"{attempt} {entry_name(str(body.get('sha', '')))}"


def _gated(body: dict[str, Any]) -> str:
    return f"{entry_name(str(body.get('sha')))} {body.get('result')}"


def _noted(body: dict[str, Any]) -> str:
    subject = f"{entry_name(str(body['sha']))}: " if body.get("sha") else ""
    return f"{subject}{body.get('text')}"


def _claimed(body: dict[str, Any]) -> str:
    return f"{visible(str(body.get('model')), 60)} is {entry_name(str(body.get('sha')))}"


def _drift_reported(body: dict[str, Any]) -> str:
    against = str(body.get("against_day") or entry_name(str(body.get("entry", ""))))
    return f"{body.get('day')} {body.get('status')}, n {body.get('n')}, against {against}"


def _unreadable(body: dict[str, Any]) -> str:
    return f"{body.get('kind', '')}: {body.get('why')}".removeprefix(": ")


_SUMMARIES = {
    "unreadable": _unreadable,
    "opened": _opened,
    "registered": _registered,
    "promoted": _promoted,
    "routed": _routed,
    "rolled_back": _routed,
    "denied": _denied,
    "gated": _gated,
    "noted": _noted,
    "claimed": _claimed,
    "drift_reported": _drift_reported,
}
"""Kind of event → how its body is summarised."""
