"""The evaluation report ``spine.eval/1``: raw counts in buckets that the workload defines.

It does not know how a report was made or what a bucket means.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from miniobserve.cost import share_of_rent
from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput
from modelspine.text import visible

SCHEMA = "spine.eval/1"
S = TypeVar("S", bound=msgspec.Struct)


class Count(msgspec.Struct, frozen=True):
    """``k`` correct answers out of ``n``."""

    k: int
    n: int

    @property
    def ratio(self) -> float | None:
        """k/n, or None if n is 0."""
        return self.k / self.n if self.n else None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A measure that is no count of right items, such as a word-error rate or a perplexity: ``num`` / ``den``, exactly.

    The fraction may be above 1 or below 0. ``den`` is above 0, and may differ between two reports on the same items.
    """

    num: int
    den: int
    better: Literal["higher", "lower"]
    scale: Literal["rate", "value"] = "rate"
    """A rate is compared in percentage points, as a bucket is; a value has no unit and is compared in per cent of the
    other side's value."""

    @property
    def text(self) -> str:
        """The score as people read it: ``30/350`` for a rate of two sums, otherwise a decimal number."""
        # A rate that a tool gave as a decimal number has a power of ten below the line.
        is_decimal = self.scale == "value" or str(self.den).rstrip("0") == "1"
        return f"{self.num / self.den:.6g}" if is_decimal else f"{self.num:,}/{self.den:,}"


class EvalSet(msgspec.Struct, frozen=True, kw_only=True):
    """The frozen set of items that was evaluated."""

    path: str
    dvc_hash: str
    sha256: str
    n: int


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """One item that was answered wrongly, and the buckets it belongs to."""

    id: str
    buckets: tuple[str, ...]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """How the bundle was loaded that a report is about; ``release.evaluate`` records what its process found."""

    sha: str
    """The canonical SHA of the bundle."""
    stored: bool
    """Whether the copy that was stored when it was hashed was loaded, and no other."""
    key: bool
    """Whether the process that loaded it held a secret, such as the signing key."""


class CostPerQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What right answers of an entry cost, measured where quality is: on the eval set, at the gate.

    USD per million right answers: the price of an evaluation ÷ right answers × 1,000,000. It is priced as a request is:
    the busy seconds of the processes that answered, added up, × the machine's rate an hour ÷ (3,600 × workers). That is
    the price of compute under a full load, without idle time, network or queue.
    """

    usd: float
    """The mean over the runs."""
    low: float
    high: float
    """The cheapest and the dearest run: the noise of the measurement."""
    runs: int
    rate_per_hour: float
    """USD for an hour of the machine that evaluated."""
    workers: int = 1
    """Among how many workers that rent was divided."""


class EvalReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report. The workload's ``views`` can be read as attributes too."""

    schema: str
    eval_set: EvalSet
    decoding: Any
    total: Count | None = None
    """Right items of all; None where there are scores alone, and then there are no buckets either."""
    buckets: dict[str, Count] = {}
    false_accept: Count | None = None
    scores: dict[str, Score] = {}
    """Measures that are no counts of right items. A candidate must have exactly those of the baseline."""
    entry_sha: str | None = None
    failed: tuple[Failed, ...] = ()
    answers_sha256: str | None = None
    code: dict[str, Any] = {}
    views: dict[str, Any] = {}
    runtime: dict[str, Any] = {}
    loaded: Loaded | None = None

    _reserved: ClassVar[str] = "_"

    def __getattr__(self, name: str) -> Any:
        """A view that the workload added to the report, such as ``conjugation_accuracy_by_verb``."""
        # Dunder look-ups by copy and pickle must fail normally, even if a report names a view like that.
        if not name.startswith(self._reserved) and name in self.views:
            return self.views[name]
        raise AttributeError(f"this report has no {name!r}; its views are {', '.join(sorted(self.views)) or 'none'}")

    @property
    def cost_per_quality(self) -> CostPerQuality | None:
        """What right answers cost in USD; None if it was not measured, the rate is unknown or no answer was right."""
        if self.runtime.get("currency", "USD") != "USD":
            return None
        seconds, rate = self.runtime.get("busy_seconds"), self.runtime.get("rate_per_hour")
        right = self.total.k if self.total is not None else 0
        if not isinstance(seconds, list) or not seconds or not isinstance(rate, int | float) or right <= 0:
            return None
        if not all(isinstance(each, int | float) and 0 <= each < float("inf") for each in (*seconds, rate)):
            return None
        # Reports of earlier versions have no workers: their seconds are those of the whole machine.
        workers = self.runtime.get("workers", 1)
        if not isinstance(workers, int) or workers < 1:
            return None
        each_run = [1e6 * share_of_rent(run, rate, workers) / right for run in seconds]
        return CostPerQuality(
            usd=sum(each_run) / len(each_run),
            low=min(each_run),
            high=max(each_run),
            runs=len(seconds),
            rate_per_hour=rate,
            workers=workers,
        )

    def was_loaded(self, sha: str) -> bool:
        """Whether the report records that the stored copy of this entry was loaded by a process without a key."""
        return self.loaded == Loaded(sha=sha, stored=True, key=False)

    @property
    def accuracy(self) -> float | None:
        """Share of all items that were answered correctly; None if there are none."""
        return self.total.ratio if self.total is not None else None


def read_report(raw: bytes, *, what: str = "the report") -> EvalReport:
    """Decode a report strictly; ``what`` names it in messages.

    Raises:
        BadInput: it is not strict JSON, lacks a field, or has a field of the wrong type or another schema.
    """
    return convert_report(parse_json(raw, what=what), what=what)


def convert_report(data: Any, *, what: str = "the report") -> EvalReport:
    """A report from JSON that is parsed already.

    Raises:
        BadInput: see ``read_report``.
    """
    foreign = is_foreign(data)
    report = convert_schema(data, EvalReport, SCHEMA, what=what, hint=IMPORT_HINT if foreign else _HINT)
    if report.total is not None and isinstance(data, dict) and "buckets" not in data:
        raise BadInput(f"{what} counts right items and has no `buckets`", _HINT)
    return report


def is_foreign(data: Any) -> bool:
    """Whether parsed JSON does not even claim to be a file of Spine, such as the result of another tool."""
    named = data.get("schema") if isinstance(data, dict) else None
    return not (isinstance(named, str) and named.startswith("spine."))


def convert_schema(data: Any, kind: type[S], schema: str, *, what: str, hint: str) -> S:
    """Parsed JSON as a struct that carries its schema's name.

    Raises:
        BadInput: the schema is another one, a field is missing, or a field has the wrong type.
    """
    # The schema is checked first: for a file of another kind, its missing fields would be a confusing message.
    if isinstance(data, dict) and data.get("schema") != schema:
        raise BadInput(f"{what}'s schema is {visible(repr(data.get('schema')), 60)}, not {schema!r}", hint)
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadInput(f"{what} is not a {schema}: {visible(str(error), 160)}", hint) from error


_HINT = "evaluate the entry again to make a new report"
IMPORT_HINT = "make a report of another tool's result: `spine eval import FILE`"
