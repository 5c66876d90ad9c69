"""Builds the WHERE conditions and parameters of a trace search.

Columns have the live store's names. This module runs no query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from miniobserve.days import day_range
from miniobserve.schema import feature_term, searchable

Conditions = list[Any]
OUTCOME = "feedback.outcome = ?"
GRADED = "CASE COALESCE(feedback.graded, traces.graded) WHEN 1 THEN 'right' WHEN 0 THEN 'wrong' ELSE '' END"
"""How an answer is graded: by what was said of it, else by the workload."""


def conditions(
    text: str | None,
    day: str | None,
    arm: str | None,
    outcome: str | None,
    sha: str | None,
    features: Mapping[str, str],
    accepted: bool | None,
    label: str | None = None,
    graded: str | None = None,
) -> tuple[Conditions, Conditions]:
    """Return the conditions of a WHERE clause and their parameters."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if text is not None:
        import hashlib  # here, because it loads OpenSSL and a look-up by id does not need it

        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        found.append(
            ("(traces.text LIKE ? ESCAPE '!' OR traces.text_sha256 = ?)", (like_pattern(searchable(text)), digest))
        )
    if day is not None:
        found.append(("traces.started_ns >= ? AND traces.started_ns < ?", day_range(day)))
    if arm is not None:
        found.append(("traces.arm = ?", (arm,)))
    if outcome is not None:
        found.append((OUTCOME, (outcome,)))
    if sha is not None:
        found.append(("traces.entry_sha = ?", (sha,)))
    found += [
        ("traces.features LIKE ? ESCAPE '!'", (like_pattern(f"|{feature_term(features, name)}|"),)) for name in features
    ]
    if accepted is not None:
        found.append(("traces.accepted = ?", (int(accepted),)))
    if label is not None:
        found.append(("feedback.label = ?", (label,)))
    if graded is not None:
        found.append((f"{GRADED} = ?", ("" if graded == "none" else graded,)))
    return [condition for condition, _ in found], [bindable(value) for _, values in found for value in values]


def bindable(value: Any) -> Any:
    """Replace characters that not every driver accepts: a command-line argument may hold lone surrogates or NUL."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if isinstance(value, str) else value


def where_clause(conditions: Conditions) -> str:
    """Join conditions into a WHERE clause; empty if there are none."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def like_pattern(text: str) -> str:
    """Return a LIKE pattern that matches text anywhere, with LIKE's special characters escaped by ``!``."""
    for special in "!%_":  # the escape character first, or it would escape itself twice
        text = text.replace(special, f"!{special}")
    return f"%{text}%"
