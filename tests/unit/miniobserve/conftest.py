"""Traces to write, and a store to write them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from observed import make_trace


@pytest.fixture
def trace() -> Callable[..., Trace]:
    return make_trace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where closed days are; its name has what a path in a glob pattern or in SQL must survive."""
    return tmp_path / "it's [a] parquet?" / "parquet"


@pytest.fixture
def writer(url: str, folder: Path) -> Iterator[TraceWriter]:
    opened = TraceWriter(url, archive=folder)
    yield opened
    opened.close()
