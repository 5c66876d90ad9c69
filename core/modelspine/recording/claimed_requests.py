"""How many stored requests a claim of a model's name is about: those that were stored without an entry.

It does not know what was claimed, or by whom.
"""

from __future__ import annotations

from collections.abc import Callable

from miniobserve.field_tests import FieldTest
from miniobserve.reader import TraceReader
from miniobserve.search import Question
from miniobserve.search_terms import Term
from modelspine.ledger.store import storage_errors


def unattributed_requests(traces: TraceReader, model: str, step: Callable[[int], None] = lambda _: None) -> int:
    """Count the requests whose server gave its model this name, and that were stored without an entry.

    ``step`` is called with the number of requests that were looked at.

    Raises:
        Unavailable, Damaged: the traces cannot be read.
    """
    without_entry = Term("", "sha")
    named = FieldTest("model", "=", model, exact=True)
    question = Question(terms=(without_entry,), fields=(named,), limit=0, most=2**63)
    with storage_errors():
        return traces.count(question, lambda searched, _so_far: step(searched))
