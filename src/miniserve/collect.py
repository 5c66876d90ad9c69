"""``spine collect``: receives OpenTelemetry's spans of a server that is not ours, over OTLP/HTTP.

It serves ``POST /v1/traces``, ``GET /v1/assign`` and ``POST /v1/feedback``, and knows nothing of what a span means.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from miniobserve.cost import CostMeter
from miniobserve.pending import PendingSpans
from miniobserve.reader import TraceReader
from miniobserve.uptime import Uptime
from miniobserve.writer import TraceWriter
from miniserve.collect_metrics import CollectMetrics
from miniserve.collector import MOST_BYTES, Collector, media_type
from miniserve.cors import NO_ORIGINS
from miniserve.entrance import Entrance
from miniserve.feedback import feedback
from miniserve.limits import FEEDBACK, BodyLimit, Guard
from miniserve.otlp_spans import JSON, PROTOBUF, response
from miniserve.replies import JSON as JSON_TYPE
from miniserve.replies import Problem, to_json
from miniserve.server import DrainingServer, http_config
from miniserve.watch import Watch, ledger_route
from modelspine.errors import BadInput, SpineError
from modelspine.kept_files.keeper import Keeper
from modelspine.ledger.store import storage_errors
from modelspine.project import DAYS
from modelspine.recording.assigning import assigned
from modelspine.recording.recorder import Recorder
from modelspine.spine import Spine

TRACES = "/v1/traces"


def collect(spine: Spine, sock: socket.socket, ready: Callable[[], None]) -> None:
    """Receive spans on a bound socket until a signal; calls ``ready`` once they are accepted.

    Raises:
        SpineError: the ledger or the trace store cannot be used.
        ModuleNotFoundError: protobuf's messages of OpenTelemetry are not installed.
    """
    import opentelemetry.proto.collector.trace.v1.trace_service_pb2  # noqa: F401 -- fails here and not at a request

    settings, metrics = spine.settings, CollectMetrics()
    recorder = Recorder(spine)
    with contextlib.ExitStack() as stack, storage_errors():
        days = settings.cache / DAYS
        # It counts as a running server; the machine that answers is another one, so its time has no rent.
        uptime = Uptime(CostMeter(None, settings.price_version, settings.cost.currency))
        writer = TraceWriter(
            settings.traces, archive=settings.parquet, cache=days, uptime=uptime, keeper=spine.labelling
        )
        stack.callback(writer.close)
        pending = PendingSpans(settings.traces)
        stack.callback(pending.close)
        reader = TraceReader.open(settings.traces, settings.parquet, settings.cache)
        stack.callback(reader.close)
        most = settings.max_body_kb * 1024 or MOST_BYTES
        keeper = Keeper(settings.files) if settings.keeps_files else None
        if keeper is not None:
            stack.callback(keeper.close)
        collector = Collector(recorder, writer, pending, reader, settings.collect, metrics, most, keeper)
        stack.callback(collector.close)
        judging = Spine(settings, readonly=False)
        watch = Watch(judging, ledger_route(judging), on_decision=metrics.judged)
        stack.callback(watch.stop)
        app = Receiving(make_app(collector), collector)
        entrance = Entrance(TRACES, collector.crowded)
        DrainingServer(http_config(app, entrance), collector, ready).run([sock])


def make_app(collector: Collector) -> ASGIApp:
    """Build the ASGI application of a collector."""
    pages = Pages(collector)
    router = Router(
        [
            Route(TRACES, pages.traces, methods=["POST"]),
            Route("/v1/assign", pages.assign, methods=["GET"]),
            Route(FEEDBACK, feedback(collector.say, numbers=collector.labels_are_numbers), methods=["POST"]),
            Route("/v1/route", pages.route, methods=["GET"]),
            Route("/healthz", pages.healthz, methods=["GET"]),
            Route("/readyz", pages.readyz, methods=["GET"]),
            Route("/metrics", pages.metrics, methods=["GET"]),
        ],
        redirect_slashes=False,
    )

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = router  # makes Starlette raise for 404 and 405, so that Guard replies with JSON
        await router(scope, receive, send)

    limits = {TRACES: BodyLimit(collector.most_bytes, (b"gzip",))}
    return Guard(routed, on_refused=collector.metrics.refuse, origins=NO_ORIGINS, limits=limits)


class Receiving:
    """Counts the exports that are being received, from their headers to the reply."""

    def __init__(self, app: ASGIApp, collector: Collector) -> None:
        self._app = app
        self._collector = collector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        counts = scope["type"] == "http" and scope["path"] == TRACES
        self._collector.receiving += counts
        try:
            await self._app(scope, receive, send)
        finally:
            self._collector.receiving -= counts


class Pages:
    """One handler method per route."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def traces(self, request: Request) -> Response:
        """POST /v1/traces: an OTLP export; the reply is sent once its spans are durable."""
        kind = media_type(request.headers)
        if kind not in (PROTOBUF, JSON):
            raise Problem(415, "unsupported_type", f"send {PROTOBUF} or {JSON}")
        if (reason := self._collector.unready()) is not None:
            raise Problem(503, "not_ready", reason, {"Retry-After": "2"})
        compressed = request.headers.get("content-encoding", "").strip().lower() == "gzip"
        export = await self._collector.take(await request.body(), kind, compressed=compressed)
        return Response(response(kind, export.rejected, export.reason), media_type=kind)

    async def assign(self, request: Request) -> Response:
        """GET /v1/assign?unit=U: the entry that is to answer a unit."""
        unit = _only_unit(request.scope["query_string"])
        try:
            route = await self._collector.route()
        except SpineError as error:
            raise Problem(503, "no_route", f"no unit can be assigned: {error.message}", {"Retry-After": "2"}) from error
        try:
            return _json(msgspec.to_builtins(assigned(route, unit)))
        except BadInput as error:
            raise Problem(422, "bad_unit", error.message) from error

    async def route(self, _request: Request) -> Response:
        """GET /v1/route: the route in force."""
        try:
            return _json(msgspec.to_builtins(await self._collector.route()))
        except SpineError as error:
            raise Problem(503, "no_route", error.message, {"Retry-After": "2"}) from error

    async def healthz(self, _request: Request) -> Response:
        """GET /healthz: liveness; replies whenever the process runs."""
        return _json({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """GET /readyz: whether to send spans here, and what keeps them from being joined."""
        reason, joiner = self._collector.unready(), self._collector.joiner
        body = {"ready": reason is None, "reason": reason, "join_problem": joiner.problem, "waiting": joiner.waiting}
        return _json(body, 200 if reason is None else 503)

    async def metrics(self, _request: Request) -> Response:
        """GET /metrics: the metrics in Prometheus text format."""
        metrics = self._collector.metrics
        text = metrics.render(queue_depth=self._collector.joiner.waiting, slots_used=0)
        return Response(text, media_type=metrics.content_type)


def _only_unit(query: bytes) -> str:
    """The unit that a query names.

    Raises:
        Problem: 422 if it names none or several, another parameter, or a unit that is not UTF-8: with replacement
            characters, different units would be one.
    """
    try:
        ((name, unit),) = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        name = unit = ""
    if name != "unit":
        usage = "give one parameter in UTF-8: ?unit=ID of the user, customer, device or request"
        raise Problem(422, "bad_unit", usage)
    return unit


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type=JSON_TYPE)
