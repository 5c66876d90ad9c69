"""Which extra brings a library: the one place where a missing import becomes the line that installs it.

The base install is the headless spine. Everything heavy is imported inside the function that needs it, so a missing
library shows up there as a ``ModuleNotFoundError``. It does not import anything itself.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final

from modelspine.errors import Unavailable

_OURS: Final = ("modelspine", "modelspine_console", "miniserve", "miniobserve", "minitutor")
_BRINGS: Final = {
    "mlflow": ("MLflow", "mlflow"),
    "dvc": ("DVC", "dvc"),
    "textual": ("Textual", "console"),
    "plotext": ("plotext", "console"),
    "starlette": ("Starlette", "serve"),
    "uvicorn": ("Uvicorn", "serve"),
    "httptools": ("httptools", "serve"),
    "prometheus_client": ("prometheus-client", "serve"),
    "numpy": ("NumPy", "serve"),
    "scipy": ("SciPy", "serve"),
    "duckdb": ("DuckDB", "parquet"),
    "psycopg": ("psycopg", "postgres"),
    "opentelemetry": ("OpenTelemetry", "otlp"),
    "torch": ("PyTorch", "tutor"),
    "tokenizers": ("tokenizers", "tutor"),
    "safetensors": ("safetensors", "tutor"),
    "threadpoolctl": ("threadpoolctl", "tutor"),
}
"""Top-level module → what people call it, and the smallest extra that brings it."""


def missing_extra(error: BaseException) -> Unavailable | None:
    """The error to show where one of our own modules imported a library that no extra has brought yet.

    None for every other failure. A library that is installed and lacks one of its own dependencies is one of
    those: installing the extra again would not help, and neither would it for another package's module.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__
    if cause is None:
        return None
    name, importer = (cause.name or "").partition(".")[0], _importer(cause.__traceback__)
    if name not in _BRINGS or importer not in _OURS:
        return None
    library, extra = _BRINGS[name]
    if importer == "minitutor" and name == "numpy":
        extra = "tutor"  # the workload needs more than NumPy, and that extra brings all of it
    command = f"pip install 'modelspine[{extra}]'"
    return Unavailable(f"this needs {library}: {command}", "install it, then repeat the command")


def _importer(traceback: TracebackType | None) -> str:
    """The package whose import failed: that of the innermost frame, as Python leaves its own import frames out."""
    name = ""
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    return name.partition(".")[0]
