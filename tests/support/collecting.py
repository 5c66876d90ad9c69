"""``spine collect`` in a process of its own, and a service with an unmodified OpenTelemetry SDK that sends it spans."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from miniobserve.traces import Trace
from modelspine.spine import open_spine

_MAIN = "import sys; from modelspine.cli import main; sys.exit(main())"


class Collecting:
    """A collector on a free port."""

    def __init__(self, root: Path, *words: str) -> None:
        self.root = root
        self.log = root / f"collect-{os.urandom(4).hex()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, *(words or ("collect", "--port", "0"))],
                cwd=root, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        if not self.line:
            raise RuntimeError(f"it ended with {self.process.wait()}: {self.log.read_text()}")
        self.url = (
            re.sub(r".* on (http\S+) .*\s", r"\1", self.line) if " on http" in self.line else "http://127.0.0.1:9"
        )
        self.http = httpx.Client(base_url=self.url, timeout=15)

    def export(self, *spans: dict[str, Any], **headers: str) -> httpx.Response:
        """Send spans as JSON."""
        body = {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}
        return self.http.post("/v1/traces", json=body, headers=headers)

    def trace(self, name: str, seconds: float = 60) -> Trace:
        """The stored trace with this request or trace id, once it is there."""
        return self.traces(name, 1, seconds)[0]

    def traces(self, name: str, n: int, seconds: float = 60) -> tuple[Trace, ...]:
        """The stored requests of a trace, once there are ``n``."""
        until = time.monotonic() + seconds
        with open_spine(self.root, readonly=True) as spine:
            while True:
                found = spine.traces.get(name)
                traces = (found,) if found and n == 1 else spine.traces.of_trace(name)
                if len(traces) >= n:
                    return traces
                assert time.monotonic() < until, (name, self.http.get("/metrics").text, self.log.read_text())
                time.sleep(0.05)

    def counted(self, what: str) -> int:
        """A counter of the collector."""
        for line in self.http.get("/metrics").text.splitlines():
            if line.startswith(f'spine_collected_total{{what="{what}"}}'):
                return int(float(line.split()[-1]))
        return 0

    def until(self, what: str, n: int, seconds: float = 60) -> None:
        """Wait until a counter is ``n``."""
        end = time.monotonic() + seconds
        while self.counted(what) != n:
            assert time.monotonic() < end, (what, n, self.http.get("/metrics").text)
            time.sleep(0.05)

    def close(self) -> int:
        """Stop it in order; returns its exit code."""
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.close()
        self.http.close()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Service:
    """A classifier's server as OpenTelemetry instruments it: a SERVER span, and below it that of the model."""

    def __init__(self, url: str) -> None:
        self._provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{url}/v1/traces", compression=Compression.Gzip)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
        self._tracer = self._provider.get_tracer("service")

    def answer(self, text: str, label: str, model: str, unit: str | None = None, **more: Any) -> str:
        """Answer one request; returns its trace id."""
        with self._tracer.start_as_current_span("POST /classify", kind=SpanKind.SERVER) as root:
            if unit is not None:
                root.set_attribute("user.id", unit)
            with (
                self._tracer.start_as_current_span("handler"),
                self._tracer.start_as_current_span("chat classifier", kind=SpanKind.CLIENT) as span,
            ):
                said = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
                answered = [{"role": "assistant", "parts": [{"type": "text", "content": label}]}]
                span.set_attributes(
                    {
                        "gen_ai.operation.name": "chat",
                        "gen_ai.request.model": model,
                        "gen_ai.input.messages": json.dumps(said),
                        "gen_ai.output.messages": json.dumps(answered),
                        "gen_ai.usage.input_tokens": 12,
                        "gen_ai.usage.output_tokens": 3,
                        **more,
                    }
                )
            return f"{root.get_span_context().trace_id:032x}"

    def flush(self) -> None:
        """Send all."""
        assert self._provider.force_flush()

    def close(self) -> None:
        self._provider.shutdown()


def new_trace() -> str:
    return secrets.token_hex(16)


def new_span() -> str:
    return secrets.token_hex(8)


def span(
    trace: str, *, parent: str = "", kind: int = 1, at: int | None = None, own: str = "", **given: Any
) -> dict[str, Any]:
    """A span in OTLP's JSON; ``given`` are attributes with ``__`` for dots."""
    start = time.time_ns() if at is None else at
    return {
        "traceId": trace, "spanId": own or new_span(), "parentSpanId": parent, "name": "x", "kind": kind,
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 5_000_000),
        "attributes": [{"key": name.replace("__", "."), "value": value_of(value)} for name, value in given.items()],
    }  # fmt: skip


def value_of(value: Any) -> dict[str, Any]:
    """A value in OTLP's JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
