"""Learners at work: several hundred sentences sent to a server, with feedback on some.

Who sends what follows from the seed; a few learners send most. It knows the server by HTTP alone.
"""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from minitutor import corpus
from minitutor.problems import BadInput, Unavailable
from minitutor.progress import progress

PATH: Final = "/v1/grammar/correct"
INCIDENT: Final = "Yesterday he goed to school."
CONNECTIONS: Final = 4
_LEARNERS: Final = 40
_WRONG_SHARE: Final = 0.65
_FEEDBACK_SHARE: Final = 0.2
_TIMEOUT: Final = 15.0


class Ask(msgspec.Struct, frozen=True):
    """One learner's sentence; ``outcome`` is the feedback given where the answer deserves none other."""

    request_id: str
    learner: str
    sentence: str
    gives_feedback: bool


class Sent(msgspec.Struct, frozen=True):
    """What became of it."""

    ask: Ask
    status: int
    request_id: str
    is_correct: bool


def asks(n: int, seed: int) -> list[Ask]:
    """The traffic of a seed; the incident's sentence stands in its middle."""
    draw = random.Random(f"minitutor.replay|{seed}")  # noqa: S311 - not secret
    wrong: list[str] = []
    right: list[str] = []
    for row in corpus.rows(corpus.EVAL):
        (right if row.text == row.correction else wrong).append(row.text)

    def sentences() -> Iterator[str]:
        while True:
            pool = wrong if draw.random() < _WRONG_SHARE else right
            yield pool[int(draw.random() * len(pool))]

    texts = list(islice(sentences(), n))
    if texts:
        texts[n // 2] = INCIDENT
    return [
        Ask(
            request_id=f"req-{seed}-{at:05d}-{int(draw.random() * 16**6):06x}",
            # The square makes the first learners heavy: a tenth of them sends about a third.
            learner=f"learner-{int(_LEARNERS * draw.random() ** 2):03d}",
            sentence=text,
            gives_feedback=draw.random() < _FEEDBACK_SHARE,
        )
        for at, text in enumerate(texts)
    ]


def replay(url: str, n: int, seed: int) -> dict[str, Any]:
    """Send the traffic; returns how much was sent, how much failed, and the request a learner complained about.

    Raises:
        BadInput: the URL is none.
        Unavailable: nothing answers there.

    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput(f"{url!r} is not an http URL", "give one such as http://127.0.0.1:8080")
    everything = asks(n, seed)
    with progress("replaying") as advance, ThreadPoolExecutor(CONNECTIONS) as pool:
        # Each connection has every fourth sentence, so that what is sent does not depend on timing.
        parted = [everything[at::CONNECTIONS] for at in range(CONNECTIONS)]
        done: list[Sent] = []

        def note(sent: Sent) -> None:
            done.append(sent)
            advance(len(done), len(everything))

        for failure in pool.map(lambda part: _send(url, part, note), parted):
            if failure is not None:
                raise failure
    good = [sent for sent in done if sent.status == http.HTTPStatus.OK]
    incident = next((sent for sent in good if sent.ask.sentence == INCIDENT and sent.is_correct), None)
    errors = len(everything) - len(good) + _feedback(url, good, incident)
    return {"sent": len(everything), "errors": errors, "incident": incident.request_id if incident else None}


def _send(url: str, part: list[Ask], note: Any) -> Unavailable | None:
    try:
        with _Client(url) as client:
            for ask in part:
                body = {"sentence": ask.sentence, "learner_id": ask.learner}
                status, said = client.post(PATH, body, {"X-Request-ID": ask.request_id})
                request_id = str(said.get("request_id", ask.request_id))
                note(Sent(ask, status, request_id, said.get("is_correct") is True))
    except (OSError, http.client.HTTPException) as error:
        return Unavailable(f"{url} does not answer: {error}", "start a server: `spine serve`")
    return None


def _feedback(url: str, good: list[Sent], incident: Sent | None) -> int:
    """Say what learners did with some answers; the incident's learner says it was wrong. Returns failures."""
    outcomes = {
        sent.request_id: "accepted" if len(sent.ask.sentence) % 4 else "revised"
        for sent in sorted(good, key=lambda sent: sent.ask.request_id)
        if sent.ask.gives_feedback
    }
    if incident is not None:
        outcomes[incident.request_id] = "dismissed"
    failures = 0
    with _Client(url) as client:
        for request_id, outcome in outcomes.items():
            status, _ = client.post("/v1/feedback", {"request_id": request_id, "outcome": outcome}, {})
            failures += not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES
    return failures


class _Client:
    """One kept connection that posts JSON."""

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
        """Status and JSON object of a reply; an empty object where the body is none."""
        data = json.dumps(body).encode()
        self._connection.request("POST", self._prefix + path, data, {"Content-Type": "application/json", **headers})
        reply = self._connection.getresponse()
        text = reply.read()
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        return reply.status, said if isinstance(said, dict) else {}
