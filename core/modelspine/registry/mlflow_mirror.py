"""A mirror of promotions in MLflow's model registry: one version per promoted entry, and an alias for production.

The mirror is updated after the ledger and derived from the whole state each time, so that the next change repairs a
failed update. It runs in a separate process with a timeout: if MLflow is slow, locked or unreachable, the only effect
is a warning. Spine never reads the mirror back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import SpineError
from modelspine.extras import missing_extra
from modelspine.ledger.state import State
from modelspine.ledger.store import Event
from modelspine.registry.mlflow_runs import FOLDER, Artifacts
from modelspine.text import visible

ALIAS = "production"
KINDS = frozenset({"promoted", "routed", "rolled_back"})
"""Kinds of events after which the mirror is updated."""
DEADLINE = 30.0
"""Timeout of an update in seconds; importing MLflow alone takes several."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One promoted entry, as a version of the registered model."""

    sha: str
    semver: str
    run_id: str | None
    folder: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The complete content of the mirror, passed to its process as JSON."""

    url: str
    model: str
    versions: tuple[Version, ...]
    """In the order they were promoted."""
    production: str | None


class Mirror:
    """Updates the registered model ``model`` of an MLflow store after changes of the ledger."""

    def __init__(self, model: str, url: str, cache: Path, *, deadline: float = DEADLINE) -> None:
        self._model = model
        self._url = url
        self._cache = cache
        self._deadline = deadline

    def __call__(self, events: list[Event], state: State) -> tuple[str, ...]:
        """Mirror the state after these events; failures are returned as warnings and never raised."""
        if not any(event.kind in KINDS for event in events):
            return ()
        # -P keeps the working directory out of sys.path, where a file could shadow an installed module.
        command = [sys.executable, "-P", "-m", "modelspine.registry.mlflow_mirror"]
        job = msgspec.json.encode(self.job(state))
        try:
            done = subprocess.run(command, input=job, capture_output=True, timeout=self._deadline, check=False)
        except subprocess.TimeoutExpired:
            return (self._warning(f"it took longer than {self._deadline:g} s"),)
        except OSError as error:
            return (self._warning(str(error)),)
        if done.returncode == 0:
            return ()
        lines = (done.stdout or done.stderr).decode("utf-8", "replace").strip().splitlines()
        return (self._warning(lines[-1] if lines else f"its process ended with exit code {done.returncode}"),)

    def job(self, state: State) -> Job:
        """The content of the mirror for a state."""
        promoted = [known for known in state.entries.values() if known.promoted]
        promoted.sort(key=lambda known: known.promoted[0].seq)
        versions = tuple(
            Version(
                sha=known.sha,
                semver=known.semvers[-1],
                run_id=known.registered.body.get("run_id"),
                folder=str(self._cache / known.sha),
            )
            for known in promoted
        )
        return Job(url=self._url, model=self._model, versions=versions, production=state.production)

    def _warning(self, why: str) -> str:
        model = visible(self._model, 60)
        return f"MLflow's {model} was not updated: {visible(why, 160)}; the ledger is unaffected"


def show(job: Job, client: Any) -> None:
    """Bring MLflow's registered model to the content of the job, changing only what differs."""
    from mlflow.exceptions import MlflowException

    name = job.model
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description="A mirror of Spine's ledger; `spine list` is the original.")
    # Versions are matched by tag and not by number: others may have added versions, or deleted some.
    there = {v.tags.get("spine.sha"): v for v in client.search_model_versions(f"name='{name}'")}
    for wanted in job.versions:
        found = there.get(wanted.sha)
        if found is None:
            tags = {"spine.sha": wanted.sha, "spine.semver": wanted.semver}
            found = there[wanted.sha] = _version(client, name, wanted, tags)
        elif found.tags.get("spine.semver") != wanted.semver:
            client.set_model_version_tag(name, found.version, "spine.semver", wanted.semver)
    if job.production is not None:
        client.set_registered_model_alias(name, ALIAS, there[job.production].version)


def _version(client: Any, name: str, wanted: Version, tags: dict[str, str]) -> Any:
    """Create a version from its run, or from the verified cache if MLflow no longer has the run."""
    from mlflow.exceptions import MlflowException

    if wanted.run_id is not None:
        try:
            client.get_run(wanted.run_id)
        except MlflowException:
            pass
        else:
            source = f"runs:/{wanted.run_id}/{FOLDER}"
            return client.create_model_version(name, source, wanted.run_id, tags=tags)
    return client.create_model_version(name, Path(wanted.folder).as_uri(), tags=tags)


def main() -> int:
    """Apply the job read from stdin; on failure prints one line and returns 1."""
    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        show(job, Artifacts(job.url, Path(), Path()).client())
    except SpineError as error:
        sys.stdout.write(f"\n{error.message}\n")  # a line of its own, as MLflow may have printed before it
    except Exception as error:  # noqa: BLE001  (MLflow may raise anything; the parent process shows one line)
        lacking = missing_extra(error)
        why = lacking.message if lacking else str(error).partition("\n")[0] or type(error).__name__
        sys.stdout.write(f"\n{json.dumps(why)}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
