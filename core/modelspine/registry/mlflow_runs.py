"""MLflow as a store of runs and artifacts: read a run, find the bundle of a source, log a bundle into a new run.

Nothing it returns is trusted: the receiver hashes what was fetched. MLflow takes two seconds to import and is loaded
on first use. It does not know the canonical SHA.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, Refused, Unavailable, UnknownRef
from modelspine.registry.entries import FOLDER
from modelspine.registry.mlflow_calls import bounded, check_alive, mapped, set_limits
from modelspine.registry.mlflow_files import Copy, LocalPlace, Place, find_folders
from modelspine.registry.mlflow_places import place_of
from modelspine.registry.mlflow_source import Source, read_source
from modelspine.text import visible

_ENDED = ("FINISHED", "READY")
"""The states in which a run and a model version or logged model are complete."""
_WAIT = dict.fromkeys(("RUNNING", "SCHEDULED", "PENDING", "PENDING_REGISTRATION"), "wait until it has ended")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """MLflow's record of one run."""

    run_id: str
    experiment_id: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifact_uri: str
    deleted: bool = False
    """Whether it is in MLflow's trash, from which it can be restored."""
    logged_models: tuple[str, ...] = ()
    """Ids of the logged models it made."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bundle of a source is: a folder of a place, and what MLflow says about it."""

    source: Source
    """The run or logged model itself, with the folder: what an alias pointed to when it was looked up."""
    place: Place
    path: str
    run: Run | None
    """The run that made it; None where MLflow does not know one."""
    warnings: tuple[str, ...] = ()


