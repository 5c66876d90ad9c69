"""Promotions as an MLflow registered model, for the people who look there: a version an entry, an alias for the route.

It is a copy, made after the ledger has the event and derived from the whole state each time, so that what was missed
is made good by the next change. It runs in a process of its own with a deadline: MLflow may be slow, locked or gone,
and all that comes of it is a warning. Nothing here, and nothing in MLflow's registry, is ever identity.
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
"""Events after which the mirror is made again."""
DEADLINE = 30.0
"""Seconds the mirror may take, of which MLflow needs several to load."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One promoted entry, as the mirror names it."""

    sha: str
    semver: str
    run_id: str | None
    folder: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the mirror is to show."""

    url: str
    model: str
    versions: tuple[Version, ...]
    """In the order they were promoted."""
    production: str | None


class Mirror:
    """Keeps the registered model ``model`` of an MLflow store as the ledger is."""

    def __init__(self, model: str, url: str, cache: Path, *, deadline: float = DEADLINE) -> None:
        self._model = model
        self._url = url
        self._cache = cache
        self._deadline = deadline

    def __call__(self, events: list[Event], state: State) -> tuple[str, ...]:
        """Mirror a state after these events; what went wrong is returned and never raised."""
        if not any(event.kind in KINDS for event in events):
            return ()
        command = [sys.executable, "-P", "-m", "modelspine.registry.mlflow_mirror"]
        told = msgspec.json.encode(self.job(state))
        try:
            done = subprocess.run(command, input=told, capture_output=True, timeout=self._deadline, check=False)
        except subprocess.TimeoutExpired:
            return (self._warning(f"it took longer than {self._deadline:g} s"),)
        except OSError as error:
            return (self._warning(str(error)),)
        if done.returncode == 0:
            return ()
        lines = (done.stdout or done.stderr).decode("utf-8", "replace").strip().splitlines()
        return (self._warning(lines[-1] if lines else f"its process ended with {done.returncode}"),)

    def job(self, state: State) -> Job:
        """What the mirror of a state shows."""
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
        return f"MLflow's {model} was not brought up to date: {visible(why, 160)}; the ledger holds, and counts"


def show(job: Job, client: Any) -> None:
    """Make MLflow's registered model say what the job says; what it says already is left alone."""
    from mlflow.exceptions import MlflowException

    name = job.model
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description="A mirror of Spine's ledger; `spine list` is the original.")
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
    """A new version, from its run where MLflow still knows that, else from the verified cache."""
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
    """Do the job that stands on stdin; 1 and one line where it cannot be done."""
    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        show(job, Artifacts(job.url, Path(), Path()).client())
    except SpineError as error:
        sys.stdout.write(f"\n{error.message}\n")
    except Exception as error:  # noqa: BLE001  (whatever MLflow raises is one line for the process that waits)
        lacking = missing_extra(error)
        why = lacking.message if lacking else str(error).partition("\n")[0] or type(error).__name__
        sys.stdout.write(f"\n{json.dumps(why)}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
