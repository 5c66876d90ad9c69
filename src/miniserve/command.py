"""The command ``spine serve``: its options, the listening socket and the start message.

Every ``spine`` command imports this module, so the HTTP stack is imported only when the server runs.
It does not know how a request is answered.
"""

from __future__ import annotations

import argparse
import errno
import logging
import socket
import sys
from typing import TYPE_CHECKING, Any

from modelspine import frames
from modelspine.errors import BadInput, Unavailable
from modelspine.settings import MOST_WORKERS

if TYPE_CHECKING:
    from miniserve.arms import Serving
    from modelspine.spine import Spine

_BATCH = 8
_MOST = 4096
"""The longest queue and the largest batch."""


def command(subparsers: Any) -> None:
    """Add ``serve`` to the ``spine`` command."""
    parser = subparsers.add_parser("serve", help="serve the models of the current route over HTTP")
    parser.add_argument("--host", help="address to listen on (default: the setting `host`)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 picks a free port (default: the setting `port`)")
    parser.add_argument(
        "--workers", type=int, help="processes that answer, each on one core (default: the setting `workers`)"
    )
    parser.add_argument("--queue", type=int, default=16, help="most requests waiting; others get 503 (default 16)")
    parser.add_argument(
        "--batch", type=int, help=f"most texts per batch (default {_BATCH}; fewer where max_body_kb is above 4096)"
    )
    parser.add_argument("--rate", type=float, help="most requests per second; others get 429 (default: no limit)")
    parser.add_argument("--allow-replay", action="store_true", help="accept replayed traffic with simulated times")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Serve until a signal arrives; returns 0 after an orderly shutdown.

    Raises:
        BadInput: an option is out of range, or there is no route yet.
        Unavailable: the address cannot be bound, or a store cannot be used.

    """
    _check(args)
    batch = batch_size(args.batch, spine.settings.max_body_kb)
    host = args.host or spine.settings.host
    sock = listen(host, spine.settings.port if args.port is None else args.port)

    from importlib.metadata import version

    from miniobserve.logs import log_to
    from miniserve.server import Options, serve
    from modelspine.model_pool import cores

    log_to(sys.stderr)
    log_to(sys.stderr, level=logging.WARNING, names=("uvicorn",))
    options = Options(
        version=version("modelspine"),
        workers=args.workers or spine.settings.workers or min(cores(), MOST_WORKERS),
        queue=args.queue,
        batch=batch,
        allow_replay=args.allow_replay,
        rate=args.rate,
    )

    def ready(serving: Serving) -> None:
        stable = serving.route.stable
        url = f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}"
        line = f"serving {stable.semver} {stable.sha[:4]}…  on {url}  (Ctrl-C finishes open requests and stops)\n"
        sys.stdout.write(line)
        sys.stdout.flush()

    with sock:
        serve(spine, sock, options, ready)
    return 0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Raises:
        Unavailable: the address is in use, does not belong to this machine, or is not permitted.

    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
    except (OSError, OverflowError) as error:
        raise Unavailable(f"{host!r} is not an address of this machine", "use --host 127.0.0.1") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1024)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"stop the process that uses it (`fuser {port}/tcp` shows it), or let --port 0 pick a free port"
            raise Unavailable(f"port {port} on {host} is in use", hint) from error
        raise Unavailable(f"cannot listen on {host} port {port}: {error.strerror}", "choose another --port") from error
    return sock


def _check(args: argparse.Namespace) -> None:
    if args.port is not None and not 0 <= args.port <= 65535:
        raise BadInput(f"{args.port} is not a valid port", "choose a port from 1 to 65535, or 0 for a free one")
    if args.workers is not None and not 1 <= args.workers <= MOST_WORKERS:
        raise BadInput(f"--workers must be between 1 and {MOST_WORKERS}", "omit --workers for the default")
    for name in ("queue", "batch"):
        if (given := getattr(args, name)) is not None and not 1 <= given <= _MOST:
            raise BadInput(f"--{name} must be between 1 and {_MOST}", f"omit --{name} for the default")
    if args.rate is not None and not 0 < args.rate < float("inf"):
        raise BadInput("--rate must be above 0", "omit --rate for no limit")


def batch_size(wanted: int | None, max_body_kb: int) -> int:
    """Return how many texts a batch may have: as many as wanted, or the default as far as the largest bodies allow it.

    Raises:
        BadInput: a batch of the largest bodies would be more than one message to a worker may hold.
    """
    # Half of a message is for what the model makes of the texts.
    most = frames.MOST_BYTES // 2 // (max_body_kb * 1024) if max_body_kb else _MOST
    if wanted is not None and wanted > most:
        raise BadInput(
            f"a batch of {wanted} bodies of {max_body_kb:,} KiB is more than a worker takes at once",
            f"choose --batch {most}, or a lower max_body_kb",
        )
    return wanted if wanted is not None else min(_BATCH, most)
