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
from urllib.parse import unquote, urlsplit

import msgspec

from modelspine.errors import BadInput, Refused, SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.ledger.state import State
from modelspine.ledger.store import Event
from modelspine.registry.entries import source_of
from modelspine.registry.mlflow_calls import is_server
from modelspine.registry.mlflow_runs import Artifacts
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
    source: str | None
    """Where in MLflow its bundle came from; None where that is not recorded."""
    folder: str
    """Its verified copy on this machine."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The complete content of the mirror, passed to its process as JSON."""

    url: str
    artifacts: str
    """The local artifact folder."""
    model: str
    versions: tuple[Version, ...]
    """In the order they were promoted."""
    production: str | None


class Mirror:
    """Updates the registered model ``model`` of an MLflow store after changes of the ledger."""

    def __init__(
        self, model: str, url: str, cache: Path, *, artifacts: Path = Path(), deadline: float = DEADLINE
    ) -> None:
        self._model = model
        self._url = url
        self._cache = cache
        self._artifacts = artifacts
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
                source=source_of(known.registered.body),
                folder=str(self._cache / known.sha),
            )
            for known in promoted
        )
        return Job(
            url=self._url,
            artifacts=str(self._artifacts),
            model=self._model,
            versions=versions,
            production=state.production,
        )

    def _warning(self, why: str) -> str:
        model = visible(self._model, 60)
        return f"MLflow's {model} was not updated: {visible(why, 160)}; the ledger is unaffected"


def show(job: Job, store: Artifacts) -> list[str]:
    """Bring MLflow's registered model to the content of the job, changing only what differs.

    Returns the semvers that have no version, because MLflow has their files nowhere that it can name.
    """
    from mlflow.exceptions import MlflowException

    client, name = store.client(), job.model
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description="A mirror of Spine's ledger; `spine list` is the original.")
    # Versions are matched by tag and not by number: others may have added versions, or deleted some.
    there = {v.tags.get("spine.sha"): v for v in client.search_model_versions(f"name='{name}'")}
    absent = []
    for wanted in job.versions:
        found = there.get(wanted.sha)
        if found is not None and wanted.sha == job.production and _exists(str(found.source), store) is False:
            # What is in production must point at files; the older versions are records.
            client.delete_model_version(name, found.version)
            found = there.pop(wanted.sha) and None
        if found is None:
            tags = {"spine.sha": wanted.sha, "spine.semver": wanted.semver}
            found = _version(name, wanted, tags, store)
            if found is None:
                absent.append(wanted.semver)
                continue
            there[wanted.sha] = found
        elif found.tags.get("spine.semver") != wanted.semver:
            client.set_model_version_tag(name, found.version, "spine.semver", wanted.semver)
    if job.production in there:
        client.set_registered_model_alias(name, ALIAS, there[job.production].version)
    elif job.production is not None:
        client.delete_registered_model_alias(name, ALIAS)  # it would name what is not in production
    return absent


def _version(name: str, wanted: Version, tags: dict[str, str], store: Artifacts) -> Any:
    """Create a version that points at files: MLflow's own, or else the verified cache; None where neither can be."""
    client = store.client()
    if wanted.source is not None and _exists(wanted.source, store):
        found = store.find(wanted.source, unfinished=True)
        run_id = found.run.run_id if found.run is not None else None
        if found.source.kind == "logged_model":  # a version can name a logged model, but no folder of it
            whole, model_id = f"models:/{found.source.id}", found.source.id
            return client.create_model_version(name, whole, run_id, tags=tags, model_id=model_id)
        return client.create_model_version(name, wanted.source, run_id, tags=tags)
    if is_server(store.url):
        return None  # the cache is a folder of this machine, which a server does not have
    return client.create_model_version(name, Path(wanted.folder).as_uri(), tags=tags)


def _exists(source: str, store: Artifacts) -> bool | None:
    """Whether the files that a version points at are there; None where this machine cannot tell."""
    if source.startswith("file:"):
        return not is_server(store.url) and Path(unquote(urlsplit(source).path)).is_dir()
    try:
        found = store.find(source, unfinished=True)
        return bool(found.place.list(found.path))
    except (BadInput, Refused):  # there is none, or its run was deleted
        return False
    except Unavailable:
        return None


def main() -> int:
    """Apply the job read from stdin; on failure prints one line and returns 1."""
    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        absent = show(job, Artifacts(job.url, Path(job.artifacts), Path()))
        if absent:
            named = ", ".join(absent)
            raise Unavailable(f"it has no files of {named} to point at; register those from their runs there", "")
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
