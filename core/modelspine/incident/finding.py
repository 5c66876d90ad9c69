"""The eight questions of an incident walk, and the value that holds the answer to one of them.

It does not know how an answer is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import SpineError
from modelspine.lineage.status import Status
from modelspine.text import visible

if TYPE_CHECKING:
    from miniobserve.traces import Trace

QUESTIONS = (
    "Which checkpoint answered?",
    "What did the inputs look like that day?",
    "Which corpus was it trained on?",
    "Did that corpus contain examples of this case?",
    "How did it score on such cases before deployment?",
    "Which arm answered, and why?",
    "Did it pass the gate, and in which run?",
    "Fix: which model answers this correctly?",
)
UNREGISTERED = "the entry is not in the registry"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one of the eight questions, with its evidence and the command that checks it."""

    n: int
    question: str
    answer: str
    status: Status
    evidence: dict[str, Any]
    command: str


def feedback_text(trace: Trace) -> str:
    """What was said of an answer later: the outcome and the right answer, as far as somebody said them."""
    said = [f"feedback: {trace.feedback}"] if trace.feedback else []
    if trace.label is not None:
        said.append(f"labelled “{visible(trace.label, 60)}”")
    return " · ".join(said) or "no feedback"


def reason(error: SpineError) -> dict[str, Any]:
    """The evidence of an answer that an error prevented: its reason and the way out."""
    return {"why": error.message, "hint": error.hint}


def finding(number: int, answer: str, status: Status, evidence: dict[str, Any], command: str) -> Finding:
    """Build the answer to question ``number``, counted from 1."""
    return Finding(
        n=number, question=QUESTIONS[number - 1], answer=answer, status=status, evidence=evidence, command=command
    )
