"""The JSON of a trace, as exported days and stores of earlier versions hold it.

Earlier versions gave five fields the names that a language tutor has for them.
"""

from __future__ import annotations

import msgspec

from miniobserve.traces import Trace

RENAMED = {
    "sentence": "input",
    "sentence_sha256": "input_sha256",
    "correction": "output",
    "is_correct": "accepted",
    "learner_hash": "unit_hash",
}
"""Name of a field in an earlier version → its name now."""
_MARK = '"learner_hash":'
"""In the JSON of every trace of those versions. A text may hold it too, so it decides nothing."""
_decode = msgspec.json.Decoder(Trace).decode
_fields = msgspec.json.Decoder(dict[str, object]).decode


def trace_of_body(body: str) -> Trace:
    """Return the trace of a body of this version or an earlier one.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    if _MARK not in body:
        return _decode(body)
    fields = _fields(body)
    if not RENAMED.keys() & fields.keys():
        return _decode(body)
    return msgspec.convert({RENAMED.get(name, name): value for name, value in fields.items()}, Trace)
