"""The commands ``spine collect`` and ``spine watch``: their options and start messages.

Every ``spine`` command may import this module, so what they run is imported only when it runs.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from modelspine.errors import BadInput

if TYPE_CHECKING:
    from modelspine.spine import Spine

PORT = 4318
"""The port of OTLP over HTTP."""


def collect_command(subparsers: Any) -> None:
    """Add ``collect`` to the ``spine`` command."""
    parser = subparsers.add_parser("collect", help="receive the spans of a server that is not ours (OpenTelemetry)")
    parser.add_argument("--host", help="address to listen on (default: the setting `host`)")
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"port to listen on; 0 picks a free one (default {PORT})"
    )
    parser.set_defaults(run=run_collect)


def watch_command(subparsers: Any) -> None:
    """Add ``watch`` to the ``spine`` command."""
    parser = subparsers.add_parser("watch", help="judge canaries while no `spine serve` or `spine collect` runs")
    parser.set_defaults(run=run_watch)


def run_collect(args: argparse.Namespace, spine: Spine) -> int:
    """Receive spans until a signal arrives; returns 0 after an orderly shutdown."""
    from miniserve.command import listen

    if not 0 <= args.port <= 65535:
        raise BadInput(f"{args.port} is not a valid port", "choose a port from 1 to 65535, or 0 for a free one")
    host = args.host or spine.settings.host
    sock = listen(host, args.port)

    from miniobserve.logs import log_to
    from miniserve.collect import collect

    log_to(sys.stderr)
    log_to(sys.stderr, level=logging.WARNING, names=("uvicorn",))

    def ready() -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}"
        sys.stdout.write(f"collecting on {url}  (Ctrl-C finishes open requests and stops)\n")
        sys.stdout.flush()

    with sock:
        collect(spine, sock, ready)
    return 0


def run_watch(args: argparse.Namespace, spine: Spine) -> int:  # noqa: ARG001 -- every command's signature
    """Judge canaries until a signal arrives."""
    from miniobserve.logs import log_to
    from miniserve.watch import Watch, ledger_route
    from modelspine.spine import Spine as Project

    log_to(sys.stderr)
    spine.registry.state()  # a ledger that cannot be read is an error now and not in a thread
    judging = Project(spine.settings, readonly=False)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    watch = Watch(judging, ledger_route(judging))
    sys.stdout.write("watching for canaries  (Ctrl-C stops; a running canary stays as it is)\n")
    sys.stdout.flush()
    ended.wait()
    watch.stop()
    return 0
