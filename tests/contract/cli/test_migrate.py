"""``spine migrate``: a store of the version before is refused, then taken over; and requests by their trace id."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli_world import check_refused, run

FIXTURE = Path(__file__).parents[2] / "fixtures" / "traces-1"
Capture = pytest.CaptureFixture[str]


def test_a_store_of_the_version_before_is_taken_over(capsys: Capture, project: Path) -> None:
    home = project / ".spine"
    for name in ("traces.db-wal", "traces.db-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "traces.db").write_bytes(gzip.decompress((FIXTURE / "store.db.gz").read_bytes()))
    for words in (["traces", "list"], ["traces", "export"], ["cost"]):
        refused = run(capsys, *words, root=project)
        check_refused(refused, 3)
        assert "run `spine migrate`" in refused.err
    traces: Any = {check["name"]: check for check in run(capsys, "verify", "--json", root=project).json["checks"]}[
        "traces"
    ]
    assert "earlier version" in str(traces["not_checked"])
    check_refused(run(capsys, "migrate", root=project), 3)  # its closed day is missing
    shutil.copytree(FIXTURE / "parquet", home / "parquet")
    done = run(capsys, "migrate", root=project)
    assert "took over 53 requests" in done.out
    assert run(capsys, "migrate", "--json", root=project).json == {"traces": None}
    assert (
        run(capsys, "traces", "show", "request-025", "--json", root=project)
        .json["input"]
        .startswith("Yesterday he goed 25.")
    )

    trace_id = f"{25:032x}"
    several = run(capsys, "traces", "show", trace_id, "--json", root=project).json
    assert [each["request_id"] for each in several["traces"]] == ["copy-of-025", "request-025"]
    assert "2 requests of the trace" in run(capsys, "traces", "show", trace_id, root=project).out
    refused = run(capsys, "incident", trace_id, root=project)
    check_refused(refused, 2)
    assert "copy-of-025, request-025" in refused.err
