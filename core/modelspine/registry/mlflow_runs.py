"""MLflow as a store of runs and artifacts: read a run, fetch the bundle it logged, log a bundle into a new run.

Nothing it returns is trusted: the receiver hashes what was fetched. MLflow takes two seconds to import and is loaded
on first use. It does not know the canonical SHA.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import SpineError, Unavailable, UnknownRef
from modelspine.extras import missing_extra
from modelspine.settings import masked
from modelspine.text import visible

FOLDER = "bundle"
"""The artifact path of a bundle within its run."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """MLflow's record of one run."""

    run_id: str
    experiment_id: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifact_uri: str


class Artifacts:
    """The MLflow store at a tracking URL; ``folder`` is the artifact folder of a local one."""

    def __init__(self, url: str, folder: Path, scratch: Path) -> None:
        self.url = url
        self.folder = folder
        self._scratch = scratch

    def run(self, run_id: str) -> Run:
        """MLflow's record of a run.

        Raises:
            UnknownRef: there is no such run.
            Unavailable: the store does not exist or does not answer.
        """
        with _mapped(run_id):
            found = self.client().get_run(run_id)
        return Run(
            run_id=run_id,
            experiment_id=str(found.info.experiment_id),
            status=str(found.info.status),
            params=dict(found.data.params),
            metrics={name: float(value) for name, value in found.data.metrics.items()},
            tags={name: value for name, value in found.data.tags.items() if not name.startswith("mlflow.log")},
            artifact_uri=str(found.info.artifact_uri),
        )

    def reach(self) -> None:
        """Check that the store answers.

        Raises:
            Unavailable: it does not.
        """
        # By default MLflow retries an unreachable server for minutes, too long for a check.
        for name, value in (("MAX_RETRIES", "1"), ("TIMEOUT", "10")):
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        with _mapped(""):
            self.client().search_experiments(max_results=1)

    @contextmanager
    def fetched(self, run_id: str) -> Iterator[Path]:
        """A folder with the bundle that a run logged; a downloaded copy is deleted after the block.

        Raises:
            UnknownRef: there is no such run, or it logged no bundle.
            Unavailable: the store does not answer.
        """
        run = self.run(run_id)
        local = self._local(run)
        if local is not None:
            yield local
            return
        import shutil
        import tempfile

        self._scratch.mkdir(parents=True, exist_ok=True)
        target = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            with _mapped(run_id):
                yield Path(self.client().download_artifacts(run_id, FOLDER, str(target)))
        finally:
            shutil.rmtree(target, ignore_errors=True)

    def put(self, folder: Path, *, experiment: str, name: str, tags: dict[str, str]) -> str:
        """Log a bundle directory into a new run; returns the run's id.

        Raises:
            Unavailable: the store cannot be written.
        """
        with _mapped(""):
            client = self.client(create=True)
            found = client.get_experiment_by_name(experiment)
            # A server chooses its own artifact location; a local store would default to the working directory.
            where = self.folder.as_uri() if self.url.startswith("sqlite:") else None
            experiment_id = found.experiment_id if found else client.create_experiment(experiment, where)
            run_id = str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
            client.log_artifacts(run_id, str(folder), FOLDER)
            client.set_terminated(run_id)
        return run_id

    def _local(self, run: Run) -> Path | None:
        """The bundle of a run on this disk, or None if its artifacts are remote."""
        from urllib.parse import unquote, urlparse

        written = urlparse(run.artifact_uri)
        if written.scheme not in ("", "file"):
            return None
        recorded = Path(unquote(written.path))
        # MLflow records absolute paths: after the project was moved or restored elsewhere, look in its own folder.
        moved = self.folder / run.run_id / "artifacts"
        for place in (recorded, moved, self.folder / run.experiment_id / run.run_id / "artifacts"):
            if (place / FOLDER).is_dir():
                return place / FOLDER
        raise UnknownRef(
            f"run {run.run_id[:12]} has no artifact folder named {FOLDER!r}",
            "log the bundle into the run, then register it",
        )

    def client(self, *, create: bool = False) -> Any:
        """An MLflow client; ``create`` allows a new local store.

        Raises:
            Unavailable: there is no local store, and ``create`` is not set.
        """
        # Checked first, because MLflow would create an empty database.
        path = Path(self.url.removeprefix("sqlite:///"))
        if self.url.startswith("sqlite:///") and not path.is_file() and not create:
            raise Unavailable(f"there is no MLflow store at {path}", "train a model, or set `mlflow` in spine.toml")
        # Unpickling an artifact would execute code of whoever wrote it.
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.url)


@contextmanager
def _mapped(run_id: str) -> Iterator[None]:
    """Translate MLflow's exceptions into Spine's own."""
    try:
        yield
    except SpineError:
        raise
    except ImportError as error:
        broken = Unavailable(f"MLflow cannot be imported: {visible(str(error))}", "install it again, then retry")
        raise missing_extra(error) or broken from error
    except Exception as error:
        text = visible(masked(str(error).splitlines()[0]) if str(error) else type(error).__name__, 160)
        if getattr(error, "error_code", "") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise UnknownRef(
                f"MLflow has no run {visible(run_id, 64)!r}",
                "give a run id or a bundle directory: `spine register PATH`",
            ) from error
        raise Unavailable(f"MLflow did not answer: {text}", "check the `mlflow` URL in `spine info`") from error
