"""A real MLflow tracking server in this process, over HTTP, with a log of requests and faults that tests inject."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelspine.registry.mlflow_runs import Artifacts

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Fault = Callable[[str], Iterable[bytes] | None]
"""From the path of a download to the bytes that are sent in place of the file's; None leaves it as it is."""


class Server:
    """One server; ``paths`` are the requests so far, and ``fault`` may change what a download sends."""

    def __init__(self, folder: Path, url: str, client: Any) -> None:
        self.folder = folder
        self.url = url
        self.client = client
        self.paths: list[str] = []
        self.fault: Fault | None = None
        self.injected = 0
        self.down = False
        """Whether it answers nothing but an error."""
        self.experiment = client.create_experiment("made")

    def artifacts(self, scratch: Path) -> Artifacts:
        """A project's view of this server."""
        return Artifacts(self.url, scratch / "mlartifacts", scratch / "tmp")

    def run(self, folder: Path | None, path: str | None = None, *, status: str = "FINISHED", **tags: str) -> str:
        """Log a folder into a new run; returns its id."""
        run_id = str(self.client.create_run(self.experiment, tags=tags).info.run_id)
        if folder is not None:
            self.client.log_artifacts(run_id, str(folder), path)
        if status != "RUNNING":
            self.client.set_terminated(run_id, status)
        return run_id

    def logged_model(self, folder: Path, run_id: str) -> str:
        """Log a folder as a logged model of a run; returns the model's id."""
        model = self.client.create_logged_model(self.experiment, name="model", source_run_id=run_id)
        self.client.log_model_artifacts(model.model_id, str(folder))
        self.client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def version(self, name: str, source: str, run_id: str | None = None, model_id: str | None = None) -> str:
        """Register a version of a model, which is made if there is none of that name; returns its number."""
        if not self.client.search_registered_models(f"name='{name}'"):
            self.client.create_registered_model(name)
        return str(self.client.create_model_version(name, source, run_id, model_id=model_id).version)

    def downloads(self) -> list[str]:
        """The names of the files that were downloaded since the last call."""
        names = [path.rpartition("/")[2] for path in self.paths if "/mlflow-artifacts/artifacts/" in path]
        self.paths.clear()
        return names

    def wrap(self, app: Wsgi) -> Wsgi:
        """The server's application, with the log and the faults."""

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            path = str(environ["PATH_INFO"])
            if self.down:
                start("503 Service Unavailable", [])
                return [b""]
            if environ["REQUEST_METHOD"] == "GET":
                self.paths.append(path)
                sent = self.fault(path) if self.fault is not None else None
                if sent is not None:
                    self.injected += 1
                    start("200 OK", [("Content-Type", "application/json")])
                    return sent
            return app(environ, start)

        return answer


@contextmanager
def serving(folder: Path, *, bucket: str = "", hands_out: bool = True) -> Iterator[Server]:
    """Run a server whose records are in a folder, and its artifacts in a bucket's URL or in the same folder.

    With ``hands_out`` the server passes artifacts on; without, its clients go to the bucket themselves.
    """
    kept = dict(os.environ)
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder / 'mlflow.db'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/" if hands_out else bucket,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": bucket or str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true" if hands_out else "false",
    }
    from mlflow.server import app, handlers
    from mlflow.tracking import MlflowClient
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            """Write no line for a request."""

    # MLflow keeps the stores of the first server in a process; these belong to this one.
    handlers._tracking_store = handlers._model_registry_store = handlers._artifact_repo = None
    made: list[Server] = []
    web = make_server(
        "127.0.0.1",
        0,
        lambda *ask: made[0].wrap(app)(*ask) if made else app(*ask),
        threaded=True,
        request_handler=Quiet,
    )
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{web.server_port}"
        made.append(Server(folder, url, MlflowClient(url, url)))
        yield made[0]
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
        os.environ.clear()
        os.environ.update(kept)
