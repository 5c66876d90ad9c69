"""``spine console --web``: what the server answers to whom, one console through it, and what is left when it ends."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType, WSServerHandshakeError

from browser import CHROMIUM, browsing
from modelspine_console.web.access import Access, foreign
from modelspine_console.web.child import environment
from terminal import SPINE


class Web:
    """A running ``spine console --web``."""

    def __init__(self, root: Path, *words: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [SPINE, "--json", "console", "--web", "--port", "0", *words],
            cwd=root, env={**os.environ, "SPINE_ROOT": str(root), **environ},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, self.process.communicate()[1]
        self.said = json.loads(said)
        self.url: str = self.said["url"]
        self.base = self.url.partition("/?")[0]

    def consoles(self) -> list[int]:
        """Process ids of its consoles."""
        done = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
        pairs = [line.split() for line in done.stdout.splitlines()[1:]]
        return [int(pid) for pid, parent in pairs if int(parent) == self.process.pid]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode


class Page:
    """The WebSocket of a page."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.drawn = b""

    async def until(self, text: str) -> None:
        """Read until a text was drawn since the last key."""
        while text.encode() not in self.drawn:
            message = await self.websocket.receive(timeout=15)
            assert message.type is WSMsgType.BINARY, (message, self.drawn[-500:])
            self.drawn += message.data

    async def type(self, text: str) -> None:
        """Type a text."""
        self.drawn = b""
        await self.websocket.send_json(["stdin", text])

    async def closed(self) -> bool:
        """Read to the end."""
        while (message := await self.websocket.receive(timeout=15)).type is WSMsgType.BINARY:
            self.drawn += message.data
        return message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)


@pytest.fixture
def web(project: Path) -> Iterator[Any]:
    """Starts servers."""
    started: list[Web] = []

    def start(*words: str, **environ: str) -> Web:
        started.append(Web(project, *words, **environ))
        return started[-1]

    yield start
    for one in started:
        one.end(signal.SIGKILL)


def client() -> ClientSession:
    """A browser without a screen: it keeps cookies."""
    return ClientSession(cookie_jar=CookieJar(unsafe=True))


async def status(browser: ClientSession, url: str, **headers: str) -> int:
    async with browser.get(url, headers=headers) as answer:
        await answer.read()
        return answer.status


@asynccontextmanager
async def opened(server: Web) -> AsyncIterator[Page]:
    """A page whose console is starting."""
    async with client() as browser:
        assert await status(browser, server.url) == 200
        path = f"{server.base}/ws?width=120&height=36"
        async with browser.ws_connect(path, headers={"Origin": server.base}) as websocket:
            yield Page(websocket)


@pytest.mark.parametrize(
    ("host", "origin", "websocket", "allowed"),
    [
        ("127.0.0.1:8000", None, False, True),
        ("localhost:8000", "http://localhost:8000", True, True),
        ("LOCALHOST", "http://localhost", True, True),
        ("127.0.0.1:8000", None, True, False),
        ("127.0.0.1:8000", "http://localhost:8000", True, False),
        ("127.0.0.1:8000", "http://127.0.0.1:8001", True, False),
        ("127.0.0.1:8000", "https://127.0.0.1:8000", True, False),
        ("127.0.0.1:8000", "null", False, False),
        ("127.0.0.1:8000", "http://evil.example", False, False),
        ("evil.example:8000", "http://evil.example:8000", True, False),
        ("127.0.0.1.evil.example:8000", None, False, False),
        ("127.0.0.1:8000@evil.example", None, False, False),
        ("localhost:8000\n", None, False, False),
        ("", None, False, False),
        (None, None, False, False),
    ],
)
def test_only_a_page_of_this_server_is_not_foreign(
    host: str | None, origin: str | None, websocket: bool, allowed: bool
) -> None:
    assert (foreign(host, origin, websocket=websocket) is None) is allowed


def test_a_token_is_exchanged_once_and_a_wrong_one_costs_nothing() -> None:
    access = Access()
    assert [access.enter(text) for text in ("", "wrong", "é")] == [None, None, None]
    assert not access.admits(None)
    session = access.enter(access.token)
    assert session
    assert access.admits(session)
    assert not access.admits(access.token)
    assert access.enter(access.token) is None
    assert Access().token != access.token


def test_a_console_gets_the_variables_of_spine_and_none_of_the_others() -> None:
    given = {"HOME": "/h", "SPINE_LEDGER": "x", "SPINE_SIGNING_KEY": "s", "MY_TOKEN": "t", "PYTHONPATH": ".",
             "PYTHONSTARTUP": "x.py", "LD_PRELOAD": "x.so", "PGPASSFILE": "p", "LC_ALL": "C"}  # fmt: skip
    made = environment(given, 90, 30)
    assert {name for name in given if name in made} == {"HOME", "SPINE_LEDGER", "PGPASSFILE", "LC_ALL"}
    assert (made["COLUMNS"], made["ROWS"]) == ("90", "30")


