"""The drift report of one day: live counts compared with a reference, what was graded, and what failed.

The day's status is the worst of its features', of a coverage below the reference's, and of its failed requests. Figures
are rounded, so that the same day and reference give the same bytes on every machine. It does not know where counts
come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from modelspine.described.records import EMBEDDING
from modelspine.drift.accuracy import (
    DIGITS,
    Buckets,
    Covered,
    Expected,
    by_bucket,
    expected_accuracy,
    judge_coverage,
)
from modelspine.drift.bins import Bins, Tally
from modelspine.drift.embedding import EmbeddingReference
from modelspine.drift.failures import FailedRequests, judge_failed
from modelspine.drift.features import Feature, judge_features
from modelspine.drift.grades import Graded, GradedAnswers, judge_graded
from modelspine.drift.status import LEVELS, Status
from modelspine.drift.vectors import Sample, count_vectors
from modelspine.gate.eval_report import EvalReport

SCHEMA = "spine.drift/1"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The binned counts of what a day is compared with: the corpora of a model, or the requests of another day."""

    corpora: tuple[str, ...] = ()
    day: str | None = None
    n: int
    """Rows or requests."""
    features: dict[str, Bins]
    mixes: list[tuple[Buckets, int]] = []
    """Sets of evaluation buckets, and how many rows or requests are in exactly these."""
    embedding: EmbeddingReference | None = None
    """What vectors are compared with; None where there are none."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What a day is compared with."""

    corpus_dvc_hash: str | None
    corpora: tuple[str, ...]
    n: int
    day: str | None = None
    """The day whose requests are the reference; None where the reference is corpora."""


class Window(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from"}):
    """The requests a report is about."""

    start: str
    to: str
    n: int
    """Answered requests of learners, without shadow copies and failed requests."""
    replayed: int = 0
    """How many of them carry simulated time."""
    learners: int = 0
    heaviest: int = 0
    """How many requests the busiest learner sent."""
    entries: dict[str, int] = {}
    """Entry → requests it answered."""
    outside: int = 0
    """How many of the ``n`` requests have no feature at all, because their text is out of scope."""
    left_out: dict[str, int] = {}
    """Requests that are not in ``n``, by reason.

    ``shadow`` copies, ``failed``, ``no entry`` (the trace names none), ``testers``, ``ahead`` of the clock.
    """
    failed: dict[str, int] = {}
    """Entry → requests on which it failed."""

    @property
    def main(self) -> str:
        """The entry that answered most requests, or where none was answered, failed on most; empty without requests."""
        return _most(self.entries) or _most(self.failed)


def _most(counts: Mapping[str, int]) -> str:
    return max(counts, key=lambda sha: counts[sha], default="")


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """The drift report of one day."""

    schema: str = SCHEMA
    day: str
    entry_sha: str
    reference: Against
    window: Window
    status: Status
    features: dict[str, Feature]
    coverage: float | None
    """Share of the window's requests that fall into an evaluated bucket; None if the entry was never evaluated."""
    expected_accuracy: float | None
    """The lowest value in ``expected``."""
    expected: dict[str, Expected] = {}
    covered: Covered | None = None
    """The counts behind ``coverage`` and their comparison with the reference."""
    graded: Graded | None = None
    """What was graded that day; None in reports of older versions."""
    failed: FailedRequests | None = None
    """The failed requests; None in reports of older versions."""

    @property
    def inputs(self) -> Status:
        """The status of the inputs alone, whatever failed: the worst of the features and of a lowered coverage."""
        return _worst_status([feature.status for feature in self.features.values()], self.covered)

    @property
    def failing(self) -> FailedRequests | None:
        """The failed requests where they are so many that the day is not stable."""
        return self.failed if self.failed is not None and self.failed.many else None

    @property
    def ranked(self) -> list[tuple[str, Feature]]:
        """The features, worst first: by status, then by PSI."""
        return sorted(self.features.items(), key=lambda item: (-LEVELS.index(item[1].status), -(item[1].psi or 0.0)))

    @property
    def worst(self) -> tuple[str, Feature] | None:
        """The first of ``ranked``; None without features."""
        return next(iter(self.ranked), None)


class Live(NamedTuple):
    """The counts of a day's requests."""

    tally: Tally
    mixes: Counter[Buckets]
    graded: Mapping[str, GradedAnswers] = {}
    """Entry that was asked → its graded answers."""
    sample: Callable[[], Sample] | None = None
    """Reads a sample of the requests' vectors; None where no request has one."""


def judge_day(
    *, day: str, entry_sha: str, reference: Reference, live: Live, window: Window, evaluated: EvalReport | None
) -> DriftReport:
    """Make the report of a day. ``evaluated`` is the entry's evaluation, None where it was never evaluated."""
    elsewhere = "; `--against-day` compares it with another day" if reference.day is None else ""
    sampled = _sampled(reference, live)
    alone = [EMBEDDING] if reference.embedding is None and live.sample is not None else []
    features = judge_features(
        reference.features, live.tally, sampled=sampled, named=alone, reference_n=reference.n, elsewhere=elsewhere
    )
    if sampled is not None and sampled[1].n < live.tally.n:
        note = f"a sample: {sampled[1].n:,} of {live.tally.n:,} requests"
        features |= {
            name: msgspec.structs.replace(features[name], reason=features[name].reason or note) for name in sampled[0]
        }
    before = dict(reference.mixes)
    expected = expected_accuracy(evaluated, by_bucket(live.mixes), by_bucket(before)) if evaluated else {}
    dimension = min(expected, key=lambda name: expected[name].live, default="")
    covered = judge_coverage(evaluated, live.mixes, window.n, before, reference.n) if evaluated else None
    failed_n = sum(window.failed.values())
    failed = judge_failed(failed_n, window.n + failed_n)
    return DriftReport(
        day=day,
        entry_sha=entry_sha,
        reference=Against(
            corpus_dvc_hash=reference.corpora[0] if reference.corpora else None,
            corpora=reference.corpora,
            n=reference.n,
            day=reference.day,
        ),
        window=window,
        status=_worst_status([feature.status for feature in features.values()], covered, failed),
        features=features,
        coverage=round(covered.k / covered.n, DIGITS) if covered else None,
        expected_accuracy=expected[dimension].live if dimension else None,
        expected=expected,
        covered=covered,
        graded=judge_graded(
            evaluated,
            dimension,
            live.graded.get(entry_sha, GradedAnswers()),
            {sha: each for sha, each in live.graded.items() if sha != entry_sha},
        ),
        failed=failed,
    )


def _sampled(reference: Reference, live: Live) -> tuple[Mapping[str, Bins], Tally] | None:
    """The bins of vectors, and the counts of a sample of the day on them; None where the reference has no vectors."""
    if reference.embedding is None:
        return None
    if live.sample is not None:
        return reference.embedding.bins, count_vectors(reference.embedding.space, live.sample())
    nothing = Tally()
    nothing.n, nothing.textless = live.tally.n, live.tally.textless
    return reference.embedding.bins, nothing


def _worst_status(features: list[Status], *further: Covered | FailedRequests | None) -> Status:
    """The worst status. Coverage and failures can lower a day; one of which no feature was compared is not stable."""
    lowered = [each.status for each in further if each is not None and each.status != "stable"]
    return max([*features, *lowered], key=LEVELS.index, default="insufficient")
