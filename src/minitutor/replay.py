"""Replays learners' traffic: sends sentences to a server, as live traffic or as a simulated day, with some feedback.

``learners`` decides who sends what. This module knows the server only through HTTP.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from minitutor.learners import Ask
from minitutor.problems import BadInput, Unavailable
from minitutor.progress import progress

PATH: Final = "/v1/grammar/correct"
CONNECTIONS: Final = 4
_TIMEOUT: Final = 15.0


class Sent(msgspec.Struct, frozen=True):
    """The result of one sentence; ``outcome`` is the learner's feedback, "" if none."""

    ask: Ask
    request_id: str
    failed: int
    passed: bool
    """Whether the sentence was wrong and the answer accepted it."""
    outcome: str


def replay(url: str, asks: list[Ask]) -> dict[str, Any]:
    """Send sentences in order over a few connections.

    Returns the numbers of sentences sent, requests failed and wrong sentences accepted, the feedback by outcome, and
    the first request whose answer was dismissed.

    Raises:
        BadInput: the URL is not an http URL.
        Unavailable: the server does not answer, or does not accept replayed traffic.

    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput(f"{url!r} is not an http URL", "give a URL such as http://127.0.0.1:8080")
    done: list[Sent] = []
    left = _Shared(asks)
    with progress("replaying") as advance, ThreadPoolExecutor(CONNECTIONS) as pool:

        def note(sent: Sent) -> None:
            done.append(sent)
            advance(len(done), len(asks))

        for failure in list(pool.map(lambda _: _send(url, left, note), range(CONNECTIONS))):
            if failure is not None:
                raise failure
    done.sort(key=lambda sent: sent.ask.request_id)
    said = Counter(sent.outcome for sent in done if sent.outcome)
    return {
        "sent": len(asks),
        "errors": sum(sent.failed for sent in done),
        "passed": sum(sent.passed for sent in done),
        "feedback": dict(sorted(said.items())),
        "incident": next((sent.request_id for sent in done if sent.outcome == "dismissed"), None),
    }


class _Shared:
    """Hands out the remaining sentences in order, so that an interrupted replay can continue where it stopped."""

    def __init__(self, asks: Iterable[Ask]) -> None:
        self._asks = iter(asks)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Ask]:
        return self

    def __next__(self) -> Ask:
        with self._lock:
            return next(self._asks)


def _send(url: str, left: _Shared, note: Any) -> Unavailable | None:
    try:
        with _Client(url) as client:
            for ask in left:
                note(_sent(client, ask))
    except (OSError, http.client.HTTPException) as error:
        return Unavailable(f"{url} does not answer: {error}", "start a server: `spine serve`")
    return None


def _sent(client: _Client, ask: Ask) -> Sent:
    """Send one sentence, and the learner's feedback on the answer."""
    headers = {"X-Request-ID": ask.request_id}
    if ask.at:
        headers |= {"X-Spine-Source": "replay", "X-Spine-Time": ask.at}
    status, said = client.post(PATH, {"sentence": ask.sentence, "learner_id": ask.learner}, headers)
    request_id = str(said.get("request_id", ask.request_id))
    if status != http.HTTPStatus.OK:
        if said.get("error", {}).get("code") == "replay_refused":
            raise BadInput("the server does not accept replayed traffic", "start it with `spine serve --allow-replay`")
        return Sent(ask, request_id, failed=1, passed=False, outcome="")
    passed = said.get("is_correct") is True and ask.sentence != ask.correction
    outcome = ask.outcome(passed=passed)
    if outcome:
        status, _ = client.post("/v1/feedback", {"request_id": request_id, "outcome": outcome}, {})
    failed = int(not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES)
    return Sent(ask, request_id, failed, passed, outcome)


class _Client:
    """A persistent connection that posts JSON."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(str(parts.hostname), parts.port, timeout=_TIMEOUT)
        self._prefix = parts.path.rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON object of a reply; an empty object if the body is not one."""
        data = json.dumps(body).encode()
        self._connection.request("POST", self._prefix + path, data, {"Content-Type": "application/json", **headers})
        reply = self._connection.getresponse()
        text = reply.read()
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        return reply.status, said if isinstance(said, dict) else {}
