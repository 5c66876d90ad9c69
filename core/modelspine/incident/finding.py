"""One of the eight answers of a walk, as a value.

It does not know how an answer is found.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelspine.lineage.status import Status

QUESTIONS = (
    "Which checkpoint answered?",
    "What did that day's inputs look like?",
    "Which corpus was it trained on?",
    "Did that corpus hold what would have taught it?",
    "What did it score on this before it was deployed?",
    "Which arm answered, and why that one?",
    "Did it pass the gate, in which run?",
    "What do we go back to, and does that one know better?",
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One of the eight answers."""

    n: int
    question: str
    answer: str
    status: Status
    evidence: dict[str, Any]
    command: str


def finding(number: int, answer: str, status: Status, evidence: dict[str, Any], command: str) -> Finding:
    """The answer to a question, by its number."""
    return Finding(
        n=number, question=QUESTIONS[number - 1], answer=answer, status=status, evidence=evidence, command=command
    )
