"""The interface a model service implements so that Spine can serve, evaluate and investigate its models.

A workload is a class registered under the entry-point group ``spine.workloads``. It is constructed without
arguments, and construction is cheap: heavy libraries are imported inside the methods that need them. This module
does not know what a model computes. A *text* is what a user sends; an *output* is what the model returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from modelspine.errors import BadInput, SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.text import visible

OF_ANSWER: Final = "answer_"
"""Name prefix of features that describe an answer instead of its text; they are excluded from comparison."""
Progress = Callable[[int, int], None]
"""Called with (done, total) during operations that take longer than a second."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a model, with its cost in tokens and seconds.

    ``fields`` holds the workload's own additions to the HTTP reply.
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


class Model(Protocol):
    """A verified bundle loaded for answering. Not thread-safe: callers must serialise access."""

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """One answer per text, in order; no answer depends on the other texts of the batch."""
        ...


class Workload(Protocol):
    """One kind of small-model service.

    A workload may also declare the features that drift is measured on: see ``drift.reference``.
    """

    name: str
    http_path: str
    """Path of the endpoint that receives texts, such as ``/v1/grammar/correct``."""
    text_field: str
    """The field of the request's JSON that holds the text."""
    max_chars: int
    """Longest accepted text, in characters."""

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
            "name one: `workload` in spine.toml; or install the package that registers yours under spine.workloads",
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
