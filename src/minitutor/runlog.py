"""The MLflow run of a training: parameters, metric history, tags and the bundle's files.

MLflow takes seconds to import and open, so this happens in a thread while the model trains. However a training ends,
its run gets the final status FINISHED, FAILED or KILLED. This module does not know models.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from minitutor.problems import TutorError, Unavailable

EXPERIMENT: Final = "minitutor"
_AT_ONCE: Final = 900
"""Metrics per call; MLflow accepts at most 1,000."""


class RunLog:
    """One MLflow run, opened in a background thread."""

    def __init__(self, home: Path, name: str, tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        self._home = home
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
        self._opened = self._pool.submit(self._open, name, dict(tags), dict(params))

    @property
    def run_id(self) -> str:
        """The run's id; waits until MLflow has assigned it."""
        return self._both()[1]

    def curve(self, points: Sequence[tuple[int, float, float]]) -> None:
        """Log the loss and learning rate of every step."""
        from mlflow.entities import Metric

        client, run_id = self._both()
        now = _now_ms()
        metrics = [
            Metric(name, value, now, step)
            for step, loss, rate in points
            for name, value in (("loss", loss), ("learning_rate", rate))
        ]
        for first in range(0, len(metrics), _AT_ONCE):
            client.log_batch(run_id, metrics=metrics[first : first + _AT_ONCE])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log single values."""
        from mlflow.entities import Metric

        client, run_id = self._both()
        client.log_batch(run_id, metrics=[Metric(name, value, _now_ms(), step) for name, value in values.items()])

    def files(self, folder: Path, where: str) -> None:
        """Log a folder's files as artifacts under a path."""
        client, run_id = self._both()
        client.log_artifacts(run_id, str(folder), where)

    def text(self, text: str, name: str) -> None:
        """Log a text as an artifact."""
        client, run_id = self._both()
        client.log_text(run_id, text, name)

    def end(self, status: str) -> None:
        """Set the run's final status."""
        try:
            client, run_id = self._both()
            client.set_terminated(run_id, status)
        finally:
            self._pool.shutdown()

    def _both(self) -> tuple[Any, str]:
        try:
            return self._opened.result()
        except TutorError:
            raise
        except Exception as error:
            raise Unavailable(
                f"MLflow's store in {self._home} cannot be used: {error}".split("\n", 1)[0],
                "check that the folder is writable and mlflow is installed, or pass --no-mlflow",
            ) from error

    def _open(self, name: str, tags: dict[str, str], params: dict[str, str]) -> tuple[Any, str]:
        self._home.mkdir(parents=True, exist_ok=True)
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{self._home.resolve() / 'mlflow.db'}")
        found = client.get_experiment_by_name(EXPERIMENT)
        where = (self._home.resolve() / "mlartifacts").as_uri()
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, where)
        run_id = str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)
        client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
        return client, run_id


@contextmanager
def logged(home: Path, name: str, tags: Mapping[str, str], params: Mapping[str, str]) -> Iterator[RunLog]:
    """Open a run for the block; its final status depends on how the block ends."""
    log = RunLog(home, name, tags, params)
    try:
        yield log
    except KeyboardInterrupt:
        log.end("KILLED")
        raise
    except BaseException:
        log.end("FAILED")
        raise
    log.end("FINISHED")


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000
