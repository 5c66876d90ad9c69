"""What is asked of traces, as conditions of a WHERE clause with their parameters.

Columns are named as the live store names them. It asks nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from miniobserve.daily import day_range
from miniobserve.schema import feature_term, searchable

Conditions = list[Any]


def conditions(
    text: str | None,
    day: str | None,
    arm: str | None,
    outcome: str | None,
    sha: str | None,
    features: Mapping[str, str],
    is_correct: bool | None,
) -> tuple[Conditions, Conditions]:
    """The conditions of a WHERE clause, and the parameters they take."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if text is not None:
        import hashlib  # loads OpenSSL, which a look-up by id does without

        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        found.append(("(traces.text LIKE ? ESCAPE '!' OR traces.text_sha256 = ?)", (_part(searchable(text)), digest)))
    if day is not None:
        found.append(("traces.started_ns >= ? AND traces.started_ns < ?", day_range(day)))
    if arm is not None:
        found.append(("traces.arm = ?", (arm,)))
    if outcome is not None:
        found.append(("feedback.outcome = ?", (outcome,)))
    if sha is not None:
        found.append(("traces.entry_sha = ?", (sha,)))
    found += [("traces.features LIKE ? ESCAPE '!'", (_part(f"|{feature_term(features, name)}|"),)) for name in features]
    if is_correct is not None:
        found.append(("traces.accepted = ?", (int(is_correct),)))
    return [condition for condition, _ in found], [bindable(value) for _, values in found for value in values]


def bindable(value: Any) -> Any:
    """A parameter every driver takes: an argument of a command may hold halves of surrogate pairs, or a NUL."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if isinstance(value, str) else value


def where_clause(conditions: Conditions) -> str:
    """``WHERE`` all of them; nothing for none."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _part(text: str) -> str:
    """A LIKE pattern for text that stands anywhere, whatever signs it holds."""
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return f"%{text}%"
