"""The HTTP API: its routes, the validation of request bodies, and the shape of replies.

It knows nothing of models, storage or sockets: ``service`` produces the answers, and ``limits`` has already
checked each request's size and encoding.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from miniobserve.ids import learner_of
from miniserve.cors import NO_ORIGINS, Origins
from miniserve.feedback import feedback
from miniserve.limits import FEEDBACK, MAX_BODY, BodyLimit, Guard, RateLimit, client_gone, parse_object
from miniserve.openapi import describe, docs_page
from miniserve.record import Ask
from miniserve.replies import JSON, Problem, to_json
from miniserve.service import Done, Service
from miniserve.shadow import Shadow
from miniserve.testers import Testers
from modelspine.described.records import as_text
from modelspine.errors import BadInput
from modelspine.workload import Workload, takes_json

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_CHARS = 128
_UNIT_FIELDS = ("unit", "learner_id")
"""The field that names the unit an answer is for, and its earlier name, which is still read."""


class Contract(NamedTuple):
    """The options of the HTTP API that do not come from the workload."""

    workload: Workload
    version: str
    allow_replay: bool = False
    rate: float | None = None
    """Most requests per second; None for no limit."""
    shadow: Shadow | None = None
    """Receives a copy of each answered text that the route mirrors."""
    testers: Testers = Testers()
    origins: Origins = NO_ORIGINS
    """Of the web pages that may read replies."""
    max_body: int = MAX_BODY
    """Most bytes of a request for an answer."""


def make_app(service: Service, contract: Contract) -> ASGIApp:
    """Build the ASGI application of one server."""
    api, path = Api(service, contract), contract.workload.http_path
    router = Router(
        [
            Route(contract.workload.http_path, api.answer, methods=["POST"]),
            Route(FEEDBACK, feedback(service.say), methods=["POST"]),
            Route("/v1/route", api.route, methods=["GET"]),
            Route("/healthz", api.healthz, methods=["GET"]),
            Route("/readyz", api.readyz, methods=["GET"]),
            Route("/metrics", api.metrics, methods=["GET"]),
            Route("/openapi.json", api.openapi, methods=["GET"]),
            Route("/docs", api.docs, methods=["GET"]),
        ],
        redirect_slashes=False,
    )

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == path and scope["method"] == "POST":  # at once, since nearly all requests are for it
            reply = await api.answer(Request(scope, receive))
            await reply(scope, receive, send)
            return
        # With "app" in the scope Starlette raises for 404 and 405, so that Guard can reply with a JSON error;
        # without it Starlette replies in plain text.
        scope["app"] = router
        await router(scope, receive, send)

    limits = {path: BodyLimit(contract.max_body)}
    return Guard(routed, on_refused=service.metrics.refuse, origins=contract.origins, limits=limits)


class Api:
    """One handler method per route."""

    def __init__(self, service: Service, contract: Contract) -> None:
        self._service = service
        self._contract = contract
        self._workload = contract.workload
        self._allow_replay = contract.allow_replay
        self._rate = RateLimit(contract.rate) if contract.rate else None
        document = describe(contract.workload, contract.version, contract.max_body)
        self._openapi = to_json(document)
        self._docs = docs_page(document)

    async def answer(self, request: Request) -> Response:
        """POST on the workload's path: answer one text."""
        arrived = time.perf_counter()
        if self._rate is not None:
            self._rate.take()
        tester = self._contract.testers.of(request.headers)
        source, started_ns = self._when(request)
        body = parse_object(await request.body())
        text, unit = self._asked(body)
        ask = Ask(
            text=text,
            learner_id=unit,
            request_id=request.scope["request_id"],
            span=request.scope["span"],
            started_ns=started_ns,
            arrived=arrived,
            source=source,
            tester=tester,
            gone=client_gone(request.scope),
        )
        done = await self._service.answer(ask)
        if done.id_was_used:
            request.scope["request_id"] = done.trace.request_id
            request.scope["id_note"] = "used"
        return Response(
            to_json(_answer_body(done, request.scope["id_note"])),
            media_type=JSON,
            headers={"X-Model-SHA": done.trace.entry_sha},
            background=self._copied(done),  # Starlette runs it after the reply has been sent
        )

    def _copied(self, done: Done) -> BackgroundTask | None:
        copy, shadow = done.copy, self._contract.shadow
        if copy is None or shadow is None:
            return None

        async def offer() -> None:  # a coroutine, because Starlette runs plain functions in a thread
            shadow.offer(copy)

        return BackgroundTask(offer)

    async def route(self, _request: Request) -> Response:
        """GET /v1/route: the route in effect on this server."""
        return _json(msgspec.to_builtins(self._service.arms.current.route))

    async def healthz(self, _request: Request) -> Response:
        """GET /healthz: liveness; replies whenever the process runs."""
        return _json({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """GET /readyz: whether to send requests here, and how this server differs from the ledger's route."""
        reason = self._service.unready()
        route = self._service.arms.current.route
        body = {
            "ready": reason is None,
            "reason": reason,
            "route_problem": self._service.arms.problem,
            "shadow_problem": self._contract.shadow.problem if self._contract.shadow else None,
            "epoch": route.epoch,
            "model_sha": route.stable.sha,
            "semver": route.stable.semver,
        }
        return _json(body, 200 if reason is None else 503, {} if reason is None else {"Retry-After": "1"})

    async def metrics(self, _request: Request) -> Response:
        """GET /metrics: the metrics in Prometheus text format."""
        pool = self._service.pool
        text = self._service.metrics.render(queue_depth=pool.waiting, slots_used=pool.busy)
        return Response(text, media_type=self._service.metrics.content_type)

    async def openapi(self, _request: Request) -> Response:
        """GET /openapi.json: the OpenAPI document."""
        return Response(self._openapi, media_type=JSON)

    async def docs(self, _request: Request) -> Response:
        """GET /docs: the OpenAPI document as an HTML page."""
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(self._docs, headers={"Content-Security-Policy": policy})

    def _asked(self, body: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the validated text and the unit of a request body."""
        field = self._workload.text_field
        units = [name for name in _UNIT_FIELDS if name != field]
        _reject_unknown_fields(body, (field, *units))
        text = body.get(field)
        if text is not None and takes_json(self._workload):
            text = _as_text(field, text)
        if not isinstance(text, str) or not 1 <= len(text) <= self._workload.max_chars:
            raise Problem(422, f"bad_{field}", f"{field} must be text of 1 to {self._workload.max_chars} characters")
        return text, _unit(body, units)

    def _when(self, request: Request) -> tuple[str, int]:
        """Return the source (``live`` or ``replay``) and start time of a request; only replay may set its time."""
        source, at = request.headers.get("x-spine-source"), request.headers.get("x-spine-time")
        if source is None and at is None:
            return "live", time.time_ns()
        if not self._allow_replay:
            raise Problem(403, "replay_refused", "replayed traffic needs a server started with --allow-replay")
        if source != "replay":
            raise Problem(422, "bad_source", "X-Spine-Source must be replay")
        return "replay", time.time_ns() if at is None else _simulated_ns(at)


def _as_text(field: str, value: Any) -> str:
    """Return an input that may be any JSON as the one text by which everything downstream knows it."""
    try:
        return as_text(value)
    except BadInput as error:
        raise Problem(422, f"bad_{field}", error.message) from error


def _unit(body: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the unit of a request, in the one spelling by which everything downstream knows it."""
    given = [name for name in names if body.get(name) is not None]
    if not given:
        return None
    if len(given) > 1:  # even where they are equal: a caller that sends both does not know which one counts
        raise Problem(422, "two_units", f"give {' or '.join(given)}, and not both")
    (name,) = given
    unit = body[name]
    if not (isinstance(unit, str) and 1 <= len(unit) <= _UNIT_CHARS):
        raise Problem(422, f"bad_{name}", f"{name} must be text of 1 to {_UNIT_CHARS} characters")
    try:
        return learner_of(unit)
    except ValueError as error:
        raise Problem(422, f"bad_{name}", f"{name}: {error}") from error


def _simulated_ns(at: str) -> int:
    try:
        if _RFC3339.fullmatch(at) is None:
            raise ValueError
        moment = datetime.fromisoformat(at.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem(422, "bad_time", "X-Spine-Time must be an RFC 3339 time such as 2026-03-02T08:00:00Z") from error
    if not 1970 <= moment.year <= 2200:
        raise Problem(422, "bad_time", "X-Spine-Time must be between the years 1970 and 2200")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _reject_unknown_fields(body: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise ``Problem`` for a field that is not in ``known``."""
    # Ignoring it would be worse: a misspelt unit would silently lose its sticky assignment.
    if not body.keys() <= set(known):
        raise Problem(422, "unknown_field", f"the only fields allowed are {' and '.join(known)}")


def _answer_body(done: Done, id_note: str) -> dict[str, Any]:
    answer, trace = done.answer, done.trace
    return {
        **answer.fields,
        "output": answer.output,
        "accepted": answer.accepted,
        "correction": answer.output,
        "is_correct": answer.accepted,
        "in_scope": answer.in_scope,
        "request_id": trace.request_id,
        **({"request_id_replaced": id_note} if id_note else {}),
        **({"retry_of": trace.retry_of} if trace.retry_of else {}),
        "model_sha": trace.entry_sha,
        "semver": trace.semver,
        "arm": trace.assignment.arm,
        "epoch": trace.assignment.epoch,
        "traffic_assignment": msgspec.to_builtins(trace.assignment),
        "usage": {
            "input_tokens": trace.input_tokens,
            "output_tokens": trace.output_tokens,
            "cost_usd": trace.cost if trace.currency == "USD" else None,
            "cost": trace.cost,
            "currency": trace.currency,
        },
    }


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(value), status, headers=headers, media_type=JSON)
