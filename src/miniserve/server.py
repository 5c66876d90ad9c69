"""One serving process: starts its parts in order, handles signals, and shuts down cleanly.

The first SIGTERM or SIGINT stops accepting requests, finishes those in flight and makes their traces durable. The
second exits immediately; even then every reply already sent has its trace. It does not know the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Protocol

import msgspec
import uvicorn
from starlette.types import ASGIApp

from miniobserve.cost import CostMeter, TokenPrice
from miniobserve.metrics import Metrics
from miniobserve.otlp import SpanExporter, is_configured
from miniobserve.uptime import Uptime
from miniobserve.writer import TraceWriter
from miniserve.app import Contract, make_app
from miniserve.arms import Arms, Serving
from miniserve.cors import NO_ORIGINS, Origins
from miniserve.crowd import ACCEPTED_AT_ONCE, Crowd, most_connections
from miniserve.entrance import Entrance
from miniserve.hour_copies import HourCopies
from miniserve.limits import MAX_BODY
from miniserve.pending import Answered
from miniserve.pool import Pool
from miniserve.private_bundles import PrivateBundles
from miniserve.protocol import RECEIVE_SECONDS, DeadlineProtocol
from miniserve.record import Copy, TracePolicy, shadow_trace
from miniserve.service import Service
from miniserve.shadow import Shadow, shadow_terms
from miniserve.standby import Standby
from miniserve.terms import Terms
from miniserve.testers import Testers
from miniserve.watch import Watch
from modelspine.errors import Unavailable
from modelspine.ledger.store import storage_errors
from modelspine.model_process import Place
from modelspine.project import DAYS
from modelspine.recording.redaction import Redaction
from modelspine.spine import Spine
from modelspine.workload import plugin_of

WORKER_NICE = 5
"""Under overload, refusing what cannot be answered must not wait for a core."""
DRAIN_SECONDS = 6
BACKLOG = 1024
"""Connections that may wait in the kernel to be accepted."""
_SECOND_SIGNAL_EXIT = 130
_log = logging.getLogger("miniserve")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is run."""

    version: str
    workers: int = 1
    """Processes that answer; one more stands by."""
    queue: int = 16
    batch: int = 8
    allow_replay: bool = False
    rate: float | None = None


def serve(spine: Spine, sock: socket.socket, options: Options, ready: Callable[[Serving], None]) -> None:
    """Serve the project's route on a bound socket until a signal; calls ``ready`` once requests are accepted.

    Raises:
        BadInput: there is no route yet.
        CannotAnswer: a table describes the workload, so there is no model to load.
        Damaged, Unavailable: a bundle, the ledger or the trace store cannot be used.

    """
    plugin = plugin_of(spine.settings.workload)
    # Python's default of 5 ms would let the thread that writes traces delay the event loop by up to 5 ms.
    sys.setswitchinterval(0.001)
    asyncio.run(_serve(spine, plugin, sock, options, ready))