async def test_who_is_refused(web: Any) -> None:
    server = web()
    assert server.said["write"] is False
    async with client() as browser, client() as other:
        for path in ("/", "/ws", "/static/js/textual.js", "/console.js", "/nothing", "/?token=wrong"):
            assert await status(browser, server.base + path, Origin=server.base) == 403, path
        assert await status(browser, server.url, Host="evil.example") == 403
        assert await status(browser, server.url, Origin="http://evil.example") == 403
        async with browser.head(server.url) as answer:  # as a program that previews links does
            assert answer.status in (403, 405)
        async with browser.get(server.url) as answer:
            assert answer.status == 200
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            page = await answer.text()
            assert server.url.partition("token=")[2] not in page
            assert str(SPINE.parent) not in page
        assert await status(browser, server.url) == 403
        assert await status(other, server.url) == 403
        assert await status(other, server.base) == 403
        assert await status(browser, server.base) == 200
        assert await status(browser, server.base, Host="evil.example") == 403
        for headers in ({"Origin": "http://evil.example"}, {}, {"Origin": server.base, "Host": "evil.example"}):
            with pytest.raises(WSServerHandshakeError) as refused:
                await browser.ws_connect(server.base + "/ws", headers=headers)
            assert refused.value.status == 403
    assert not server.consoles()


async def test_keys_work_and_changes_are_refused(web: Any, project: Path) -> None:
    (project / "textual.py").write_text("raise SystemExit('imported from the working directory')")
    server = web("--screen", "registry", MY_TOKEN="hush-hush", PYTHONPATH=".")
    async with opened(server) as page:
        await page.until("tombstoned")
        (console,) = server.consoles()
        assert "hush-hush" not in _environ(console)
        await page.type("7")
        await page.until("promoted")
        await page.type(":rw\r")
        await page.until("opened read-only")
        for text in ("{", "[]", "null", '["stdin", 5]', '["resize", {"width": "x"}]', '["focus"]', "[" * 5000):
            await page.websocket.send_str(text)
        await page.websocket.send_json(["resize", {"width": 50, "height": 10}])
        await page.until("window too small")
        await page.type("q")
        assert await page.closed()
    assert server.end() == 0


async def test_write_mode_is_asked_for_at_the_start(web: Any) -> None:
    server = web("--write")
    assert server.said["write"] is True
    async with opened(server) as page:
        await page.until("WRITE")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)])
async def test_no_console_outlives_its_server(web: Any, number: signal.Signals, code: int) -> None:
    server = web()
    async with opened(server) as page:
        await page.until("production")
        (console,) = server.consoles()
        # From here nothing reads what is drawn, as with a laptop that was closed.
        assert await asyncio.to_thread(server.end, number) == code
        end = time.monotonic() + 15
        while _alive(console):
            assert time.monotonic() < end, "the console still runs"
            await asyncio.sleep(0.1)


def _environ(process: int) -> str:
    """The variables of a process, where the system tells them."""
    file = Path(f"/proc/{process}/environ")
    return file.read_text(errors="replace") if file.exists() else ""


def _alive(process: int) -> bool:
    """Whether a process runs; one that ended and waits to be noticed does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


async def test_a_page_that_goes_takes_its_console_along(web: Any) -> None:
    server = web()
    async with opened(server) as page:
        await page.until("production")
    end = time.monotonic() + 15
    while server.consoles():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


def test_what_it_cannot_do_is_said(web: Any, project: Path, tmp_path: Path) -> None:
    def refused(*words: str, root: Path = project) -> tuple[int, str]:
        done = subprocess.run(
            [SPINE, "--root", str(root), "console", *words], capture_output=True, text=True, timeout=30
        )
        return done.returncode, done.stderr

    assert refused("--port", "8000")[0] == 2
    assert "not a valid port" in refused("--web", "--port", "70000")[1]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused("--web", "--port", str(taken.getsockname()[1]))
    assert (code, "is in use" in said) == (3, True)
    code, said = refused("--web", "--port", "0", root=tmp_path)
    assert code in (2, 3)
    assert "spine init" in said


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: on Debian, apt-get install chromium-headless-shell")
async def test_a_real_browser_shows_it_and_takes_keys(web: Any, tmp_path: Path) -> None:
    server = web()
    async with browsing(server.url, tmp_path / "profile") as browser:
        await browser.until("production")
        assert await browser.value("location.href") == f"{server.base}/"
        assert await browser.value("document.cookie") == ""
        await browser.until_value("document.activeElement.className", "xterm-helper-textarea")
        await asyncio.sleep(1)  # until what was received is painted
        before = await browser.picture()
        browser.received = b""
        await browser.press("7")
        await browser.until("promoted")
        await asyncio.sleep(1)
        assert await browser.picture() != before
        assert all(url.startswith((server.base, "data:")) for url in browser.requested), browser.requested
        # A page of another site in this very browser: its WebSocket is refused.
        (tmp_path / "index.html").write_text("<title>elsewhere</title>")
        handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
            threading.Thread(target=other.serve_forever, daemon=True).start()
            await browser.call("Page.navigate", url=f"http://localhost:{other.server_port}/")
            await browser.until_value("document.title", "elsewhere")
            assert await browser.value(_ATTEMPT % server.base.removeprefix("http://")) == "refused"
            other.shutdown()


_ATTEMPT = """new Promise(done => {
    const socket = new WebSocket("ws://%s/ws");
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
})"""
