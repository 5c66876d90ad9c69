"""Temporary schemas on a real PostgreSQL server, and faults to inject: killed backends, connections cut by a proxy.

``SPINE_TEST_POSTGRES`` names another server; without one that answers the tests are skipped and say so.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest

_GUESSES = ("postgresql://root@127.0.0.1:5432/test", "postgresql://postgres@127.0.0.1:5432/postgres")


@lru_cache
def server() -> str | None:
    """Return the URL of a reachable server, or None."""
    given = os.environ.get("SPINE_TEST_POSTGRES")
    for url in (given,) if given else _GUESSES:
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(url, connect_timeout=2).close()
            return url
    return None


@contextmanager
def fresh_schema() -> Iterator[str]:
    """Yield the URL of a new schema, which is dropped afterwards."""
    url = server()
    if url is None:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432 (SPINE_TEST_POSTGRES names another one)")
    name = f"spine_{secrets.token_hex(6)}"
    admin(url, f"CREATE SCHEMA {name}")
    try:
        yield f"{url}?schema={name}&application_name={name}&sslmode=disable"
    finally:
        end_backends(name)
        admin(url, f"DROP SCHEMA {name} CASCADE")


def schema_of(url: str) -> str:
    """Return the schema in a URL of ``fresh_schema``, which is also the application name."""
    return url.partition("?schema=")[2].partition("&")[0]


def admin(url: str, *statements: str) -> list[Any]:
    """Run statements as the superuser, bypassing a schema's triggers; returns the rows of the last one."""
    bare, schema = url.partition("?")[0], schema_of(url)
    rows: list[Any] = []
    with psycopg.connect(bare, autocommit=True) as connection:
        if schema:
            connection.execute(f'SET search_path = "{schema}"')
            connection.execute("SET session_replication_role = replica")
        for statement in statements:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    return rows


def end_backends(name: str) -> int:
    """Terminate every connection of an application; returns their number."""
    url = server()
    assert url is not None
    found = admin(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE application_name = '{name}' AND pid <> pg_backend_pid()",
    )
    return sum(1 for (ended,) in found if ended)


class Cut:
    """A proxy that cuts the connection around a COMMIT: ``before`` it reaches the server, or ``after`` it took effect.

    ``armed`` counts the cuts still to make, ``fired`` those made.
    """

    def __init__(self, url: str, when: str) -> None:
        host, _, port = url.partition("@")[2].partition("/")[0].partition(":")
        self._target = (host, int(port or 5432))
        self._when = when
        self.armed = 0
        self.fired = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f"@{host}:{port}", f"@127.0.0.1:{self._listener.getsockname()[1]}")
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Refuse new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def reopen(self) -> None:
        """Accept connections again, on the same port."""
        port = int(self.url.partition("@127.0.0.1:")[2].partition("/")[0])
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as upstream:
            cut = threading.Event()
            threading.Thread(target=self._back, args=(upstream, client, cut), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if self.armed and b"Q\x00\x00\x00\x0bCOMMIT\0" in data:
                        self.armed -= 1
                        self.fired += 1
                        if self._when == "before":
                            break
                        cut.set()
                    upstream.sendall(data)
            for side in (client, upstream):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def _back(self, upstream: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                if cut.is_set():  # the server says that it committed, and nobody hears it
                    break
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