class Artifacts:
    """The MLflow store at a tracking URL; ``folder`` is the artifact folder of a local one."""

    def __init__(self, url: str, folder: Path, scratch: Path) -> None:
        self.url = url
        self.folder = folder
        self.scratch = scratch
        self._client: Any = None

    def run(self, run_id: str) -> Run:
        """MLflow's record of a run.

        Raises:
            UnknownRef: there is no such run.
            Unavailable: the store does not exist or does not answer.
        """
        found = self._ask(f"run {run_id!r}", lambda client: client.get_run(run_id))
        outputs = getattr(found, "outputs", None)
        return Run(
            run_id=run_id,
            experiment_id=str(found.info.experiment_id),
            status=str(found.info.status),
            params=dict(found.data.params),
            metrics={name: float(value) for name, value in found.data.metrics.items()},
            tags={name: value for name, value in found.data.tags.items() if not name.startswith("mlflow.log")},
            artifact_uri=str(found.info.artifact_uri),
            deleted=found.info.lifecycle_stage == "deleted",
            logged_models=tuple(model.model_id for model in outputs.model_outputs) if outputs else (),
        )

    def reach(self) -> None:
        """Check that the store answers; ``Unavailable`` if it does not."""
        self._ask("", lambda client: client.search_experiments(max_results=1))

    def find(self, source: str, *, path: str | None = None, unfinished: bool = False) -> Found:
        """Find the bundle that a source names; ``registry.mlflow_source`` lists the forms of a source.

        Args:
            source: the source.
            path: a folder below it; without one, a run is searched for the folder that holds a model.
            unfinished: also take what a run that has not finished, or that failed, has logged.

        Raises:
            BadInput: the source or the path has a wrong form, or several folders hold a model.
            UnknownRef: MLflow does not know it, or it holds no model.
            Refused: its run was deleted, or has not finished and ``unfinished`` is not set.
            Unavailable: the store does not answer, or keeps the files where this machine must not look.
        """
        wanted = read_source(source, path)
        if wanted.kind == "run":
            return self._in_run(wanted, unfinished)
        if wanted.kind == "logged_model":
            return self._in_logged_model(wanted, unfinished)
        return self._in_version(wanted, unfinished)

    @contextmanager
    def copied(self, found: Found) -> Iterator[Copy]:
        """The files of what ``find`` found: on this machine's disk where they are there, else a copy for the block.

        Raises:
            UnknownRef, BundleRefused, Unavailable: see ``RemotePlace.copied``.
        """
        with found.place.copied(found.path, self.scratch) as copy:
            yield copy

    @contextmanager
    def fetched(self, source: str, *, unfinished: bool = False) -> Iterator[Path]:
        """The folder of what a source names; see ``find`` and ``copied``."""
        with self.copied(self.find(source, unfinished=unfinished)) as copy:
            yield copy.folder

    def put(self, folder: Path, *, experiment: str, name: str, tags: dict[str, str]) -> str:
        """Log a bundle directory into a new run; returns the run's id.

        Raises:
            Unavailable: the store cannot be written.
        """
        with mapped(""):
            client = self.client(create=True)
            run_id = bounded(lambda: self._new_run(client, experiment, name, tags), self.url)
            client.log_artifacts(run_id, str(folder), FOLDER)
            bounded(lambda: client.set_terminated(run_id), self.url)
        return run_id

    def _new_run(self, client: Any, experiment: str, name: str, tags: dict[str, str]) -> str:
        found = client.get_experiment_by_name(experiment)
        # A server chooses its own artifact location; a local store would default to the working directory.
        where = self.folder.as_uri() if self.url.startswith("sqlite:") else None
        experiment_id = found.experiment_id if found else client.create_experiment(experiment, where)
        run_id = str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
        client.list_artifacts(run_id)  # a place that does not answer is noticed before bytes are sent to it
        return run_id

    def client(self, *, create: bool = False) -> Any:
        """An MLflow client; ``create`` allows a new local store.

        Raises:
            Unavailable: there is no local store, and ``create`` is not set; or the server gives no answer.
        """
        # Checked first, because MLflow would create an empty database.
        path = Path(self.url.removeprefix("sqlite:///"))
        if self.url.startswith("sqlite:///") and not path.is_file() and not create:
            raise Unavailable(f"there is no MLflow store at {path}", "train a model, or set `mlflow` in spine.toml")
        if self._client is None:
            if find_spec("mlflow") is not None:  # where it is not installed, that is what to say
                check_alive(self.url)
            set_limits()
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(tracking_uri=self.url, registry_uri=self.url)
        return self._client

    def _ask(self, what: str, question: Any) -> Any:
        with mapped(what):
            client = self.client()
            return bounded(lambda: question(client), self.url)

    def _in_run(self, source: Source, unfinished: bool) -> Found:
        run = self.run(source.id)
        warnings = _check_run(run, unfinished)
        place = self._place_of_run(run, source)
        if source.path is not None:
            if not place.list(source.path):
                raise _no_folder(f"run {run.run_id[:12]}", source.path, place)
            return Found(source=source, place=place, path=source.path, run=run, warnings=warnings)
        # The name that Spine and the tutor give it; with it there is nothing to search.
        folders = [FOLDER] if place.list(FOLDER) else find_folders(place)
        if len(folders) == 1:
            source = msgspec.structs.replace(source, path=folders[0])
            return Found(source=source, place=place, path=folders[0], run=run, warnings=warnings)
        models = [f"models:/{model_id}" for model_id in run.logged_models]
        if not folders and len(models) == 1:
            found = self._in_logged_model(read_source(models[0]), unfinished)
            return msgspec.structs.replace(found, warnings=warnings + found.warnings)
        raise _no_single(run, folders or models, place)

    def _place_of_run(self, run: Run, source: Source) -> Place:
        """Where the artifacts of a run are; a run that only logged models has no folder for any."""
        try:
            return self._place(run.artifact_uri, "run", (run.run_id, f"{run.experiment_id}/{run.run_id}"))
        except UnknownRef:
            if source.path is not None or not run.logged_models:
                raise
            return LocalPlace(self.folder / run.run_id / "artifacts")  # which does not exist, so it lists nothing

    def _in_logged_model(self, source: Source, unfinished: bool) -> Found:
        model = self._ask(f"logged model {source.id}", lambda client: client.get_logged_model(source.id))
        warnings = _check_status(f"logged model {source.id}", str(model.status), unfinished)
        place = self._place(
            model.artifact_location,
            "logged model",
            tuple(f"{head}models/{source.id}" for head in ("", f"{model.experiment_id}/")),
        )
        path = source.path or ""
        if path and not place.list(path):
            raise _no_folder(f"logged model {source.id[:14]}", path, place)
        run = self.run(model.source_run_id) if model.source_run_id else None
        return Found(source=source, place=place, path=path, run=run, warnings=warnings)

    def _in_version(self, source: Source, unfinished: bool) -> Found:
        """What a version of a registered model points to: a logged model, a run's folder, or any other place."""
        name, what = source.id, f"registered model version {source}"

        def look_up(client: Any) -> Any:
            if source.kind == "alias":
                return client.get_model_version_by_alias(name, source.alias)
            if source.kind == "version":
                return client.get_model_version(name, source.version)
            quoted = name.replace("'", "''")
            versions = client.search_model_versions(f"name='{quoted}'")
            return max(versions, key=lambda version: int(version.version), default=None)

        version = self._ask(what, look_up)
        if version is None:
            raise UnknownRef(f"MLflow has no {visible(what, 120)}", "register a version there, or give a run id")
        warnings = _check_status(what, str(version.status), unfinished)
        uri = str(version.source)
        if uri.startswith("models:/") and not uri.startswith("models:/m-"):  # a copy of another model's version
            uri = str(self._ask(what, lambda client: client.get_model_version_download_uri(name, version.version)))
        if uri.startswith(("runs:/", "models:/m-")):
            inner = read_source(uri, source.path)
            found = self._in_run(inner, unfinished) if inner.kind == "run" else self._in_logged_model(inner, unfinished)
            return msgspec.structs.replace(found, warnings=warnings + found.warnings)
        run = self.run(version.run_id) if version.run_id else None
        warnings += _check_run(run, unfinished) if run is not None else ()
        exact = msgspec.structs.replace(source, kind="version", version=str(version.version), alias="")
        place, path = self._place(uri, "model version", ()), source.path or ""
        if not place.list(path):
            raise _no_folder(what, path, place)
        return Found(source=exact, place=place, path=path, run=run, warnings=warnings)

    def _place(self, uri: str, what: str, below: tuple[str, ...]) -> Place:
        return place_of(uri, what, below, url=self.url, folder=self.folder)