async def _serve(
    spine: Spine, plugin: str, sock: socket.socket, options: Options, ready: Callable[[Serving], None]
) -> None:
    settings, workload = spine.settings, spine.workload
    metrics = Metrics()
    policy = _trace_policy(spine, options.workers)
    with storage_errors():
        _make_home(spine)
        days, copies, keeper = settings.parquet, settings.cache / DAYS, spine.labelling
        writer = TraceWriter(settings.traces, archive=days, cache=copies, uptime=Uptime(policy.meter), keeper=keeper)

    def record(copy: Copy, answered: Answered | None, began: float, error: str) -> None:
        # The future is not awaited: no reply depends on a copy, so a lost trace only makes the sample smaller.
        writer.submit(shadow_trace(copy, answered, began, error, policy))

    keeps_text = settings.text_policy == "full"
    limited = shadow_terms(settings.worker_memory_mb, keeps_text=keeps_text)
    copied, loaded = PrivateBundles(spine.registry), PrivateBundles(spine.registry, lambda: pool.entries)
    shadow = Shadow(plugin, copied, record, on_dropped=metrics.shadow_dropped, terms=limited)
    place = Place(memory_mb=settings.worker_memory_mb, nice=WORKER_NICE, keeps_text=keeps_text)
    pool = Pool(plugin, loaded, Terms(workers=options.workers, queue=options.queue, batch=options.batch, place=place))
    arms = Arms(spine.ledger, spine.registry, pool, on_change=_announce(metrics, shadow))
    spans = _spans(settings.otlp, metrics)
    service = Service(arms, pool, writer, metrics, policy, spans.submit if spans else None, shadow)
    testers = Testers.load(settings, spine.registry.state().env, spine.ledger.events()[0].hash)
    origins, most = Origins(settings.cors_origins), settings.max_body_kb * 1024 or MAX_BODY
    contract = Contract(workload, options.version, options.allow_replay, options.rate, shadow, testers, origins, most)
    standby = watch = hours = None
    try:
        await pool.start()
        await asyncio.to_thread(arms.start)
        # What was made until now lasts as long as the server: without it a full collection takes no milliseconds.
        gc.collect()
        gc.freeze()
        standby = Standby(spine.ledger.head, spine.registry)
        supervising = Spine(settings, readonly=False)
        hours = HourCopies(supervising.traces.requests.copy, settings.cache / "slices")
        watch = Watch(supervising, lambda: arms.current.route, on_decision=metrics.judged)
        await _run(service, contract, sock, ready)
    finally:
        # Before the threads that may wait for a model to load.
        await pool.close()
        await shadow.close()
        for thread in (standby, watch, hours, arms):
            if thread is not None:
                thread.stop()
        for bundles in (copied, loaded):
            bundles.close()
        writer.close()
        if spans:
            spans.close()


def _make_home(spine: Spine) -> None:
    """Make the project's folder on a machine that has none, as a new replica of a shared ledger."""
    try:
        spine.settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        wrong = f"{spine.settings.home} cannot be made: {error.strerror}"
        raise Unavailable(wrong, "check who may write there, or set `home`") from error


def _trace_policy(spine: Spine, workers: int) -> TracePolicy:
    """Return how this server prices and redacts the requests it traces."""
    settings = spine.settings
    redaction = Redaction(text=settings.text_policy, learner_salt=spine.ledger.events()[0].hash)
    prices = settings.cost
    meter = CostMeter(
        settings.rate_per_hour,
        settings.price_version,
        prices.currency,
        # A shadow's process is none of them: it runs on what the workers leave idle.
        workers=workers,
        tokens={name: TokenPrice(row.input, row.output) for name, row in prices.tokens.items()},
    )
    return TracePolicy(meter, redaction)


async def _run(service: Service, contract: Contract, sock: socket.socket, ready: Callable[[Serving], None]) -> None:
    entrance = Entrance(contract.workload.http_path, service.crowded, service.arrived)
    config = http_config(make_app(service, contract), entrance, contract.origins)
    await DrainingServer(config, service, lambda: ready(service.arms.current)).serve([sock])


def http_config(app: ASGIApp, entrance: Entrance, origins: Origins = NO_ORIGINS) -> uvicorn.Config:
    """Return how uvicorn runs an application here: with deadlines and limits, and without what nothing uses."""
    return uvicorn.Config(
        app,
        http=partial(  # type: ignore[arg-type]  # uvicorn calls it, no more
            DeadlineProtocol, entrance=entrance, crowd=Crowd(most_connections()), origins=origins
        ),
        proxy_headers=False,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(RECEIVE_SECONDS),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=ACCEPTED_AT_ONCE,  # asyncio accepts so many connections before it lets any of them be counted
    )


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


class Drains(Protocol):
    """What is told that its server drains."""

    draining: bool


class DrainingServer(uvicorn.Server):
    """uvicorn's server with its own signal handling: the first signal drains, the second exits."""

    def __init__(self, config: uvicorn.Config, service: Drains, ready: Callable[[], None]) -> None:
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
