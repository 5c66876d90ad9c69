"""The words and signs for what the ledger says: the status of an entry, of a hop, and an event in a sentence.

It writes nothing; what it returns is safe to show.
"""

from __future__ import annotations

from typing import Any

from modelspine.cli.output import Cell, Colour
from modelspine.ledger.route import FULL
from modelspine.ledger.store import Event
from modelspine.registry.entries import Entry
from modelspine.registry.promotion_record import WORDS, verdict_kind
from modelspine.text import visible

_ENTRY: dict[str, tuple[str, Colour]] = {
    "production": ("●", "good"),
    "promoted": ("○", ""),
    "pending": ("·", "dim"),
    "held": ("✖", "bad"),
    "tombstoned": ("✖", "dim"),
}
_HOP: dict[str, tuple[str, Colour]] = {
    "verified": ("✔", "good"),
    "recorded": ("•", ""),
    "missing": ("✖", "warn"),
    "mismatch": ("‼", "bad"),
}


def entry_status(entry: Entry) -> Cell:
    """An entry's status as sign and word; an arm it is of counts more than that it was promoted."""
    if entry.production:
        word = "production"
    elif entry.status == "promoted" and entry.arms:
        return Cell(f"◐ {visible(entry.arms[0], 20)}", "warn")
    else:
        word = entry.status
    sign, colour = _ENTRY[word]
    return Cell(f"{sign} {word}", colour)


def entry_verdict(entry: Entry) -> Cell:
    """What an entry's promotion stands on; all but a signature stands out."""
    if entry.verdict is None:
        return Cell("–", "dim")
    return Cell(WORDS[entry.verdict], "" if entry.verdict == "signed" else "warn")


def hop_status(status: str) -> Cell:
    """How sure a hop or an answer is, as sign and word."""
    sign, colour = _HOP[status]
    return Cell(f"{sign} {status}", colour)


def name_of(sha: str, semver: str | None = None) -> str:
    """An entry as it is named in a sentence: ``v0.1.0 4be190c7a1b2``, or its SHA alone."""
    return visible(f"{semver} {sha[:12]}" if semver else sha[:12], 60)


def told(event: Event) -> str:
    """An event in a few words, without its seq and time."""
    body = event.body
    text = _TELL.get(event.kind, _plain)(body)
    if event.kind == "promoted":
        text += f", {WORDS[verdict_kind(event)]}"
    reason = body.get("reason")
    return f"{text} — {visible(str(reason), 160)}" if reason else text


def _plain(body: dict[str, Any]) -> str:
    return name_of(str(body["sha"])) if "sha" in body else ""


def _opened(body: dict[str, Any]) -> str:
    return f"as {visible(str(body.get('env')), 20)}"


def _registered(body: dict[str, Any]) -> str:
    return f"{name_of(str(body.get('sha')))} {visible(str(body.get('variant', '')), 40)}".rstrip()


def _promoted(body: dict[str, Any]) -> str:
    return name_of(str(body.get("sha")), str(body.get("semver")))


def _routed(body: dict[str, Any]) -> str:
    arms = [arm for arm in body.get("arms", ()) if isinstance(arm, dict)]
    shares = [
        f"{visible(str(a.get('name')), 20)} {name_of(str(a.get('sha')), str(a.get('semver')))} "
        f"{100 * int(a.get('weight_bp', 0)) / FULL:g} %"
        for a in arms
    ]
    return ", ".join(shares)


def _denied(body: dict[str, Any]) -> str:
    asked = f"{body.get('verb')} {body.get('semver', '')}".rstrip()
    return f"{visible(asked, 60)} {name_of(str(body.get('sha', '')))}"


def _gated(body: dict[str, Any]) -> str:
    return f"{name_of(str(body.get('sha')))} {visible(str(body.get('result')), 20)}"


def _noted(body: dict[str, Any]) -> str:
    about = f"{name_of(str(body['sha']))}: " if body.get("sha") else ""
    return f"{about}{visible(str(body.get('text')), 300)}"


def _drift(body: dict[str, Any]) -> str:
    day, status = visible(str(body.get("day")), 20), visible(str(body.get("status")), 20)
    return f"{day} {status}, n {visible(str(body.get('n')), 12)}, against {name_of(str(body.get('entry', '')))}"


_TELL = {
    "opened": _opened,
    "registered": _registered,
    "promoted": _promoted,
    "routed": _routed,
    "rolled_back": _routed,
    "denied": _denied,
    "gated": _gated,
    "noted": _noted,
    "drift_reported": _drift,
}
