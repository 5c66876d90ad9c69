"""Which optional extra installs which library: turns a failed import into the command that fixes it.

The base install is the headless spine. Heavy libraries are imported inside the functions that need them, so a missing
one surfaces there as a ``ModuleNotFoundError``. This module imports no optional library itself.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final

from modelspine.errors import Unavailable

_OURS: Final = ("modelspine", "modelspine_console", "miniserve", "miniobserve", "minitutor")
_PROVIDERS: Final = {
    "mlflow": ("MLflow", "mlflow"),
    "dvc": ("DVC", "dvc"),
    "textual": ("Textual", "console"),
    "plotext": ("plotext", "console"),
    "aiohttp": ("aiohttp", "web"),
    "textual_serve": ("textual-serve", "web"),
    "starlette": ("Starlette", "serve"),
    "uvicorn": ("Uvicorn", "serve"),
    "httptools": ("httptools", "serve"),
    "prometheus_client": ("prometheus-client", "serve"),
    "numpy": ("NumPy", "serve"),
    "scipy": ("SciPy", "serve"),
    "duckdb": ("DuckDB", "parquet"),
    "nanoarrow": ("nanoarrow", "parquet"),
    "obstore": ("obstore", "parquet"),
    "boto3": ("boto3", "s3"),
    "psycopg": ("psycopg", "postgres"),
    "opentelemetry": ("OpenTelemetry", "otlp"),
    "torch": ("PyTorch", "tutor"),
    "tokenizers": ("tokenizers", "tutor"),
    "safetensors": ("safetensors", "tutor"),
    "threadpoolctl": ("threadpoolctl", "tutor"),
}
"""Top-level module → its name in prose, and the smallest extra that installs it."""


def missing_extra(error: BaseException) -> Unavailable | None:
    """The error to show if one of Spine's modules failed to import a library that an extra installs; else None.

    An installed library that lacks one of its own dependencies gives None as well: installing the extra again
    would not help.
    """
    cause: BaseException | None = error
    # Storage and workload code wraps the import error in errors of its own.
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__
    if cause is None:
        return None
    name, importer = (cause.name or "").partition(".")[0], _importer(cause.__traceback__)
    if name not in _PROVIDERS or importer not in _OURS:
        return None
    library, extra = _PROVIDERS[name]
    if importer == "minitutor" and name == "numpy":
        extra = "tutor"  # the workload needs more than NumPy, and this extra installs all of it
    command = f"pip install 'modelspine[{extra}]'"
    return Unavailable(f"this needs {library}: {command}", "install it, then repeat the command")


def _importer(traceback: TracebackType | None) -> str:
    """The top-level package whose import statement failed."""
    # It is the innermost frame of the traceback, because Python removes the frames of its import machinery.
    name = ""
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    return name.partition(".")[0]
