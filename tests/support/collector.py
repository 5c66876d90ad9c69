"""An OTLP collector over HTTP for tests: decodes the spans it receives by the protocol's schema and keeps them."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Mood = Literal["takes", "refuses", "hangs"]


class Received(NamedTuple):
    """One received span."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    kind: int
    code: int
    attributes: dict[str, Any]
    service: str
    trace_state: str


class Collector:
    """Listens on a free port; ``mood`` sets how it responds, ``asked`` counts the requests."""

    def __init__(self, mood: Mood = "takes") -> None:
        self.mood: Mood = mood
        self.asked = 0
        self.raw: list[bytes] = []
        self.spans: list[Received] = []
        self._let_go = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked += 1
                if collector.mood == "hangs":
                    collector._let_go.wait(60)
                    return
                took = collector.mood == "takes" and self.path == "/v1/traces"
                if took:
                    collector.keep(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200 if took else 400)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def keep(self, body: bytes) -> None:
        """Decode one request and keep its spans."""
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Received(
                            span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                            span.start_time_unix_nano, span.end_time_unix_nano, span.kind, span.status.code,
                            {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}, service,
                            span.trace_state,
                        )
                    )  # fmt: skip

    def wait(self, count: int, seconds: float = 60.0) -> list[Received]:
        """Wait until there are this many spans and return them."""
        until = time.monotonic() + seconds
        while len(self.spans) < count:
            assert time.monotonic() < until, f"{len(self.spans)} of {count} spans arrived"
            time.sleep(0.01)
        return list(self.spans)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()
