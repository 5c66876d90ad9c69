"""The reference of an entry: the value counts of all corpora that it was trained on.

An adapter extends its parent's weights, so its reference includes the corpora of every parent. Counts are cached in
``.spine/drift`` by the corpora's hashes and may be deleted at any time. The workload defines which values a row or a
request has. Another day as the reference is counted in ``measurement``.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from miniobserve.daily import Request
from modelspine.drift import bins, psi, report
from modelspine.drift.accuracy import Buckets, GradedKey
from modelspine.drift.bins import Tally, Value, fix
from modelspine.drift.report import Reference
from modelspine.errors import BadInput
from modelspine.files import write_file
from modelspine.lineage import row_formats, row_objects
from modelspine.text import short
from modelspine.workload import OF_ANSWER, Workload, workload_errors

if TYPE_CHECKING:
    from modelspine.lineage.corpora import Corpora
    from modelspine.project import Project

_BATCH = 5_000
"""Rows counted at once: enough to be fast, without keeping a corpus in memory."""
SAMPLE = 1_000
"""Texts of which it is tried what can be known of them where only their features were kept."""


def reference_of(project: Project, sha: str, values: Values) -> Reference:
    """Read the reference of an entry, given by its full SHA, from the cache or count it.

    Raises:
        BadInput: its lineage names no corpus, or no corpus row has a text.
        Unavailable: the corpus is not on this machine.
        Damaged: a corpus does not match its hash.
    """
    hops = [hop for hop in project.lineage(sha).hops if hop.kind == "corpus"]
    corpora = tuple(dict.fromkeys(str(h.evidence["dvc_hash"]) for h in hops if h.evidence.get("dvc_hash")))
    if not corpora:
        raise BadInput(
            f"the lineage of {short(sha)} names no corpus to compare with",
            "compare with another entry: `--against REF`",
        )
    parts = (*corpora, project.workload.name, project.settings.corpus_text, values.digest())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    cached = project.settings.home / "drift" / f"{key}.json"
    reference = _read(cached)
    if reference is None:
        reference = count(project.corpora, corpora, values)
        if not project.readonly:
            _write(cached, reference)
    return reference


def count(corpora: Corpora, hashes: tuple[str, ...], values: Values) -> Reference:
    """Count every row of some corpora, verifying each file's hash.

    Raises:
        BadInput: no row has a text with features.
        Unavailable: a corpus is not on this machine.
        Damaged: a corpus does not match its hash.
    """
    tally, mixes, rows, without_text = Tally(keep_rows=True), Counter[Buckets](), 0, set[str]()
    for dvc_hash in hashes:
        remaining = corpora.rows(dvc_hash, values.text_columns)
        while batch := list(islice(remaining, _BATCH)):
            counted = [found for row in batch if (found := values.of_row(row)) is not None]
            tally.add([found.values for found in counted])
            mixes.update(found.buckets for found in counted)
            for found in counted[: max(0, SAMPLE - tally.n + len(counted))]:
                without_text |= values.names_without_text(found.features)
            rows += len(batch)
    features = fix(tally, set(tally.counts) - without_text)
    if not any(bins_.labels for bins_ in features.values()):
        raise BadInput(
            f"none of {rows:,} rows of {', '.join(h[:12] for h in hashes)} has a text with features",
            "compare with another entry: `--against REF`",
        )
    return Reference(corpora=hashes, n=tally.n, features=features, mixes=sorted(mixes.items()))


def _read(file: Path) -> Reference | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Reference)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _write(file: Path, reference: Reference) -> None:
    """Cache a reference; a failure is ignored, as it only costs the time of counting again."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, msgspec.json.encode(reference))


class Row(NamedTuple):
    """What is counted of one corpus row."""

    values: Mapping[str, Value]
    features: Mapping[str, str]
    buckets: Buckets


