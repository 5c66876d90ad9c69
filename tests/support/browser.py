"""A headless Chromium, driven by its DevTools protocol over one WebSocket."""

from __future__ import annotations

import asyncio
import base64
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
"""The browser's program; None where none is installed."""


class Browser:
    """One page of it."""

    def __init__(self, devtools: ClientWebSocketResponse) -> None:
        self._devtools = devtools
        self._number = 0
        self.received = b""
        """What WebSockets of the page have received."""
        self.requested: list[str] = []
        """Addresses that the page loaded or tried to load."""

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol, and keep the events that come meanwhile."""
        self._number += 1
        number = self._number
        await self._devtools.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._devtools.receive_json(timeout=20)
            self._keep(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _keep(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Network.webSocketFrameReceived":
            frame = message["params"]["response"]
            data = frame["payloadData"]
            self.received += base64.b64decode(data) if frame["opcode"] == 2 else data.encode()
        elif message.get("method") == "Network.requestWillBeSent":
            self.requested.append(message["params"]["request"]["url"])

    async def until(self, text: str, seconds: float = 60.0) -> None:
        """Wait until the page has received a text."""
        end = time.monotonic() + seconds
        while text.encode() not in self.received:
            assert time.monotonic() < end, f"{text!r} never came: {self.received[-600:]!r}"
            await self.value("1")  # takes the events that came
            await asyncio.sleep(0.05)

    async def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript; of a promise, what it resolves to."""
        found = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        return found["result"].get("value")

    async def until_value(self, expression: str, expected: Any, seconds: float = 60.0) -> None:
        """Wait until an expression has a value."""
        end = time.monotonic() + seconds
        while (found := await self.value(expression)) != expected:
            assert time.monotonic() < end, f"{expression} is {found!r}"
            await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        """Press one key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)

    async def picture(self) -> bytes:
        """A PNG of the page."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browsing(url: str, profile: Path) -> AsyncIterator[Browser]:
    """A new browser, with nothing in it, on this page."""
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run",
             "--window-size=1200,700", "--disable-background-networking"]  # fmt: skip
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(CHROMIUM, *flags, "about:blank", stdout=quiet, stderr=quiet)
    try:
        address = profile / "DevToolsActivePort"
        end = time.monotonic() + 30
        while not (address.exists() and address.read_text().count("\n")):
            assert process.returncode is None, "Chromium does not start"
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        port = address.read_text().splitlines()[0]
        async with ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = await answer.json(content_type=None)
            target = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            async with client.ws_connect(target, max_msg_size=0) as devtools:
                browser = Browser(devtools)
                for domain in ("Page", "Network", "Runtime"):
                    await browser.call(f"{domain}.enable")
                await browser.call("Page.navigate", url=url)
                yield browser
    finally:
        process.terminate()
        await process.wait()
