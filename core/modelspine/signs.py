"""The sign, the word and the colour role of each status, for the command line and the console alike.

A status reads the same wherever it is shown. This module knows no library that draws: the command line turns
a role into a colour of the terminal, the console into a colour of its theme.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Role = Literal["", "muted", "strong", "accent", "good", "warn", "bad"]
"""What a colour says. ``""`` is the ordinary text colour."""


class Sign(NamedTuple):
    """How a status is drawn: one character in one cell, and the role that colours sign and word."""

    glyph: str
    role: Role


SIGNS: dict[str, Sign] = {
    # an entry
    "production": Sign("●", "good"),
    "canary": Sign("◐", "accent"),
    "candidate": Sign("◐", "accent"),
    "shadow": Sign("◌", "accent"),
    "promoted": Sign("○", ""),
    "held": Sign("‖", "warn"),
    "pending": Sign("…", "muted"),
    "tombstoned": Sign("✖", "bad"),
    # what a check found
    "verified": Sign("✔", "good"),
    "recorded": Sign("·", "muted"),
    "not_checked": Sign("–", "warn"),
    "missing": Sign("?", "warn"),
    "mismatch": Sign("✖", "bad"),
    # a gate run, a bucket of one, a criterion of a canary
    "pass": Sign("✔", "good"),
    "fail": Sign("✖", "bad"),
    "error": Sign("‼", "warn"),
    "ok": Sign("✔", "good"),
    "warn": Sign("!", "warn"),
    "blocked": Sign("✖", "bad"),
    # a day's drift
    "stable": Sign("✔", "good"),
    "watch": Sign("!", "warn"),
    "act": Sign("✖", "bad"),
    "insufficient": Sign("·", "muted"),
    # an entry's place among the others by price and accuracy
    "frontier": Sign("●", "good"),
    "tied": Sign("◐", "warn"),
    "dominated": Sign("✖", "bad"),
    # a step of a canary's ladder
    "done": Sign("✔", "good"),
    "here": Sign("◐", "accent"),
    "ahead": Sign("○", "muted"),
    "skipped": Sign("»", "warn"),
    # a store of the project
    "unusable": Sign("✖", "bad"),
    # the bytes of a file that a request names; damaged may be a report as well
    "kept": Sign("✔", "good"),
    "not_kept": Sign("·", "muted"),
    "damaged": Sign("✖", "bad"),
    # what a learner said
    "accepted": Sign("✔", "good"),
    "dismissed": Sign("✖", "bad"),
    "revised": Sign("!", "warn"),
}
"""Status → its sign. Words that other formats fix (``act``, ``insufficient``) are keys as those formats write them."""

TERMINAL_STYLES: dict[Role, str] = {
    "": "",
    "muted": "dim",
    "strong": "bold",
    "accent": "cyan",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
}
"""Role → colour or attribute by its ANSI name. The terminal's own palette gives these a shade that can be read on
its background, dark or light, which a fixed colour could not; ``dim`` is an attribute for the same reason."""

WORDS = {"not_checked": "not checked", "not_kept": "not kept"}
"""Statuses whose word for people is not the one that formats write."""

UNKNOWN = Sign("·", "muted")


def sign_of(status: str) -> Sign:
    """The sign of a status; a neutral one for a word that is no status."""
    return SIGNS.get(status, UNKNOWN)
