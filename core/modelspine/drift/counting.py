"""Counting a day's requests for a drift report: the merged rows of ``partial``'s queries.

The values of most requests were recorded on their traces. Those that other code made are made anew here, from the
text. It does not know what the counts are compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from miniobserve.daily import Request
from miniobserve.fold import LOCAL, Bucket, Rows, Step, fold
from modelspine.drift.accuracy import Buckets
from modelspine.drift.bins import Tally
from modelspine.drift.grades import Failing, GradedAnswers, Marked
from modelspine.drift.partial import PARTS, QUERIES, RESIDUALS, SAMPLE, SAMPLED, VECTORS
from modelspine.drift.reference import SAMPLE as FEATURES_TRIED
from modelspine.drift.reference import Values
from modelspine.drift.report import Live
from modelspine.drift.vectors import MOST, Sample
from modelspine.units_by_size import Sized

_BATCH = 5_000
_NONE = "{}"
_features = msgspec.json.Decoder(dict[str, str]).decode


class Counted(NamedTuple):
    """The counts of the requests of a span."""

    live: Live
    n: int
    """Requests that learners got an answer to."""
    copies: int
    failed: Counter[str]
    """Entry → requests on which it failed."""
    unassigned: int
    """Requests whose traces name no entry."""
    testers: int
    entries: Counter[str]
    """Entry → requests it answered."""
    learners: int
    heaviest: int
    replayed: int
    outside: int
    without_text: set[str]
    """The values that are known of a request whose text was not kept."""


class Span(NamedTuple):
    """The requests to count, by their start in UTC nanoseconds, and what counts them: see ``miniobserve.fold``."""

    since: int
    until: int
    engine: str = LOCAL


def count_requests(
    buckets: Sequence[Bucket], span: Span, values: Values, step: Step, *, keep_rows: bool = False
) -> Counted:
    """Count the requests of some buckets that started within a span."""
    given = {"since": span.since, "until": span.until, "code": values.code}
    rows = fold(buckets, QUERIES | (SAMPLED if keep_rows else {}), given, engine=span.engine, step=step)
    found, mixes = Counter[str](), Counter[Buckets]()
    entries, failed, cells = Counter[str](), Counter[str](), dict[str, Counter[tuple[str, bool]]]()
    named: dict[str, None] = {}
    hashed = _Hashed({}, {})
    for *of, n, with_vector, alike in rows["requests"]:
        copy, answered, wrong, sha, entry, again, in_scope, textless, recorded, features, graded = of
        found["copies" if copy else "answered" if answered else "failed" if wrong else "unassigned"] += n
        if wrong:
            failed[sha] += n
        hashed.entries[entry], hashed.features[alike] = sha, features
        if not answered:
            continue
        entries[sha] += n
        found["vectors"] += with_vector
        found["replayed"] += n if again else 0
        found["outside"] += n if features == _NONE or not in_scope else 0
        found["recorded"] += n if recorded else 0
        found["textless"] += n if recorded and textless else 0
        seen = features if in_scope else _NONE
        named[seen] = None
        mixes[values.buckets(_features(seen))] += n
        if graded is not None:
            cells.setdefault(sha, Counter())[features, graded] += n
    tally = Tally(keep_rows=keep_rows)
    tally.n, tally.textless = found["recorded"], found["textless"]
    _fill(tally, rows, values)
    read = _Read(buckets, given, values, hashed, span.engine)
    has_vectors = found["vectors"] or (values.makes_vectors and found["answered"])
    tried = [values.names_without_text(_features(text)) for text in list(named)[:FEATURES_TRIED]]
    return Counted(
        live=Live(
            tally,
            mixes,
            _graded(cells, (entries, failed), rows["units"], read),
            partial(read.sample, found["answered"]) if has_vectors else None,
        ),
        n=found["answered"],
        copies=found["copies"],
        failed=failed,
        unassigned=found["unassigned"],
        testers=sum(row[0] for row in rows["testers"]),
        entries=entries,
        learners=sum(row[0] for row in rows["learners"]),
        heaviest=max((row[1] for row in rows["learners"]), default=0),
        replayed=found["replayed"],
        outside=found["outside"],
        without_text=set().union(*tried),
    )


def _fill(tally: Tally, rows: Mapping[str, Rows], values: Values) -> None:
    """Add the recorded values, and those that are made anew."""
    for kind, name in (("category", "categories"), ("number", "numbers")):
        for feature, textless, value, n in rows[name]:
            tally.count(feature, kind, {value: n}, n, textless=textless)  # type: ignore[arg-type]  # mypy widens it
    for feature, textless, token, n, first in rows["tokens"]:
        tally.count(feature, "tokens", {token: n}, first, textless=textless)
    sampled: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for feature, drawn, words in rows.get("rows of tokens", ()):
        sampled.setdefault(feature, []).append((drawn, tuple(words)))
    tally.rows |= {name: [row for _, row in sorted(kept)[:SAMPLE]] for name, kept in sampled.items()}
    _make_anew(rows["other code"], values, tally)


def _make_anew(rows: Rows, values: Values, tally: Tally) -> None:
    """Count the values of requests that other code recorded, or none."""
    for start in range(0, len(rows), _BATCH):
        for textless in (False, True):
            some = [
                Request(input=text, features=_features(named), accepted=accepted, in_scope=in_scope)
                for text, named, accepted, in_scope, n in rows[start : start + _BATCH]
                if (text is None) == textless
                for _ in range(n)
            ]
            tally.add(values.of_requests(some), textless=textless)


class _Hashed(NamedTuple):
    """What the numbers stand for that DuckDB groups requests by, which is faster than by their texts."""

    entries: dict[int, str]
    """Hash → SHA of an entry."""
    features: dict[int, str]
    """Hash → features as JSON."""


class _Read(NamedTuple):
    """What the answers are read from, and by what."""

    buckets: Sequence[Bucket]
    given: Mapping[str, Any]
    values: Values
    hashed: _Hashed
    engine: str = LOCAL

    def sample(self, total: int) -> Sample:
        """The vectors of about ``vectors.MOST`` of the ``total`` requests, the same however they are divided."""
        made = self.values.makes_vectors
        more = {"made": made, "parts": -(-MOST * PARTS // max(total, 1))}
        rows = fold(self.buckets, VECTORS, {**self.given, **more}, engine=self.engine)["vectors"]
        kept = [row[3:] for row in sorted(rows, key=lambda row: row[:2]) if not row[2]]
        told = [vector for _, vector in kept]
        return Sample(
            self.values.vectors([{"text": text} for text, _ in kept]) if made else told, len(rows) - len(kept)
        )

    def placed(self, own: Mapping[tuple[str, bool], int]) -> dict[str, Buckets]:
        """The evaluation buckets of answers that were counted by their features and grade, by their features."""
        return {text: self.values.buckets(_features(text)) for text, _ in own}

    def residuals(
        self, sha: str, placed: Mapping[str, Buckets]
    ) -> Callable[[Mapping[Buckets, float], Failing], Sequence[Sized]]:
        """What sums up an entry's residuals by unit."""

        def found(rates: Mapping[Buckets, float], failing: Failing) -> Sequence[Sized]:
            expected = {text: rates[buckets] for text, buckets in placed.items() if buckets in rates}
            kept = {alike: expected[text] for alike, text in self.hashed.features.items() if text in expected}
            more = {"entry": sha, "alike": list(kept), "rates": list(kept.values()), **failing._asdict()}
            rows = fold(self.buckets, RESIDUALS, {**self.given, **more}, engine=self.engine)["residuals"]
            return [Sized(*row) for row in rows]

        return found


def _graded(
    cells: Mapping[str, Mapping[tuple[str, bool], int]],
    asked: tuple[Counter[str], Counter[str]],
    units: Rows,
    read: _Read,
) -> dict[str, GradedAnswers]:
    """Each entry's graded answers; ``cells`` count them by features and grade, ``asked`` all answers and failures."""
    answered, failed = asked
    marked: dict[str, list[Marked]] = {}
    for entry, *each in units:
        marked.setdefault(read.hashed.entries[entry], []).append(Marked(*each))
    made: dict[str, GradedAnswers] = {}
    for sha in dict.fromkeys([*answered, *failed]):
        own, counts = cells.get(sha, {}), Counter[tuple[Buckets, bool]]()
        placed = read.placed(own)
        for (text, right), n in own.items():
            counts[placed[text], right] += n
        made[sha] = GradedAnswers(counts, marked.get(sha, []), read.residuals(sha, placed), answered[sha], failed[sha])
    return made
