"""What is said of an answer after it was given: an outcome, the right label, a score, a text; or that it is taken back.

These are values alone. How they are stored is in ``labels``, how figures take them in ``labelled``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

import msgspec

from miniobserve.traces import Trace

Outcome = Literal["accepted", "dismissed", "revised"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "dismissed", "revised")
Source = Literal["http", "import"]
Status = Literal["stored", "corrected", "unchanged", "unknown", "several"]
STATUSES: tuple[Status, ...] = get_args(Status)
MOST_TEXT = 10_000
"""Characters of a label or a text."""
MOST_NAMED = 10
"""Requests that an error about a trace id names."""


class Saying(msgspec.Struct, frozen=True, kw_only=True):
    """One thing said about one answer. What is None says nothing and leaves what was said before as it is.

    ``name`` is a request id, else the W3C trace id of exactly one request; with ``is_trace`` only the latter.
    """

    name: str
    is_trace: bool = False
    outcome: str | None = None
    label: str | None = None
    """The right answer, as text: a number or an object is its canonical JSON."""
    score: float | None = None
    text: str | None = None
    taken_back: bool = False
    """Everything that was said before does not count any more. What is said beside it counts from then on."""

    def then(self, later: Saying) -> Saying:
        """Return what this saying and a later one about the same answer say together."""
        if later.taken_back:
            return later
        said = {
            name: old for name in _PARTS if getattr(later, name) is None and (old := getattr(self, name)) is not None
        }
        return msgspec.structs.replace(later, taken_back=self.taken_back, **said)


_PARTS = ("outcome", "label", "score", "text")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a saying."""

    status: Status
    request_id: str = ""
    graded: bool | None = None
    """How the answer is graded now by what was said; None where that does not grade it."""
    requests: tuple[str, ...] = ()
    """With the status ``several``: the first requests of the trace."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a label is compared with: the answer that was given, as far as it was kept."""

    input: str | None
    output: str | None
    status: int
    features: Mapping[str, str]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, trace: Trace) -> Answered:
        """Return that of a trace."""
        return cls(
            input=trace.input, output=trace.output, status=trace.status, features=trace.features, values=trace.values
        )


class Keeper(Protocol):
    """Decides how an answer is graded by what is said of it, and what of that is kept."""

    def grade(self, answered: Answered, label: str | None, score: float | None) -> bool | None:
        """Whether an answer is right by its label, else by its score; None where neither says so."""
        ...

    def kept_label(self, label: str) -> str:
        """The label as it may be stored."""
        ...

    def given_label(self, kept: str | None) -> str | None:
        """The label that was given, of one that was stored; None if there is none, or only its hash was kept."""
        ...

    def kept_text(self, text: str) -> str | None:
        """The text as it may be stored; None if it may not."""
        ...


class KeepAll:
    """Keeps everything, and compares a label with the answer exactly; a score grades nothing."""

    def grade(self, answered: Answered, label: str | None, score: float | None) -> bool | None:  # noqa: ARG002
        """Whether the answer is the label."""
        if label is None or answered.output is None or answered.status >= 500:
            return None
        return answered.output == label

    def kept_label(self, label: str) -> str:
        """The label itself."""
        return label

    def given_label(self, kept: str | None) -> str | None:
        """The label itself."""
        return kept

    def kept_text(self, text: str) -> str | None:
        """The text itself."""
        return text


def wrong_with(saying: Saying) -> str:
    """Say what is wrong with a saying; empty if nothing is."""
    said = (saying.outcome, saying.label, saying.score, saying.text)
    if saying.taken_back:
        return "taken_back stands alone, without outcome, label, score and text" if said != (None,) * 4 else ""
    if said == (None,) * 4:
        return "nothing is said: give outcome, label, score or text, or taken_back"
    if saying.outcome is not None and saying.outcome not in OUTCOMES:
        return f"outcome must be one of {', '.join(OUTCOMES)}"
    if saying.score is not None and not math.isfinite(saying.score):
        return "score must be a finite number"
    for name, text in (("label", saying.label), ("text", saying.text)):
        if text is not None and not 1 <= len(text) <= MOST_TEXT:
            return f"{name} must have 1 to {MOST_TEXT:,} characters"
        if text is not None and ("\0" in text or not _is_unicode(text)):
            return f"{name} has a character that cannot be stored"
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON's escapes can spell
        return False
    return True