def _check_run(run: Run, unfinished: bool) -> tuple[str, ...]:
    if run.deleted:
        raise Refused(
            f"run {run.run_id[:12]} was deleted in MLflow, which may remove its files at any time",
            f"restore it first: `mlflow runs restore --run-id {run.run_id}`",
        )
    return _check_status(f"run {run.run_id[:12]}", run.status, unfinished)


def _check_status(what: str, status: str, unfinished: bool) -> tuple[str, ...]:
    """Refuse what is not complete, or warn about it where it is wanted all the same."""
    name = status.rpartition(".")[2]
    if name in _ENDED:
        return ()
    if not unfinished:
        raise Refused(
            f"{what} is {visible(name, 40)} in MLflow, so its files may not be complete",
            f"{_WAIT.get(name, 'train it again')}; `spine register SOURCE --unfinished` takes what is there now",
        )
    return (f"{what} was {visible(name, 40)} in MLflow when its files were read",)


def _no_folder(what: str, path: str, place: Place) -> UnknownRef:
    return UnknownRef(
        f"{visible(what, 80)} has no artifact folder named {visible(path or '.', 80)!r}",
        f"it has {_names(place)}; name one with `--path FOLDER`",
    )


def _no_single(run: Run, found: list[str], place: Place) -> BadInput:
    """The error for a run in which not exactly one folder holds a model."""
    what = f"run {run.run_id[:12]}"
    if not found:
        return UnknownRef(
            f"{what} has no artifact folder that holds a model: it has {_names(place)}",
            "log the bundle into the run, or name the folder: `--path FOLDER`, `--path .` for all of its artifacts",
        )
    listed = visible(", ".join(path or "." for path in found[:8]), 200)
    if found[0].startswith("models:/"):
        return BadInput(f"{what} made several models: {listed}", "give one of them: `spine register models:/m-…`")
    return BadInput(f"{what} has several folders that hold a model: {listed}", "name one: `--path FOLDER`")


def _names(place: Place) -> str:
    items = [f"{item.name}/" if item.is_folder else item.name for item in place.list("")]
    return visible(", ".join(items[:8]), 200) or "no files"
