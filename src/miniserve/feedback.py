"""POST /v1/feedback: what is said of answers, one at a time or up to a thousand in one call.

It checks the body, and makes the reply. It does not know where what is said is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from miniobserve.ids import is_request_id
from miniobserve.label_lookup import TRACE_ID
from miniobserve.saying import Saying, Stored, wrong_with
from miniserve.limits import parse_object
from miniserve.replies import JSON, Problem, to_json
from modelspine.described.records import as_number, as_text
from modelspine.errors import BadInput

MOST = 1_000
"""Answers that one call may speak of."""
FIELDS = ("request_id", "trace_id", "outcome", "label", "score", "text", "taken_back")
Say = Callable[[Sequence[Saying]], Awaitable[Sequence[Stored]]]
"""Stores what is said, and returns what became of each."""


def feedback(say: Say, *, numbers: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of POST /v1/feedback; ``numbers`` says that a label must be one, as that of a regressor."""

    async def handle(request: Request) -> Response:
        """Store what the body says."""
        body = parse_object(await request.body())
        if "feedback" in body:
            return _json({"feedback": await _several(body, say, numbers=numbers)})
        saying = saying_of(body, numbers=numbers)
        (stored,) = await say([saying])
        if stored.status == "unknown":
            asked = "trace_id" if saying.is_trace else "request_id"
            raise Problem(404, "unknown_request", f"no answer has that {asked}")
        if stored.status == "several":
            named = ", ".join(stored.requests)
            raise Problem(409, "several_requests", f"several answers have that trace id, name one of them: {named}")
        return _json(_reply(saying, stored))

    return handle


async def _several(body: Mapping[str, Any], say: Say, *, numbers: bool) -> list[dict[str, Any]]:
    """Store a list; each is checked and answered by itself."""
    given = body["feedback"]
    if body.keys() != {"feedback"} or not isinstance(given, list) or not 1 <= len(given) <= MOST:
        raise Problem(422, "bad_feedback", f"feedback must be a list of 1 to {MOST:,} objects, and the only field")
    replies: list[dict[str, Any]] = [{} for _ in given]
    sayings: dict[int, Saying] = {}
    for number, each in enumerate(given):
        try:
            if not isinstance(each, Mapping):
                raise Problem(422, "bad_feedback", "each one must be an object")
            sayings[number] = saying_of(each, numbers=numbers)
        except Problem as problem:
            replies[number] = {"status": "invalid", "code": problem.code, "message": problem.message}
    stored = await say(list(sayings.values())) if sayings else ()
    for (number, saying), one in zip(sayings.items(), stored, strict=True):
        replies[number] = _reply(saying, one)
    return replies


def saying_of(body: Mapping[str, Any], *, numbers: bool) -> Saying:
    """Return what an object says.

    Raises:
        Problem: 422 with what is wrong.
    """
    if not body.keys() <= set(FIELDS):
        raise Problem(422, "unknown_field", f"the only fields allowed are {' and '.join(FIELDS)}")
    request_id, trace_id = body.get("request_id"), body.get("trace_id")
    if (request_id is None) == (trace_id is None):
        raise Problem(422, "bad_request_id", "give the request_id of an answer, or its trace_id")
    if trace_id is not None and not (isinstance(trace_id, str) and TRACE_ID.fullmatch(trace_id)):
        raise Problem(422, "bad_trace_id", "trace_id must have 32 lower-case hex digits")
    if request_id is not None and not (isinstance(request_id, str) and is_request_id(request_id)):
        raise Problem(422, "bad_request_id", "request_id must be the id of an answer")
    outcome, score, text = body.get("outcome"), body.get("score"), body.get("text")
    if outcome is not None and not isinstance(outcome, str):
        raise Problem(422, "bad_outcome", "outcome must be text")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or abs(score) > 1e300):
        raise Problem(422, "bad_score", "score must be a finite number")
    if text is not None and not isinstance(text, str):
        raise Problem(422, "bad_text", "text must be text")
    if not isinstance(taken_back := body.get("taken_back", False), bool):
        raise Problem(422, "bad_taken_back", "taken_back must be true or false")
    saying = Saying(
        name=request_id or trace_id or "", is_trace=request_id is None, outcome=outcome,
        label=_label(body, numbers=numbers), score=None if score is None else float(score), text=text,
        taken_back=taken_back,
    )  # fmt: skip
    if wrong := wrong_with(saying):
        field = wrong.split(" ", 1)[0]
        raise Problem(422, f"bad_{field}" if field in FIELDS else "bad_feedback", wrong)
    return saying


def _label(body: Mapping[str, Any], *, numbers: bool) -> str | None:
    """A label as text: any JSON, in its canonical form."""
    label = body.get("label")
    if numbers and label is not None and as_number(label) is None:
        # It would be compared with nothing, and take the place of a label that was right.
        raise Problem(422, "bad_label", "label must be a number")
    try:
        return None if label is None else as_text(label)
    except BadInput as error:
        raise Problem(422, "bad_label", error.message) from error


def _reply(saying: Saying, stored: Stored) -> dict[str, Any]:
    asked = {"trace_id": saying.name} if saying.is_trace else {"request_id": saying.name}
    if stored.status == "unknown":
        return {**asked, "status": "unknown"}
    if stored.status == "several":
        return {**asked, "status": "several", "requests": list(stored.requests)}
    given = {"outcome": saying.outcome} if saying.outcome is not None else {}
    return {**asked, "request_id": stored.request_id, **given, "status": stored.status, "graded": stored.graded}


def _json(value: Any) -> Response:
    return Response(to_json(value), media_type=JSON)
