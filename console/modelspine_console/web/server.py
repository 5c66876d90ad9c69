"""The server of the console in a browser: its page, and one console process for each open page.

``access`` decides about every request before anything else happens. It listens on the loopback address only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from modelspine_console.web.access import COOKIE, Access, foreign
from modelspine_console.web.child import Child
from modelspine_console.web.page import OWN, headers, own, page, refusal

MOST = 4
"""Consoles at a time: each is a process of its own."""
_LONGEST_MESSAGE = 1_000_000
"""Bytes of a message; the longest is a text that was pasted."""
_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The pages and consoles of one ``spine console --web``."""

    def __init__(self, access: Access, words: Sequence[str]) -> None:
        self._access = access
        self._words = words
        self._open: set[web.WebSocketResponse] = set()

    def app(self) -> web.Application:
        """Everything it answers."""
        app = web.Application(middlewares=[_guard(self._access)], client_max_size=1024)
        app.router.add_get("/", self._page, allow_head=False)
        app.router.add_get("/ws", self._websocket, allow_head=False)
        for name in OWN:
            app.router.add_get(f"/{name}", _own, allow_head=False)
        app.router.add_static("/static", Path(str(files("textual_serve").joinpath("static"))))
        return app

    async def close(self) -> None:
        """End every console."""
        for websocket in list(self._open):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await websocket.close(code=1001)

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=page(request.headers["Host"]), content_type="text/html")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if len(self._open) >= MOST:
            return web.Response(status=503, text=f"{MOST} consoles are open already; close one\n")
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=_LONGEST_MESSAGE)
        self._open.add(websocket)
        try:
            await websocket.prepare(request)
            await self._converse(websocket, _number(request.query.get("width")), _number(request.query.get("height")))
        finally:
            self._open.discard(websocket)
        return websocket

    async def _converse(self, websocket: web.WebSocketResponse, width: int | None, height: int | None) -> None:
        """Run one console for one page, until either ends."""
        child = await Child.start(self._words, width or 80, height or 24)
        drawing = asyncio.create_task(_drawn(child, websocket))
        try:
            async for message in websocket:
                if message.type is WSMsgType.TEXT:
                    await _take(message.data, child, websocket)
        finally:
            await asyncio.shield(_finish(child, drawing))


async def serve(access: Access, words: Sequence[str], listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal arrives, then end every console."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _END:
        loop.add_signal_handler(number, ended.set)
    server = Server(access, words)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=8.0)  # longer than a console may take
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        ready()
        await ended.wait()
    finally:
        await server.close()
        await runner.cleanup()


def _guard(access: Access) -> Any:
    """The check before every answer, whatever the path is; it also adds the headers."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        refused = foreign(host, request.headers.get("Origin"), websocket=request.path == "/ws")
        session: str | None = None
        token = request.query.get("token")
        if refused is not None:
            return _refused(refused, "open the address that `spine console --web` printed")
        if token is not None and request.method == "GET" and request.path == "/":
            session = access.enter(token)
            if session is None:
                hint = f"the browser that opened it first has its console at http://{host}/"
                return _refused("this address is not valid, or was used before: it works once", hint)
        elif not access.admits(request.cookies.get(COOKIE)):
            return _refused("this browser did not open the printed address", "run `spine console --web` for a new one")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.reason}\n")
        if session is not None:
            response.set_cookie(COOKIE, session, httponly=True, samesite="Strict", path="/")
        if not response.prepared:
            for name, value in headers(host).items():
                response.headers[name] = value
        return response

    return guard


def _refused(sentence: str, hint: str) -> web.Response:
    text = refusal(sentence, hint)
    return web.Response(status=403, text=text, content_type="text/html", headers=headers("127.0.0.1"))


async def _own(request: web.Request) -> web.Response:
    name = request.path.removeprefix("/")
    return web.Response(text=own(name), content_type=OWN[name])


async def _drawn(child: Child, websocket: web.WebSocketResponse) -> None:
    """Pass on what a console draws, and close its page when it ends."""
    if not await child.draw(websocket.send_bytes):
        with contextlib.suppress(ConnectionError, RuntimeError):
            await websocket.send_bytes(b"The console could not start; the terminal of the server says why.\r\n")
    with contextlib.suppress(ConnectionError, RuntimeError):
        await websocket.close()


async def _finish(child: Child, drawing: asyncio.Task[None]) -> None:
    await child.stop()
    await drawing


async def _take(text: str, child: Child, websocket: web.WebSocketResponse) -> None:
    """One message of the page; one that is none is ignored."""
    try:
        match json.loads(text):
            case ["stdin", str(typed)]:
                await child.type(typed)
            case ["resize", {"width": int(width), "height": int(height)}]:
                await child.resize(width, height)
            case ["focus" | "blur" as kind, *_]:
                await child.tell(kind)
            case ["ping", answer]:
                await websocket.send_json(["pong", answer])
    except (ValueError, RecursionError, ConnectionError):
        return


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None
