"""``spine serve``: the server as a command.

Cheap to import: the HTTP stack loads when the command runs. It does not know how a request is answered.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from modelspine.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from miniserve.arms import Serving
    from modelspine.spine import Spine

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def command(subparsers: Any) -> None:
    """Add ``serve`` to the ``spine`` command."""
    parser = subparsers.add_parser("serve", help="answer over HTTP with the entries of the route")
    parser.add_argument("--host", help="address to listen on (default: the setting `host`)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (default: the setting `port`)")
    parser.add_argument("--queue", type=int, default=16, help="how many requests may wait; more get 503 (default 16)")
    parser.add_argument("--batch", type=int, default=8, help="the most texts answered together (default 8)")
    parser.add_argument("--rate", type=float, help="requests a second; more get 429 (default: no limit)")
    parser.add_argument("--allow-replay", action="store_true", help="take replayed traffic with simulated times")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Serve until a signal; 0 after an orderly end.

    Raises:
        BadInput: an option out of range, or there is no route yet.
        Unavailable: the address cannot be listened on, or a store cannot be used.

    """
    _check(args)
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")  # before the workload loads its maths library
    host = args.host or spine.settings.host
    sock = listen(host, spine.settings.port if args.port is None else args.port)

    from importlib.metadata import version

    from miniobserve.logs import log_to
    from miniserve.server import Options, serve

    log_to(sys.stderr)
    log_to(sys.stderr, level=logging.WARNING, names=("uvicorn",))
    options = Options(
        version=version("modelspine"),
        queue=args.queue,
        batch=args.batch,
        allow_replay=args.allow_replay,
        rate=args.rate,
    )

    def ready(serving: Serving) -> None:
        stable = serving.route.stable
        url = f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}"
        line = f"serving {stable.semver} {stable.sha[:4]}…  on {url}  (ctrl-c drains and stops)\n"
        sys.stdout.write(line)
        sys.stdout.flush()

    with sock:
        serve(spine, sock, options, ready)
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address.

    Raises:
        Unavailable: it is taken, not this machine's, or not allowed.

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
            hint = f"stop what listens there (`fuser {port}/tcp` names it), or choose a free port with --port 0"
            raise Unavailable(f"port {port} on {host} is in use", hint) from error
        raise Unavailable(f"cannot listen on {host} port {port}: {error.strerror}", "choose another --port") from error
    return sock


def _check(args: argparse.Namespace) -> None:
    if args.port is not None and not 0 <= args.port <= 65535:
        raise BadInput(f"there is no port {args.port}", "choose one from 1 to 65535, or 0 for a free one")
    for name in ("queue", "batch"):
        if not 1 <= getattr(args, name) <= 4096:
            raise BadInput(f"--{name} must lie between 1 and 4096", f"leave --{name} away for the usual")
    if args.rate is not None and not 0 < args.rate < float("inf"):
        raise BadInput("--rate must be above 0", "leave --rate away for no limit")
