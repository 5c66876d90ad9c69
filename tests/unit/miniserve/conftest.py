"""A service over a real trace store, with models that shout and a route that a test may move."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from inline_pool import InlinePool
from miniobserve.cost import CostMeter
from miniobserve.metrics import Metrics
from miniobserve.reader import TraceReader
from miniobserve.writer import TraceWriter
from miniserve.app import Contract, make_app
from miniserve.arms import Arms
from miniserve.record import Redaction, TracePolicy
from miniserve.service import Service
from modelspine.errors import Damaged, Refused, SpineError, Unavailable
from modelspine.identity.stamps import Stamp
from modelspine.ledger.route import Arm, Route

sys.path.insert(0, str(Path(__file__).parents[2] / "fixtures" / "shout"))

from shout_workload import Shout, ShoutModel


def sha_of(number: int) -> str:
    return f"{number:064x}"


def single(number: int, epoch: int = 3) -> Route:
    arm = Arm(name="stable", sha=sha_of(number), semver=f"v0.{number}.0", weight_bp=10_000)
    return Route(strategy="single", epoch=epoch, salt=str(epoch), arms=(arm,))


def canary(stable: int, candidate: int, weight_bp: int, epoch: int) -> Route:
    first = Arm(name="stable", sha=sha_of(stable), semver=f"v0.{stable}.0", weight_bp=10_000 - weight_bp)
    other = Arm(name="canary", sha=sha_of(candidate), semver=f"v0.{candidate}.0", weight_bp=weight_bp)
    return Route(strategy="canary", epoch=epoch, salt=str(epoch), arms=(first, other))


class Truth:
    """What the ledger and the registry say; a test moves it."""

    def __init__(self) -> None:
        self.now: Route | None = single(1)
        self.seq = 3
        self.damaged: set[str] = set()
        self.forbidden: set[str] = set()
        self.down: SpineError | None = None
        self.verified_shas: list[str] = []
        self.absent: set[str] = set()
        self.fetched: list[str] = []
        self.sent = threading.Event()
        self.sent.set()
        self.gone = False

    def move(self, route: Route) -> None:
        self.now = route
        self.seq += 1

    def head(self) -> int:
        if self.down is not None:
            raise self.down
        return self.seq

    def route(self) -> Route | None:
        return self.now

    def may_answer(self, sha: str, semver: str) -> None:
        if sha in self.forbidden:
            raise Refused(f"{semver} may not answer", "route to another entry")

    def is_here(self, sha: str) -> bool:
        return sha not in self.absent

    def obtain(self, sha: str, given_up: Callable[[], bool]) -> None:
        self.fetched.append(sha)
        while not self.sent.wait(0.02):
            if given_up():
                raise Unavailable("the fetch was given up", "it is not wanted")
        if self.gone:
            raise Unavailable("MLflow does not answer", "start it")
        self.absent.discard(sha)

    def verified(self, sha: str) -> Path:
        self.verified_shas.append(sha)
        if sha in self.damaged:
            raise Damaged("the cached bundle does not have its hash", "register it again")
        return Path(sha)

    def stamp(self, sha: str) -> Stamp:
        return frozenset()

    def parent_folder(self, sha: str) -> Path | None:
        return None


class NumberedShout(Shout):
    """Loads from a path that is the number itself."""

    def load(self, bundle: Path, parent: Path | None) -> ShoutModel:
        return ShoutModel(int(bundle.name, 16))


@pytest.fixture
def truth() -> Truth:
    return Truth()


@pytest.fixture
def pool(truth: Truth) -> InlinePool:
    return InlinePool(truth, NumberedShout())


@pytest.fixture
def arms(truth: Truth, pool: InlinePool) -> Iterator[Arms]:
    made = Arms(truth, truth, pool)
    yield made
    made.stop()


@pytest.fixture
def trace_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'traces.db'}"


@pytest.fixture
def writer(trace_url: str) -> Iterator[TraceWriter]:
    opened = TraceWriter(trace_url)
    yield opened
    opened.close()


@pytest.fixture
def reader(writer: TraceWriter, trace_url: str) -> TraceReader:
    return TraceReader.open(trace_url)


@pytest.fixture
def make_service(arms: Arms, pool: InlinePool, writer: TraceWriter) -> Callable[..., Service]:
    def make(text: str = "full", rate: float | None = 0.05) -> Service:
        if not arms._thread.is_alive():
            arms.start()
        redaction = Redaction(text=text, learner_salt="5a17")  # type: ignore[arg-type]
        return Service(arms, pool, writer, Metrics(), TracePolicy(CostMeter(rate, "p1"), redaction))  # type: ignore[arg-type]

    return make


@pytest.fixture
async def clients() -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    opened: list[httpx.AsyncClient] = []

    def client(service: Service, **contract: object) -> httpx.AsyncClient:
        app = make_app(service, Contract(NumberedShout(), "0.1.0", **contract))  # type: ignore[arg-type]
        opened.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x"))
        return opened[-1]

    yield client
    for one in opened:
        await one.aclose()
