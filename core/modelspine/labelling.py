"""How an answer is graded by what is said of it later, and what of that is kept.

A label, the right answer, is compared with the answer by the workload's own rule, else exactly. A score grades where
the project says from which score on an answer is right. An outcome (accepted, dismissed, revised) grades nothing: it is
somebody's opinion, and figures count it apart. This module does not know where labels come from or are stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

from miniobserve.labelled import Version
from miniobserve.saying import Answered
from miniobserve.traces import Trace
from modelspine.described.records import ANSWER_LABEL
from modelspine.text import visible
from modelspine.workload import Workload, right_by

_HASHED = "sha256:"


class Labelling:
    """The rule of one project: its workload, its setting `right_score` and its setting `text_policy`."""

    def __init__(
        self,
        workload: Callable[[], Workload],
        *,
        right_score: float | None = None,
        text_policy: Literal["full", "hash", "none"] = "full",
    ) -> None:
        """``workload`` loads it, which is done when the first label is compared."""
        self._load = workload
        self._loaded: Workload | None = None
        self._right_score = right_score
        self._policy = text_policy

    def grade(self, answered: Answered, label: str | None, score: float | None) -> bool | None:
        """Whether an answer is right by its label, else by its score; None where neither can tell.

        A request that failed has no answer, so nothing grades it.
        """
        if answered.status >= 500:
            return None
        right = None if label is None else self._compared(answered, label)
        if right is None and score is not None and self._right_score is not None:
            return score >= self._right_score
        return right

    def kept_label(self, label: str) -> str:
        """The label itself where texts are kept or the labels are categories or numbers; else its hash, or nothing."""
        if self._keeps_labels:
            return label
        return f"{_HASHED}{hashlib.sha256(label.encode()).hexdigest()}" if self._policy == "hash" else ""

    def given_label(self, kept: str | None) -> str | None:
        """The label that was given; None where only its hash was kept."""
        return kept if self._keeps_labels else None

    def kept_text(self, text: str) -> str | None:
        """The text itself where texts are kept."""
        return text if self._policy == "full" else None

    @property
    def _workload(self) -> Workload:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    @property
    def _keeps_labels(self) -> bool:
        table = None if self._policy == "full" else getattr(self._workload, "table", None)
        return self._policy == "full" or (table is not None and table.kind != "generator")

    def _compared(self, answered: Answered, label: str) -> bool | None:
        output = answered.output
        if output is None:  # the text was not kept; the answer of a classifier or regressor is a feature too
            value = answered.features.get(ANSWER_LABEL, answered.values.get(ANSWER_LABEL))
            if value is None:
                return None
            output = str(value)
        return right_by(self._workload, output, label)


def said_pairs(trace: Trace) -> list[tuple[str, str]]:
    """What was said of an answer later, as name and text."""
    label = None if trace.label is None else trace.label or "not kept"
    score = None if trace.score is None else f"{trace.score:.12g}"
    return [(name, text) for name, text in (("label", label), ("score", score), ("text", trace.said_text)) if text]


def version_text(version: Version) -> str:
    """What was said at one time, how it came, and how the answer counts from then on, in one line."""
    said = [
        f"{name} {visible(text, 200)}"
        for name, text in (
            ("outcome", version.outcome),
            ("label", "not kept" if version.label == "" else version.label),
            ("score", None if version.score is None else f"{version.score:.12g}"),
            ("text", version.text),
        )
        if text
    ]
    what = "taken back" if version.taken_back else ", ".join(said)
    grade = {True: "; graded right", False: "; graded wrong", None: ""}[version.graded]
    return f"{what}{grade} ({version.said_by})"
