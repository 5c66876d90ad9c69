"""Which of the two a request is whose client tells a message and, beside it, the JSON of the whole call.

The message counts, unless the JSON has the columns that the table ``[workload]`` names: then a program told the
workload's own record. It does not know spans or traces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modelspine.described.service import Described
from modelspine.workload import Workload


def request_of(workload: Workload, request: Any, message: Any, features: Mapping[str, Any]) -> Any:
    """The request: the JSON with the columns of the input, else a message that is such JSON, else the message.

    ``features`` are columns that were told apart from the request.
    """
    if message is None:
        return request
    if not isinstance(workload, Described):
        return message
    return next((each for each in (request, as_object(message)) if workload.has_input(each, features)), message)


def answer_of(workload: Workload, answer: Any, message: Any) -> Any:
    """The answer: the JSON with the column of the answer, else the message.

    A text that is a JSON object is one, but for a generator, which may write such a text: an object is no label.
    """
    if not isinstance(workload, Described):
        return answer if message is None else message
    found = answer if message is None or workload.has_output(answer) else message
    return found if workload.takes_any_text else as_object(found)


def as_object(value: Any) -> Any:
    """A text that is a JSON object, as the object; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value
