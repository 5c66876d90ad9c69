"""A missing library is reported with its extra; every other failed import stays what it is."""

from __future__ import annotations

import sys

import pytest

from miniobserve.archive import connected
from miniobserve.sql.protocol import StorageError
from modelspine.cli.errors import as_spine_error
from modelspine.errors import Exit, Unavailable
from modelspine.extras import missing_extra


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment that lacks them: Python refuses a module whose entry is None."""
    for name in ("mlflow", "numpy", "duckdb", "opentelemetry"):
        monkeypatch.setitem(sys.modules, name, None)


def failure(module: str, source: str) -> Exception:
    """What an import raises in a module of this name."""
    with pytest.raises((ImportError, ZeroDivisionError)) as raised:
        exec(source, {"__name__": module})
    return raised.value


@pytest.mark.parametrize(
    ("module", "library", "name", "extra"),
    [
        ("modelspine.registry.mlflow_runs", "mlflow", "MLflow", "mlflow"),
        ("modelspine.drift.psi", "numpy", "NumPy", "serve"),
        ("minitutor.engine", "numpy", "NumPy", "tutor"),
        ("miniobserve.otlp", "opentelemetry", "OpenTelemetry", "otlp"),
    ],
)
def test_our_own_import_names_the_extra(module: str, library: str, name: str, extra: str) -> None:
    found = missing_extra(failure(module, f"import {library}"))
    assert isinstance(found, Unavailable)
    assert found.message == f"this needs {name}: pip install 'modelspine[{extra}]'"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("shout.workload", "import numpy"),
        ("modelspine.spine", "import modelspine.nothing"),
        ("modelspine.spine", "from os import nothing"),
        ("modelspine.spine", "1 / 0"),
    ],
)
def test_any_other_failure_is_not_about_an_extra(module: str, source: str) -> None:
    assert missing_extra(failure(module, source)) is None


def test_a_closed_day_without_duckdb_is_an_error_of_the_store() -> None:
    """Whoever looks into the files handles it as any other store that cannot be read; the command names the extra."""
    with pytest.raises(StorageError) as raised:
        connected()
    shown = as_spine_error(raised.value)
    assert (raised.value.kind, shown.code) == ("unavailable", Exit.UNAVAILABLE)
    assert shown.message == "this needs DuckDB: pip install 'modelspine[parquet]'"
