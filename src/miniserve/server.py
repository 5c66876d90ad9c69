"""One serving process: starts its parts in order, handles signals, and shuts down cleanly.

The first SIGTERM or SIGINT stops accepting requests, finishes those in flight and makes their traces durable. The
second exits immediately; even then every reply already sent has its trace. It does not know the command line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

import msgspec
import uvicorn

from miniobserve.cost import CostMeter, TokenPrice
from miniobserve.metrics import Metrics
from miniobserve.otlp import SpanExporter, is_configured
from miniobserve.uptime import Uptime
from miniobserve.writer import TraceWriter
from miniserve.app import Contract, make_app
from miniserve.arms import Arms, Serving
from miniserve.batcher import Batcher
from miniserve.crowd import ACCEPTED_AT_ONCE, Crowd, most_connections
from miniserve.protocol import RECEIVE_SECONDS, DeadlineProtocol
from miniserve.record import Copy, Redaction, TracePolicy, shadow_trace
from miniserve.replies import Problem
from miniserve.service import Service
from miniserve.shadow import Shadow
from miniserve.testers import Testers
from miniserve.watch import Watch
from modelspine.ledger.store import storage_errors
from modelspine.spine import Spine
from modelspine.workload import Answer, Workload, grade

DRAIN_SECONDS = 6
BACKLOG = 1024
"""Connections that may wait in the kernel to be accepted."""
_SECOND_SIGNAL_EXIT = 130
_log = logging.getLogger("miniserve")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is run."""

    version: str
    queue: int = 16
    batch: int = 8
    allow_replay: bool = False
    rate: float | None = None


def serve(spine: Spine, sock: socket.socket, options: Options, ready: Callable[[Serving], None]) -> None:
    """Serve the project's route on a bound socket until a signal; calls ``ready`` once requests are accepted.

    Raises:
        BadInput: there is no route yet.
        Damaged, Unavailable: a bundle, the ledger or the trace store cannot be used.

    """
    # Python's default of 5 ms would let the worker thread, which computes in many small steps, delay the event
    # loop by up to 5 ms at every step of a request.
    sys.setswitchinterval(0.001)
    workload = spine.workload
    metrics = Metrics()
    policy = _trace_policy(spine, workload)
    with storage_errors():
        writer = TraceWriter(spine.settings.traces, uptime=Uptime(policy.meter))

    def record(copy: Copy, answer: Answer | None, began: float, error: str) -> None:
        # The future is not awaited: no reply depends on a copy, so a lost trace only makes the sample smaller.
        writer.submit(shadow_trace(copy, answer, began, error, policy))

    shadow = Shadow(spine.settings.workload, spine.registry, record, on_dropped=metrics.shadow_dropped)
    arms = Arms(spine.ledger, spine.registry, workload, batch=options.batch, on_change=_announce(metrics, shadow))
    batcher = Batcher(queue=options.queue, batch=options.batch)
    spans = _spans(spine.settings.otlp, metrics)
    service = Service(arms, batcher, writer, metrics, policy, spans.submit if spans else None, shadow)
    testers = Testers.load(spine.settings, spine.registry.state().env, spine.ledger.events()[0].hash)
    contract = Contract(workload, options.version, options.allow_replay, options.rate, shadow, testers)
    watch = None
    try:
        arms.start()
        supervising = Spine(spine.settings, readonly=False)
        watch = Watch(supervising, lambda: arms.current.route, on_decision=metrics.judged)
        _run(service, contract, sock, ready)
    finally:
        if watch is not None:
            watch.stop()
        arms.stop()
        shadow.close()
        batcher.close(1.0)
        writer.close()
        if spans:
            spans.close()


def _trace_policy(spine: Spine, workload: Workload) -> TracePolicy:
    """Return how this server prices, redacts and grades the requests it traces."""
    settings = spine.settings
    redaction = Redaction(text=settings.text_policy, learner_salt=spine.ledger.events()[0].hash)
    prices = settings.cost
    meter = CostMeter(
        settings.rate_per_hour,
        settings.price_version,
        prices.currency,
        # The batcher has one worker. A shadow's process is none: it runs on what the worker leaves idle.
        workers=1,
        tokens={name: TokenPrice(row.input, row.output) for name, row in prices.tokens.items()},
    )
    return TracePolicy(meter, redaction, lambda text, output: grade(workload, text, output))


def _run(service: Service, contract: Contract, sock: socket.socket, ready: Callable[[Serving], None]) -> None:
    path = contract.workload.http_path.encode()

    def turn_away(method: bytes, url: bytes) -> Problem | None:
        return service.crowded() if method == b"POST" and url.partition(b"?")[0] == path else None

    config = uvicorn.Config(
        make_app(service, contract),
        http=partial(DeadlineProtocol, turn_away=turn_away, crowd=Crowd(most_connections())),  # type: ignore[arg-type]  # uvicorn calls it, no more
        proxy_headers=False,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(RECEIVE_SECONDS),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=ACCEPTED_AT_ONCE,  # asyncio accepts so many connections before it lets any of them be counted
    )
    DrainingServer(config, service, lambda: ready(service.arms.current)).run([sock])


def _spans(endpoint: str, metrics: Metrics) -> SpanExporter | None:
    """Return the exporter of OpenTelemetry spans, or None if no collector is configured."""
    if not is_configured(endpoint, os.environ):
        return None

    def on_state_change(reason: str | None) -> None:
        if reason is None:
            _log.info("traces are exported again")
        else:
            _log.warning("traces are not exported; replies are not affected", extra={"fields": {"reason": reason}})

    return SpanExporter(endpoint or None, count=metrics.spans, on_state_change=on_state_change)


def _announce(metrics: Metrics, shadow: Shadow) -> Callable[[Serving], None]:
    def announce(serving: Serving) -> None:
        metrics.serving([(arm.name, arm.sha, arm.semver) for arm in serving.route.learners], serving.route.epoch)
        shadow.follow(serving.route.shadow.sha if serving.route.shadow else None)

    return announce


class DrainingServer(uvicorn.Server):
    """uvicorn's server with its own signal handling: the first signal drains, the second exits."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests, then call ``ready``."""
        await super().startup(sockets)
        for sock in sockets or ():
            sock.listen(BACKLOG)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving."""
        # uvicorn would raise the signal again afterwards; here a drained server exits with 0.
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Begin to drain; exit immediately at a second signal."""
        if self.should_exit:
            os._exit(_SECOND_SIGNAL_EXIT)
        self._service.draining = True
        self.should_exit = True
