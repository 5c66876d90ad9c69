"""The interface a model service implements so that Spine can serve, evaluate and investigate its models.

A service whose answers come from elsewhere needs no class: a table describes it (``described.table``). A workload that
answers is a class registered under the entry-point group ``spine.workloads``. It is constructed without
arguments, and construction is cheap: heavy libraries are imported inside the methods that need them. This module
does not know what a model computes. A *text* is what a user sends; an *output* is what the model returns. An input that
is no text, such as an object or a list of numbers, is its canonical JSON (``described.records.as_text``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput, CannotAnswer, SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.text import visible

OF_ANSWER: Final = "answer_"
"""Name prefix of features that describe an answer instead of its text; they are excluded from comparison."""
Progress = Callable[[int, int], None]
"""Called with (done, total) during operations that take longer than a second."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a model, with its cost in tokens and seconds.

    ``fields`` holds the workload's own additions to the HTTP reply; the numbers among them, such as a score or class
    probabilities, stay on the trace (``described.records.numbers_of``) and are measured for drift, as is a vector in
    the field ``embedding``.
    ``stages`` maps a stage name (tokenize, prefill, decode, format) to this text's share of its time, in seconds.
    """

    output: str
    accepted: bool
    """True if the model accepted the text as already correct."""
    in_scope: bool
    input_tokens: int
    output_tokens: int
    fields: dict[str, Any]
    features: dict[str, str]
    stages: dict[str, float]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for when one answer is traced back to its evidence.

    ``label`` names the probed phenomenon for people ("go → went"). ``pattern`` is a Python regular expression that
    matches corpus rows which could have taught the answer. ``expected`` is the oracle's output, or None. ``buckets``
    are the evaluation buckets that cover this text, most specific first. ``mark`` is a Python regular expression
    that matches a correct output. If the text is wrong, ``against`` matches corpus rows that could have taught that
    it is correct, and ``against_label`` names those for people.
    """

    label: str
    pattern: str
    expected: str | None
    buckets: tuple[str, ...]
    mark: str
    against: str | None = None
    against_label: str = ""
    same: str = ""
    """Matches corpus rows with the same input, where ``pattern`` asks for more rows than those; else empty."""
    same_label: str = ""
    amounts: dict[str, float] = {}
    """Numbers that decide in which range of an evaluation the case is, by the part of a bucket's name before ``/``."""
    words: str = ""
    """Matches corpus rows with the longest words of the text, for a text that no row has; else empty."""
    columns: dict[str, tuple[str, ...]] = {}
    """The columns that a row needs so that a pattern can match it, by the pattern; a corpus may lack one of them."""


class Model(Protocol):
    """A verified bundle loaded for answering. Not thread-safe: callers must serialise access."""

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """One answer per text, in order; no answer depends on the other texts of the batch."""
        ...


class Workload(Protocol):
    """One kind of small-model service.

    A workload may also declare the features that drift is measured on: see ``drift.reference``. One with a method
    ``embed(text)``, which returns the text's vector as a list of numbers, is asked for those of a corpus and of a day
    when a drift report is made. One with
    ``takes_json = True`` is also sent objects, lists and numbers, each as the text of its canonical JSON.
    """

    name: str
    http_path: str
    """Path of the endpoint that receives texts, such as ``/v1/grammar/correct``."""
    text_field: str
    """The field of the request's JSON that holds the text."""
    max_chars: int
    """Longest accepted text, in characters."""

    # Optional: ``words``, a dict of what units, inputs and outputs are called in texts for people (``words.Words``).

    def load(self, bundle: Path, parent: Path | None) -> Model:
        """Load a bundle directory; an adapter also needs the directory of its parent."""
        ...

    def features(self, text: str) -> dict[str, str]:
        """The categorical features of a text, such as its verb; empty if the text is out of scope."""
        ...

    def probe(self, text: str | None, features: Mapping[str, str]) -> Probe | None:
        """What evidence to search for this text, or for its features if the text was not kept; None if unknown."""
        ...

    def evaluate(self, bundle: Path, parent: Path | None, eval_set: Path, progress: Progress) -> dict[str, Any]:
        """Evaluate a bundle on an eval set; returns a ``spine.eval/1`` report without ``entry_sha``.

        The fields are those of ``gate.eval_report.EvalReport``; docs/WORKLOAD.md has an example.
        """
        ...


def grade(workload: Workload, text: str, output: str) -> bool | None:
    """Whether an output is correct, according to the workload's oracle: an optional method ``grade(text, output)``.

    None if the workload has no oracle, or the oracle cannot decide or raises.
    """
    oracle = getattr(workload, "grade", None)
    if oracle is None:
        return None
    try:
        graded = oracle(text, output)
    except Exception:  # noqa: BLE001 -- foreign code: a failing oracle must not fail the request
        return None
    return None if graded is None else bool(graded)


def right_by(workload: Workload, output: str, label: str) -> bool | None:
    """Whether an output is right, given the right answer: by an optional method ``right(output, label)``, else exactly.

    None if the method cannot decide or raises.
    """
    rule = getattr(workload, "right", None)
    if rule is None:
        return output == label
    try:
        right = rule(output, label)
    except Exception:  # noqa: BLE001 -- foreign code: what else is known must not be lost with it
        return None
    return None if right is None else bool(right)


def takes_json(workload: Workload) -> bool:
    """Whether an input may be any JSON and not only text."""
    return bool(getattr(workload, "takes_json", False))


def can_answer(workload: Workload) -> bool:
    """Whether its models can be loaded and asked here; not those of a workload that a table describes."""
    return bool(getattr(workload, "can_answer", True))


def cannot_answer() -> CannotAnswer:
    """The error of whatever would have to ask a model of a described workload."""
    return CannotAnswer(
        "spine.toml describes this workload by a table, so its answers come from a server that Spine cannot ask",
        "`spine eval import FILE` makes a report of answers that were given elsewhere; `spine workload new NAME` makes "
        "a class that answers here",
    )


def plugin_of(workload: str | WorkloadTable) -> str:
    """The name of the class that loads models.

    Raises:
        CannotAnswer: the project describes its workload by a table.
    """
    if isinstance(workload, str):
        return workload
    raise cannot_answer()


def load_workload(name: str) -> Workload:
    """The workload registered under ``name``; for an empty name the only one that is installed.

    Raises:
        BadInput: no installed distribution registers a workload of that name, or there is not exactly one to choose.
    """
    from importlib.metadata import entry_points  # imported here, because few commands need it and it is slow

    found = entry_points(group="spine.workloads")
    names = {point.name for point in found}
    for point in found:
        if name in (point.name, "") and (name or len(names) == 1):
            workload: Workload = point.load()()
            return workload
    known = ", ".join(sorted(names)) or "none"
    if not name:
        raise BadInput(
            f"no workload is set, so it is not known which one answers (installed: {known})",
            "name one: `workload` in spine.toml; or describe your service there by a table [workload]",
        )
    raise BadInput(
        f"no workload named {name!r} is installed (installed: {known})",
        "set `workload` in spine.toml, or install the package that registers it under spine.workloads",
    )


@contextmanager
def workload_errors(name: str) -> Iterator[None]:
    """Turn any exception of a workload's code into ``Unavailable``, except Spine's own errors."""
    try:
        yield
    except SpineError:
        raise
    except Exception as error:
        what = visible(f"{type(error).__name__}: {error}", 160)
        failed = Unavailable(f"the workload {name} failed: {what}", "check that its package fits this bundle")
        raise missing_extra(error) or failed from error