class Values:
    """The values of requests and corpus rows in which drift is measured, as the workload defines them.

    A workload may have ``drift_values(text, features, accepted)`` for a request and ``drift_row(row)`` for a corpus
    row, both returning name → value (``drift.bins.Value``). Without ``drift_row``, a row has the values of a request
    with its text. Without both, every feature of the text is a categorical value. A text that the workload fails on
    raises ``Unavailable``.
    """

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._of_request = getattr(workload, "drift_values", None)
        self._of_row = getattr(workload, "drift_row", None)
        self._buckets_of: dict[tuple[tuple[str, str], ...], Buckets] = {}

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns in which a corpus row's text is looked for first."""
        return (self._workload.text_field,)

    def of_requests(self, requests: Sequence[Request]) -> list[Mapping[str, Value]]:
        """The values of answered requests, none where the answer says that the text is out of scope.

        The text passed to the workload is None where only features were kept.
        """
        if self._of_request is None:
            return [_of_input(request.features) if request.in_scope else {} for request in requests]
        with workload_errors(self._workload.name):
            return [self._of_request(r.sentence, r.features, r.is_correct) if r.in_scope else {} for r in requests]

    def names_without_text(self, features: Mapping[str, str]) -> set[str]:
        """The names of the values that a request with these features has if its text was not kept."""
        if self._of_request is None:
            return set(_of_input(features))
        with workload_errors(self._workload.name):
            return {name for name, value in self._of_request(None, features, True).items() if value is not None}

    def mixes(self, requests: Sequence[Request]) -> Counter[Buckets]:
        """Count requests by the evaluation buckets they are in."""
        counts: Counter[Buckets] = Counter()
        # Many requests share their features, and asking the workload for buckets is slow.
        for items, n in Counter(tuple(r.features.items()) if r.in_scope else () for r in requests).items():
            counts[self.buckets(dict(items))] += n
        return counts

    def graded(self, requests: Sequence[Request]) -> Counter[GradedKey]:
        """Count graded requests by entry, learner, evaluation buckets and grade."""
        return Counter(
            # A request of nobody in particular is a unit of its own, together with its retries.
            GradedKey(r.entry_sha, r.learner_hash or r.retry_of or r.request_id, self.buckets(r.features), r.graded)
            for r in requests
            if r.graded is not None
        )

    def of_row(self, row: Mapping[str, Any]) -> Row | None:
        """The values and evaluation buckets of a corpus row; None where it has no text."""
        text = row.get("text")
        if not isinstance(text, str):
            return None
        with workload_errors(self._workload.name):
            features = self._workload.features(text)
            if self._of_row is not None:
                values = self._of_row(row)
            else:
                values = features if self._of_request is None else self._of_request(text, features, None)
        return Row(values, features, self.buckets(features))

    def buckets(self, features: Mapping[str, str]) -> Buckets:
        """The evaluation buckets for a text with these features."""
        if not features:
            return ()
        key = tuple(sorted(features.items()))
        if key not in self._buckets_of:
            with workload_errors(self._workload.name):
                probe = self._workload.probe(None, features)
            self._buckets_of[key] = tuple(probe.buckets) if probe is not None else ()
        return self._buckets_of[key]

    def digest(self) -> str:
        """SHA-256 of the code that defines values and bins; in the cache key, as other code may count differently."""
        code = hashlib.sha256()
        module = sys.modules[type(self._workload).__module__]
        file = Path(module.__file__ or "")
        files = sorted(file.parent.glob("*.py")) if "." in module.__name__ else [file]
        ours = (bins, psi, report, row_formats, row_objects, sys.modules[__name__])
        for source in (*files, *(Path(str(module.__file__)) for module in ours)):
            code.update(source.read_bytes() if source.is_file() else b"")
        return code.hexdigest()


def _of_input(features: Mapping[str, str]) -> dict[str, Value]:
    """The features that describe the text and not its answer."""
    return {name: value for name, value in features.items() if not name.startswith(OF_ANSWER)}
