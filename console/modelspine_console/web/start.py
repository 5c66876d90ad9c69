"""``spine console --web`` as a command: the listening socket, the printed address, and the end."""

from __future__ import annotations

import argparse
import asyncio
import errno
import socket
import sys
from collections.abc import Sequence

from modelspine.cli.output import Out
from modelspine.errors import BadInput, Unavailable

HOST = "127.0.0.1"
"""The only address it listens on."""
PORT = 8000
"""The port if none is given."""


def run(args: argparse.Namespace, words: Sequence[str]) -> int:
    """Serve consoles that are started with these words, until a signal arrives; returns 0.

    Raises:
        BadInput: the port is none.
        Unavailable: the port is in use or not permitted.
    """
    from modelspine_console.web.access import Access
    from modelspine_console.web.server import serve

    access, out = Access(), Out.of(args)
    with listen(PORT if args.port is None else args.port) as listening:
        url = f"http://{HOST}:{listening.getsockname()[1]}/?token={access.token}"

        def ready() -> None:
            if out.json:
                out.object({"url": url, "write": bool(args.write)})
            else:
                out.line("the console is at ", url)
                out.line(
                    f"{'changes are allowed' if args.write else 'read-only'}; the address works once, in the browser "
                    "that opens it first; Ctrl-C ends it"
                )
            sys.stdout.flush()

        asyncio.run(serve(access, words, listening, ready))
    return 0


def listen(port: int) -> socket.socket:
    """A socket that listens on this machine's loopback address.

    Raises:
        BadInput: the port is none.
        Unavailable: it is in use or not permitted.
    """
    if not 0 <= port <= 65535:
        raise BadInput(f"{port} is not a valid port", "choose a port from 1 to 65535, or 0 for a free one")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(f"port {port} on {HOST} is in use", "let `--port 0` pick a free one") from error
        raise Unavailable(f"cannot listen on {HOST} port {port}: {error.strerror}", "choose another --port") from error
    return listening
