"""What a workload says of one request, or of one row of a corpus, as values that drift can be seen in.

A workload may name them itself: ``drift_values(text, features, accepted)`` for a request and ``drift_row(row)``
for a row of its corpora, both a name → value (``drift.bins.Value``). Without those every categorical
feature of the text is one. It does not know bins or days.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from miniobserve.daily import Request
from modelspine.drift import bins as driftbins
from modelspine.drift import psi as driftstats
from modelspine.drift.bins import Value
from modelspine.workload import Workload, workload_errors


class Values:
    """Asks one workload; a text it fails on raises ``Unavailable``."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._of_request = getattr(workload, "drift_values", None)
        self._of_row = getattr(workload, "drift_row", None)
        self._known: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = {}

    def of_requests(self, requests: Sequence[Request]) -> list[Mapping[str, Value]]:
        """The values of answered requests; a text is None where only its features were kept."""
        if self._of_request is None:
            return [request.features for request in requests]
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
        for source in (*files, Path(driftbins.__file__), Path(driftstats.__file__)):
            made.update(source.read_bytes() if source.is_file() else b"")
        return made.hexdigest()
