"""Closed days of an earlier version: converted trace by trace, or left as they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from miniobserve import manifests, old_days
from miniobserve.archive import Archive
from miniobserve.bodies import trace_of_body
from miniobserve.closed_check import checked_day
from miniobserve.old_days import convert_day, convert_days
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace

FIXTURE = Path(__file__).parents[2] / "fixtures" / "traces-1" / "parquet"
DAY = "2026-03-02"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "parquet"))


def bodies(file: Path) -> dict[str, Trace]:
    """The traces of an old file."""
    rows = duckdb.sql(f"SELECT request_id, body, feedback FROM '{file}'").fetchall()
    return {name: msgspec.structs.replace(trace_of_body(body), feedback=said) for name, body, said in rows}


def test_a_day_is_converted_whole(place: Path) -> None:
    folder = place / f"day={DAY}"
    before, archive = bodies(folder / "traces.parquet"), Archive(place)
    assert len(before) > 3
    with pytest.raises(StorageError, match="earlier version") as refused:
        archive.get(next(iter(before)))
    assert "spine migrate" in refused.value.hint
    assert (convert_days(archive), convert_days(archive)) == (1, 0)
    assert {name: archive.get(name) for name in before} == before
    assert archive.days(pruned=True) == [DAY]
    assert checked_day(archive, DAY) == []
    assert {path.name for path in folder.iterdir()} == {"manifest-1.json", "pruning.json", "service=default"}
    archive.close()


def test_a_conversion_that_is_killed_loses_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bodies(place / f"day={DAY}" / "traces.parquet")
    fired: list[str] = []
    for module, name in ((old_days, "uploaded"), (manifests, "mark_pruning"), (manifests, "put")):

        def killed(*_: Any, name: str = name) -> None:
            fired.append(name)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module, name, killed)
            with pytest.raises(KeyboardInterrupt):
                convert_day(Archive(place), DAY)
        assert bodies(place / f"day={DAY}" / "traces.parquet") == before
    assert fired == ["uploaded", "mark_pruning", "put"]
    archive = Archive(place)
    assert convert_day(archive, DAY).totals.rows == len(before)
    assert {name: archive.get(name) for name in before} == before


def test_an_old_day_that_does_not_match_its_digest_is_left(place: Path) -> None:
    file, other = place / f"day={DAY}" / "traces.parquet", place / "other.parquet"
    said = duckdb.sql(f"SELECT key, value FROM parquet_kv_metadata('{file}')").fetchall()
    pairs = ", ".join(f"{key.decode()}: '{value.decode()}'" for key, value in said if key in (b"rows", b"sha256"))
    duckdb.sql(f"COPY (SELECT * FROM '{file}' OFFSET 1) TO '{other}' (FORMAT parquet, KV_METADATA {{{pairs}}})")
    other.replace(file)
    with pytest.raises(StorageError, match="does not match its metadata"):
        convert_day(Archive(place), DAY)
    assert file.exists()
    assert not list(place.rglob("manifest-*"))
