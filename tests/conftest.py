"""What every test starts from: an isolated home, and small real projects to work on."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles import write_bundle
from minitutor.workload import Minitutor
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine
from modelspine.words import use, words_of
from postgres import fresh_schema
from s3_server import make_bucket, s3_server
from session_folder import session_folder

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


MODELS = {"tiny", "apt", "random_bundle", "random_tutor"}
"""Fixtures that train a model or make one of the full shape: half a minute each."""


LONG = (
    "e2e/test_week.py",
    "e2e/test_examples.py",
    "e2e/test_rehearsal.py",
    "e2e/test_story.py",
    "minitutor/test_variants.py",
    "fault/test_shadow.py",
    "fault/test_workers.py",
    "e2e/test_fleet.py",
    "fault/test_kill_registry.py",
    "e2e/test_mirror.py",
    "e2e/test_deploy_page.py",
    "fault/test_bundle_mutations.py",
    "console/test_hostile.py",
    "minitutor/test_training.py",
    "minitutor/test_lattice.py",
    "fault/test_linearisable.py",
    "console/test_endurance.py",
    "fault/test_syscalls.py",
    "e2e/test_foreign_project.py",
    "fault/test_many_writers.py",
    "fault/test_server_fuzz.py",
    "fault/test_server_overload.py",
    "e2e/test_workload_page.py",
    "fault/test_server_slow.py",
    "docs/test_light_install.py",
    "fault/test_kill_backup.py",
    "fault/test_route_changes.py",
    "miniobserve/test_export.py",
    "registry/test_mlflow_over_http.py",
    "security/test_verify_beside.py",
    "console/test_pty.py",
    "miniobserve/test_daily.py",
    "security/test_strange_reports.py",
    "console/test_web.py",
    "e2e/test_server_signals.py",
    "fault/test_server_kill.py",
    "fault/test_server_wire.py",
    "minitutor/test_engine.py",
    "minitutor/test_tutor.py",
    "console/test_bytes.py",
    "e2e/test_rollback.py",
)
"""What `just test-long` runs and `just test` leaves out: trained models, whole weeks, fleets, faults of every kind,
hostile texts by the hundred, closed days, and what needs a terminal, a browser, a server under load or MLflow's."""
FIRST = (
    *LONG,
    "console/test_writes.py",
    "security/test_denials.py",
    "e2e/test_walk.py",
    "console/test_screens.py",
    "e2e/test_server.py",
    "traffic/test_canary.py",
    "miniserve/test_pool.py",
    "console/test_states.py",
    "console/test_rollouts.py",
)
"""The files that take longest. One that a worker began last would be waited for by the others."""


SLOW_SECONDS = 0.1
"""A test that took longer when it last passed on this machine is left out by `just check`."""
_SECONDS = "spine/seconds"
_took: dict[str, float] = {}
_failed: set[str] = set()
_SLOW = pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Read which tests are slow; a worker gets the names from the process that started it, so that all agree."""
    cache = getattr(config, "cache", None)
    given = getattr(config, "workerinput", None)
    config.stash[_SLOW] = set(given["slow"]) if given else set(cache.get(_SECONDS, {}) if cache else ())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker the names of the slow tests."""
    node.workerinput["slow"] = sorted(node.config.stash[_SLOW])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `just check` and `just test` leave out as ``slow`` and ``long``, and put the longest files first."""
    for item in items:
        if item.path.as_posix().endswith(LONG):
            item.add_marker("long")
        if item.nodeid in config.stash[_SLOW]:
            item.add_marker("slow")
        if isinstance(item, pytest.Function) and MODELS & set(item.fixturenames):
            item.add_marker("slow")
            item.add_marker(pytest.mark.timeout(300))  # the first of them waits for a training, on a busy machine too
    items.sort(key=lambda item: _rank(item.path))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how long a test took, in seconds, without the fixtures that it may share with others."""
    if report.failed:
        _failed.add(report.nodeid)
    if report.when == "call":
        _took[report.nodeid] = report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the names of slow tests, also of those that did not run now; a test that fails is never one of them.

    A run that leaves slow tests out adds none to those that are known: one run on a busy machine would hide many.
    """
    config, cache = session.config, getattr(session.config, "cache", None)
    if cache is None or hasattr(config, "workerinput"):
        return
    known = cache.get(_SECONDS, {})
    found = {} if known and "not slow" in config.option.markexpr else _took
    slow = {name: round(seconds, 2) for name, seconds in sorted((known | found).items()) if seconds > SLOW_SECONDS}
    cache.set(_SECONDS, {name: seconds for name, seconds in slow.items() if name not in _failed})


def pytest_collection_finish() -> None:
    """Let the garbage collector run seldom: with all tests in memory, each full collection takes half a second."""
    gc.set_threshold(50_000, 20, 1_000)


@functools.cache
def _rank(path: Path) -> int:
    """The place of a file among the longest; the others stay behind them, in their order."""
    return next((place for place, name in enumerate(FIRST) if path.as_posix().endswith(name)), len(FIRST))


_HOMES = itertools.count()


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's home, git identity, MLflow store or colours."""
    # Not made by mktemp, which looks through all folders of all tests for the next free number.
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(_HOMES))
    home.mkdir(parents=True)
    use(lambda: words_of(Minitutor()))  # until a project is opened, as texts are also made without one
    for name in ("MLFLOW_TRACKING_URI", "SPINE_ROOT", "SPINE_ENV", "SPINE_LEDGER", "SPINE_TRACES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SPINE_ACTOR", "tester")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")


FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def failing_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a git first on the path that only says a sentence and fails, as the real one does where it refuses."""

    def install(said: str) -> None:
        folder = tmp_path / "failing-git"
        folder.mkdir(exist_ok=True)
        (folder / "git").write_text(f"#!/bin/sh\necho {shlex.quote(said)} >&2\nexit 128\n")
        (folder / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return install


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the second workload, for this process and the ones it starts."""
    folder = str(FIXTURES / "echo")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder)
    monkeypatch.setenv("SPINE_WORKLOAD", "echo")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with a dev ledger."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    create_ledger(load(root), "dev")
    return root


@pytest.fixture
def spine(project: Path) -> Iterator[Spine]:
    """The project's spine, open for writing."""
    with open_spine(project) as opened:
        yield opened


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without a run, for tests that copy it: its migrations take more than a second each time."""

    def fill(folder: Path) -> None:
        from mlflow.tracking import MlflowClient

        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments(max_results=1)

    return session_folder(tmp_path_factory, "mlflow", fill) / "mlflow.db"


@pytest.fixture(scope="session")
def _s3() -> Iterator[dict[str, str]]:
    with s3_server() as environ:
        yield environ


@pytest.fixture
def bucket(_s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an empty bucket on a real S3 server, which this test's environment leads to."""
    for name, value in _s3.items():
        monkeypatch.setenv(name, value)
    return make_bucket(f"spine-{os.urandom(6).hex()}")


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Make a bundle directory; each number is another model."""

    def make(number: int = 0, *, parent: str | None = None, k: int = 95, n: int = 100, **more: Any) -> Path:
        return write_bundle(tmp_path / f"bundle-{number}-{parent or ''}"[:60], number, parent=parent, k=k, n=n, **more)

    return make


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A schema of its own on a real PostgreSQL; skipped where none answers."""
    with fresh_schema() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a ledger or a trace store, on either driver."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", "postgres"])
def either_ledger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's ledger on either driver, also in the processes a test starts."""
    if request.param == "postgres":
        monkeypatch.setenv("SPINE_LEDGER", str(request.getfixturevalue("postgres_url")))
