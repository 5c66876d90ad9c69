"""The reference of an entry: the value counts of all corpora that it was trained on.

An adapter extends its parent's weights, so its reference includes the corpora of every parent. Counts are cached in
``.spine/drift`` by the corpora's hashes and may be deleted at any time. The workload defines which values a row or a
request has. Another day as the reference is counted in ``measurement``.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from miniobserve.daily import Request
from modelspine.described.records import numbers_of
from modelspine.drift import bins, embedding, psi, report, vectors
from modelspine.drift.accuracy import Buckets
from modelspine.drift.bins import Tally, Value, fix
from modelspine.drift.embedding import AXES, vectors_of
from modelspine.drift.report import Reference
from modelspine.drift.vectors import Drawn, fixed
from modelspine.errors import BadInput
from modelspine.files import write_file
from modelspine.lineage import row_formats, row_objects
from modelspine.text import short
from modelspine.workload import OF_ANSWER, Answer, Workload, workload_errors

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
    drawn = Drawn()
    for dvc_hash in hashes:
        remaining = corpora.rows(dvc_hash, values.text_columns)
        while batch := list(islice(remaining, _BATCH)):
            counted = []
            for row in batch:
                if (found := values.of_row(row)) is not None:
                    counted.append(found)
                    drawn.add(row)
            tally.add([found.values for found in counted])
            mixes.update(found.buckets for found in counted)
            for found in counted[: max(0, SAMPLE - tally.n + len(counted))]:
                without_text |= values.names_without_text(found.features)
            rows += len(batch)
    features = fix(tally, set(tally.counts) - without_text)
    placed = fixed(values.vectors(drawn.rows), values.axes) if values.has_vectors else None
    if placed is None and not any(bins_.labels for bins_ in features.values()):
        raise BadInput(
            f"none of {rows:,} rows of {', '.join(h[:12] for h in hashes)} has a text with features",
            "compare with another entry: `--against REF`",
        )
    return Reference(corpora=hashes, n=tally.n, features=features, mixes=sorted(mixes.items()), embedding=placed)


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
    raises ``Unavailable``. A workload that reads columns instead of texts has ``row_features(row)`` too, and then a row
    needs no text.
    """

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._of_request = getattr(workload, "drift_values", None)
        self._of_row = getattr(workload, "drift_row", None)
        self._features_of_row = getattr(workload, "row_features", None)
        self._buckets_of: dict[tuple[tuple[str, str], ...], Buckets] = {}

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns in which a corpus row's text is looked for first."""
        return (self._workload.text_field,)

    def of_requests(self, requests: Sequence[Request]) -> list[Mapping[str, Value]]:
        """The values of answered requests, none where the answer says that the text is out of scope.

        The text passed to the workload is None where only features were kept.
        """
        with workload_errors(self._workload.name):
            return [self._of_trace(request) if request.in_scope else {} for request in requests]

    def _of_trace(self, request: Request) -> Mapping[str, Value]:
        """The recorded values of a request.

        Other code than today's may have counted differently: then they are made anew, from its text if that was kept.
        """
        if request.values_by == self.code:
            return {name: tuple(one) if isinstance(one, list) else one for name, one in request.values.items()}
        if self._of_request is None:
            return _of_input(request.features)
        made: Mapping[str, Value] = self._of_request(request.input, request.features, request.accepted)
        return made

    def of_answer(self, text: str | None, answer: Answer) -> tuple[dict[str, Value], str]:
        """The values that the trace of an answer records, and which code made them.

        They are those of the text, and the numbers of the answer's fields; none where the text is out of scope. Where
        the workload's code fails, nothing is recorded, and a report makes the values from the text.
        """
        if not answer.in_scope:
            return {}, self.code
        try:
            made = self._of_request(text, answer.features, answer.accepted) if self._of_request else None
        except Exception:  # noqa: BLE001 -- foreign code: it must not fail the request
            return {}, ""
        found = {**numbers_of(answer.fields), **(_of_input(answer.features) if made is None else made)}
        return _finite(found), self.code

    @property
    def makes_vectors(self) -> bool:
        """Whether the workload makes the vector of a text; otherwise a request's vector is on its trace."""
        return hasattr(self._workload, "embed")

    @property
    def has_vectors(self) -> bool:
        """Whether a corpus row may have a vector."""
        return self.makes_vectors or getattr(self._workload, "axes", None) is not None

    @property
    def axes(self) -> int:
        """Of how many directions of the vectors drift is measured."""
        return getattr(self._workload, "axes", None) or AXES

    def vectors(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, ...] | None]:
        """The vectors of rows that have a text in ``text``, or the column of vectors; None where a row has none."""
        return vectors_of(self._workload, rows)

    def names_without_text(self, features: Mapping[str, str]) -> set[str]:
        """The names of the values that a request with these features has if its text was not kept."""
        if self._of_request is None:
            return set(_of_input(features))
        with workload_errors(self._workload.name):
            return {name for name, value in self._of_request(None, features, True).items() if value is not None}

    def of_row(self, row: Mapping[str, Any]) -> Row | None:
        """The values and evaluation buckets of a corpus row; None where it has no text."""
        text = row.get("text")
        if not isinstance(text, str) and self._features_of_row is None:
            return None
        with workload_errors(self._workload.name):
            features = self._features_of_row(row) if self._features_of_row else self._workload.features(str(text))
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
        ours = (bins, embedding, vectors, psi, report, row_formats, row_objects, sys.modules[__name__])
        made = _digest([*self._files(), *(Path(str(module.__file__)) for module in ours)])
        return hashlib.sha256(f"{made} {self.code}".encode()).hexdigest()

    @cached_property
    def code(self) -> str:
        """Which code makes the values of a request: the first 16 hex digits of the SHA-256 of the workload's files.

        Those of a workload that a table describes are made by the table.
        """
        return str(getattr(self._workload, "values_code", "")) or _digest(self._files())[:16]

    def _files(self) -> list[Path]:
        module = sys.modules[type(self._workload).__module__]
        file = Path(module.__file__ or "")
        return sorted(file.parent.glob("*.py")) if "." in module.__name__ else [file]


def _digest(files: Sequence[Path]) -> str:
    code = hashlib.sha256()
    for source in files:
        code.update(source.read_bytes() if source.is_file() else b"")
    return code.hexdigest()


def _finite(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values without NaN and infinities, which are in no bin and which JSON cannot carry."""
    return {name: one for name, one in values.items() if not isinstance(one, float) or math.isfinite(one)}


def _of_input(features: Mapping[str, str]) -> dict[str, Value]:
    """The features that describe the text and not its answer."""
    return {name: value for name, value in features.items() if not name.startswith(OF_ANSWER)}
