"""Traces to write, and a store to write them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from observed import make_trace


@pytest.fixture
def trace() -> Callable[..., Trace]:
    return make_trace


@pytest.fixture
def writer(url: str) -> Iterator[TraceWriter]:
    opened = TraceWriter(url)
    yield opened
    opened.close()
