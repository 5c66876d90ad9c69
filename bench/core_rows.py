"""Bench group core: importing the package and listing a registry, each measured as a whole process."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import stores
from rows import Row, wall

ENTRIES = 10_000
_SEARCH = """
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
page = client.search_runs(["1"], max_results=10_000)
print(len(page))
"""
_GET = """
import sys
from mlflow.tracking import MlflowClient
print(MlflowClient(tracking_uri=sys.argv[1]).get_run(sys.argv[2]).data.metrics)
"""


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    python = sys.executable
    bare = wall([python, "-c", "pass"])
    core = wall([python, "-c", "import modelspine.spine"]) - bare
    mlflow = wall([python, "-c", "import mlflow.tracking"], runs=3) - bare
    yield Row("import modelspine.spine", 1000 * core, "ms", 150, "import mlflow.tracking", 1000 * mlflow)
    with tempfile.TemporaryDirectory() as folder:
        root = stores.ledger(Path(folder), ENTRIES)
        url = stores.mlflow_runs(root / "mlflow.db", ENTRIES)
        spine = str(Path(python).with_name("spine"))
        listed = wall([spine, "list", "--json"], cwd=root)
        searched = wall([python, "-c", _SEARCH, url], runs=3)
        yield Row(
            f"spine list --json, {ENTRIES:,} entries", 1000 * listed, "ms", 400, "MLflow search_runs", 1000 * searched
        )
        shown = wall([spine, "list", "--json"], cwd=root)
        run_id = _some_run(root / "mlflow.db")
        got = wall([python, "-c", _GET, url, run_id], runs=3)
        shown = wall([spine, "history", "--json", "--limit", "1"], cwd=root)
        yield Row(f"spine history, newest of {ENTRIES:,}", 1000 * shown, "ms", None, "MLflow get_run", 1000 * got)


def _some_run(path: Path) -> str:
    import sqlite3

    connection = sqlite3.connect(path)
    found: str = connection.execute("SELECT run_uuid FROM runs LIMIT 1").fetchone()[0]
    connection.close()
    return found
