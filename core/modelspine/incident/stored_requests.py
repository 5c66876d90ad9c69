"""The stored requests of a span of time, by their text: how many there are, and who sent them.

Requests of users only; copies for a shadow are not among them. It does not know what the texts are read for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from modelspine.errors import BadInput
from modelspine.text import counted

_PAGE = 2_000


class Most(NamedTuple):
    """How much is read at most, the newest first."""

    requests: int
    texts: int


RECENT = Most(requests=20_000, texts=1_000)
"""What a person who waits for a preview can wait for."""


class Asked(NamedTuple):
    """The stored requests by text, the newest text first."""

    requests: Counter[str]
    users: dict[str, set[str]]
    features: dict[str, dict[str, str]]
    without_text: int
    older: bool
    """Whether older requests since that day were not read."""

    def texts(self) -> list[str]:
        """The distinct texts.

        Raises:
            BadInput: there is none.
        """
        if self.requests:
            return list(self.requests)
        kept = f"; {counted(self.without_text, 'request')} kept no text" if self.without_text else ""
        raise BadInput(
            f"there is no stored request to put to the two{kept}",
            "give an earlier --since; texts are kept where `text_policy` is full",
        )


def stored_requests(reader: TraceReader, since: str | None, most: Most | None = None) -> Asked:
    """The requests since the first moment of a day, ``YYYY-MM-DD`` in UTC; without one, all that are stored."""
    requests: Counter[str] = Counter()
    users: dict[str, set[str]] = {}
    features: dict[str, dict[str, str]] = {}
    without, older = 0, False
    stored = _stored(reader, since)
    for trace in islice(stored, most.requests) if most is not None else stored:
        if trace.shadow_of is not None or not trace.is_evidence:
            continue
        if trace.input is None:
            without += 1
            continue
        if most is not None and len(requests) == most.texts and trace.input not in requests:
            older = True
            break
        requests[trace.input] += 1
        users.setdefault(trace.input, set()).add(trace.unit_hash or trace.retry_of or trace.request_id)
        features.setdefault(trace.input, trace.features)
    older = older or (most is not None and next(stored, None) is not None)
    return Asked(requests, users, features, without, older)


def _stored(reader: TraceReader, since: str | None) -> Iterator[Trace]:
    """Every trace, newest first, down to the first moment of a day."""
    from miniobserve.daily import day_range

    first = day_range(since)[0] if since is not None else -1
    before: int | None = None
    while True:
        page = reader.list(limit=_PAGE, before_ns=before).traces
        for trace in page:
            if trace.started_ns < first:
                return
            yield trace
        if len(page) < _PAGE:
            return
        before = page[-1].started_ns
