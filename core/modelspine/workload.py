"""What a model service must offer so that Spine can serve, evaluate and walk its models.

A workload is a class registered under the entry-point group ``spine.workloads``; it is made without
arguments and is cheap to make: heavy libraries load inside the methods that need them. Nothing here
knows what a model computes. A *text* is what a user sends, an *output* what the model gives back.
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
"""How the name of a feature begins that describes an answer and not its text: nothing is compared by it."""
Progress = Callable[[int, int], None]
"""Called with (done, total) while something longer than a second runs."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a model, with what it cost in tokens and seconds.

    ``fields`` is what the HTTP reply shows beside the output, in the workload's own words.
    ``stages`` maps a stage name (tokenize, prefill, decode, format) to this text's share of it, seconds.
    """

    output: str
    accepted: bool
    """True where the model passed the text as already right."""
    in_scope: bool
    input_tokens: int
    output_tokens: int
    fields: dict[str, Any]
    features: dict[str, str]
    stages: dict[str, float]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for when one answer is walked back to its evidence.

    ``label`` names it for people ("go → went"); ``pattern`` is a Python regular expression a corpus row
    that could have taught the answer matches; ``expected`` is the oracle's output, where there is one;
    ``buckets`` are the evaluation buckets that speak about this text, most specific first;
    ``mark`` is a Python regular expression that a right output matches; ``against`` one that a row matches which
    could have taught that a wrong text is right, with ``against_label`` for people, where the text is wrong.
    """

    label: str
    pattern: str
    expected: str | None
    buckets: tuple[str, ...]
    mark: str
    against: str | None = None
    against_label: str = ""


class Model(Protocol):
    """A loaded, verified bundle, ready to answer. Not thread-safe: one caller at a time."""

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """Answer each text; no answer depends on its neighbours in the batch."""
        ...


class Workload(Protocol):
    """One kind of small-model service.

    It may also name what drift is looked for in, beyond categorical features: see ``drift.reference``.
    """

    name: str
    http_path: str
    """Where the server takes its texts, such as ``/v1/grammar/correct``."""
    text_field: str
    """The field of the request's JSON that holds the text."""
    max_chars: int
    """Longest text taken, in characters."""

    def load(self, bundle: Path, parent: Path | None) -> Model:
        """Load a bundle directory (with its parent's directory, for an adapter) for answering."""
        ...

    def features(self, text: str) -> dict[str, str]:
        """Name the categorical features of a text, such as its verb; empty where it is out of scope."""
        ...

    def probe(self, text: str | None, features: Mapping[str, str]) -> Probe | None:
        """Say what evidence bears on this text, or on its features alone; None where there is none."""
        ...

    def evaluate(self, bundle: Path, parent: Path | None, eval_set: Path, progress: Progress) -> dict[str, Any]:
        """Evaluate a bundle over an eval set; returns a ``spine.eval/1`` report without ``entry_sha``.

        Its fields are those of ``gate.eval_report.EvalReport``; docs/WORKLOAD.md shows one being made.
        """
        ...


def grade(workload: Workload, text: str, output: str) -> bool | None:
    """Whether an output is right, where the workload has an oracle: an optional method ``grade(text, output)``.

    None where it has none or cannot tell; one that fails grades nothing, because no answer may depend on it.
    """
    own = getattr(workload, "grade", None)
    if own is None:
        return None
    try:
        graded = own(text, output)
    except Exception:  # noqa: BLE001 -- foreign code; the answer goes out all the same
        return None
    return None if graded is None else bool(graded)


def load_workload(name: str) -> Workload:
    """The workload registered under ``name``.

    Raises:
        BadInput: no installed distribution registers one, or it does not import.

    """
    from importlib.metadata import entry_points

    found = entry_points(group="spine.workloads")
    for point in found:
        if point.name == name:
            workload: Workload = point.load()()
            return workload
    known = ", ".join(sorted(point.name for point in found)) or "none"
    raise BadInput(
        f"no workload named {name!r} is installed (installed: {known})",
        "set `workload` in spine.toml, or install the package that registers it under spine.workloads",
    )


@contextmanager
def workload_errors(name: str) -> Iterator[None]:
    """Turn whatever a workload's code raises into ``Unavailable``; it is foreign code and may raise anything."""
    try:
        yield
    except SpineError:
        raise
    except Exception as error:
        what = visible(f"{type(error).__name__}: {error}", 160)
        failed = Unavailable(f"the workload {name} failed: {what}", "check that its package fits this bundle")
        raise missing_extra(error) or failed from error
