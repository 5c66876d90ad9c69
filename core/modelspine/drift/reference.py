"""The reference of an entry: every corpus that went into it, counted once and kept by its hashes.

An adapter's weights stand on its parent's, so its reference is its own corpora and those of every parent. The
counts kept in ``.spine/drift`` are derived: deleting them costs the seconds of counting again. What is counted
of a row, and of a request, the workload names. It does not know live traffic.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from miniobserve.daily import Request
from modelspine.drift import bins, psi
from modelspine.drift.bins import Tally, Value, fix
from modelspine.drift.report import Reference
from modelspine.errors import BadInput
from modelspine.files import write_file
from modelspine.text import short
from modelspine.workload import OF_ANSWER, Workload, workload_errors

if TYPE_CHECKING:
    from modelspine.lineage.corpora import Corpora
    from modelspine.project import Project

_BATCH = 5_000


def reference_of(project: Project, sha: str, values: Values) -> Reference:
    """The reference of an entry, by its full SHA.

    Raises:
        BadInput: its lineage names no corpus, or no row of them has a text.
        Unavailable: the rows are not on this machine.
        Damaged: the rows do not have their hash.
    """
    hops = [hop for hop in project.lineage(sha).hops if hop.kind == "corpus"]
    corpora = tuple(dict.fromkeys(str(h.evidence["dvc_hash"]) for h in hops if h.evidence.get("dvc_hash")))
    if not corpora:
        raise BadInput(
            f"the lineage of {short(sha)} names no corpus to compare with",
            "compare with another entry: `--against REF`",
        )
    key = hashlib.sha256("\n".join((*corpora, project.workload.name, values.digest())).encode()).hexdigest()
    kept = project.settings.home / "drift" / f"{key}.json"
    found = _read(kept)
    if found is None:
        found = count(project.corpora, corpora, values)
        if not project.readonly:
            _write(kept, found)
    return found


def count(corpora: Corpora, hashes: tuple[str, ...], values: Values) -> Reference:
    """Count every row of some corpora, each file's hash checked on the way."""
    tally, buckets, rows = Tally(keep_rows=True), Counter[str](), 0
    for dvc_hash in hashes:
        left = _rows(corpora, dvc_hash)
        while part := list(islice(left, _BATCH)):
            named = [values.of_row(row) for row in part]
            tally.add([value for value, _ in named if value])
            buckets.update(bucket for _, several in named for bucket in several)
            rows += len(part)
    features = fix(tally)
    if not features:
        raise BadInput(
            f"none of {rows:,} rows of {', '.join(h[:12] for h in hashes)} holds a text the workload has features of",
            "compare with another entry: `--against REF`",
        )
    return Reference(corpora=hashes, n=rows, features=features, buckets=dict(buckets))


def _rows(corpora: Corpora, dvc_hash: str) -> Iterator[dict[str, Any]]:
    """The rows that are JSON objects."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for line in corpora.read(dvc_hash):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield decode(line)


def _read(file: Path) -> Reference | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Reference)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _write(file: Path, reference: Reference) -> None:
    """Keep it for the next day; a folder that cannot be written only costs time."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, msgspec.json.encode(reference))


class Values:
    """What a workload says of a request, or of a row of a corpus, as values that drift can be seen in.

    A workload may name them itself: ``drift_values(text, features, accepted)`` for a request and ``drift_row(row)``
    for a row of its corpora, both a name → value (``drift.bins.Value``). Without those every categorical
    feature of the text is one. A text it fails on raises ``Unavailable``.
    """

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._of_request = getattr(workload, "drift_values", None)
        self._of_row = getattr(workload, "drift_row", None)
        self._known: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = {}

    def of_requests(self, requests: Sequence[Request]) -> list[Mapping[str, Value]]:
        """The values of answered requests; a text is None where only its features were kept."""
        if self._of_request is None:
            return [
                {name: value for name, value in request.features.items() if not name.startswith(OF_ANSWER)}
                for request in requests
            ]
        with workload_errors(self._workload.name):
            return [self._of_request(r.sentence, r.features, r.is_correct) for r in requests]

    def count_buckets(self, requests: Sequence[Request]) -> Counter[str]:
        """How many of some requests count in each evaluation bucket."""
        found: Counter[str] = Counter()
        for items, many in Counter(tuple(request.features.items()) for request in requests).items():
            for bucket in self.buckets(dict(items)):
                found[bucket] += many
        return found

    def of_row(self, row: Mapping[str, Any]) -> tuple[Mapping[str, Value], tuple[str, ...]]:
        """The values of a corpus row and the evaluation buckets it counts in; none where it holds no text."""
        text = row.get("text", row.get(self._workload.text_field))
        if not isinstance(text, str):
            return {}, ()
        with workload_errors(self._workload.name):
            features = self._workload.features(text)
            values = features if self._of_row is None else self._of_row(row)
        return values, self.buckets(features)

    def buckets(self, features: Mapping[str, str]) -> tuple[str, ...]:
        """The evaluation buckets that speak about a text with these features."""
        if not features:
            return ()
        key = tuple(sorted(features.items()))
        if key not in self._known:
            with workload_errors(self._workload.name):
                probe = self._workload.probe(None, features)
            self._known[key] = probe.buckets if probe is not None else ()
        return self._known[key]

    def digest(self) -> str:
        """SHA-256 of the code that names values and cuts bins: other code may count the same rows differently."""
        made = hashlib.sha256()
        module = sys.modules[type(self._workload).__module__]
        file = Path(module.__file__ or "")
        files = sorted(file.parent.glob("*.py")) if "." in module.__name__ else [file]
        for source in (*files, Path(bins.__file__), Path(psi.__file__)):
            made.update(source.read_bytes() if source.is_file() else b"")
        return made.hexdigest()
