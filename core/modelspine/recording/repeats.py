"""Whether a request under an id that is in use is the stored one, recorded again, as when a batch is run twice.

It does not know where traces are stored.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from miniobserve.traces import Trace
from modelspine.recording.placing import CONTRADICTS

_ASKED = ("unit_hash", "input", "input_sha256", "source", "shadow_of")
_ANSWERED = ("output", "error")
_BESIDE = ("features", "accepted")
"""What a trace holds of an answer beside its text."""
_OF_THE_ROUTE = frozenset({"placed", CONTRADICTS})
"""Fields that follow from the route at the time, which may be another one when a batch is run again."""


def is_repeat(stored: Trace, again: Trace, claimed: Container[str] = ()) -> bool:
    """Whether two traces of one id are of the same unit, input, output and entry, so that one of them is enough.

    Where the text policy keeps no output, the answers are compared by their features and fields; where it keeps
    nothing of the input either, the inputs by their features.

    Args:
        stored: the trace under that id.
        again: the one that was to be stored.
        claimed: the names of models that were claimed. What such a name means changes with a claim, so two requests
            whose server gave its model the same one of them are of the same entry.
    """
    same = all(getattr(stored, name) == getattr(again, name) for name in (*_ASKED, *_ANSWERED))
    if again.input is None or again.output is None:
        same &= all(getattr(stored, name) == getattr(again, name) for name in _BESIDE) and _fields(stored) == _fields(
            again
        )
    model = again.fields.get("model")
    one_name = model in claimed and stored.fields.get("model") == model
    return same and (one_name or stored.entry_sha == again.entry_sha) and (stored.status < 400) == (again.status < 400)


def _fields(trace: Trace) -> dict[str, Any]:
    return {name: value for name, value in trace.fields.items() if name not in _OF_THE_ROUTE}
