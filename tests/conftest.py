"""What every test starts from: an isolated home, and small real projects to work on."""

from __future__ import annotations

import functools
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles import write_bundle
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine
from postgres import fresh_schema
from session_folder import session_folder

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


MODELS = {"tiny", "apt", "random_bundle", "random_tutor"}
"""Fixtures that train a model or make one of the full shape: half a minute each."""


LONGEST = (
    "e2e/test_week.py",
    "e2e/test_rehearsal.py",
    "minitutor/test_variants.py",
    "e2e/test_story.py",
    "e2e/test_foreign_project.py",
    "minitutor/test_training.py",
    "console/test_screens.py",
    "console/test_writes.py",
    "e2e/test_canary.py",
    "e2e/test_rollback.py",
    "minitutor/test_corpus_rows.py",
    "fault/test_shadow.py",
)
"""Files that take most of a minute. They run first: one that a worker began last would be waited for by the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `just check` leaves out as ``slow``, a test on a model among them, and put the longest files first."""
    for item in items:
        if isinstance(item, pytest.Function) and MODELS & set(item.fixturenames):
            item.add_marker("slow")
            item.add_marker(pytest.mark.timeout(300))  # the first of them waits for a training, on a busy machine too
    items.sort(key=lambda item: _rank(item.path))


@functools.cache
def _rank(path: Path) -> int:
    """The place of a file among the longest; the others stay behind them, in their order."""
    return next((place for place, name in enumerate(LONGEST) if path.as_posix().endswith(name)), len(LONGEST))


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's home, git identity, MLflow store or colours."""
    home = tmp_path_factory.mktemp("home")
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
