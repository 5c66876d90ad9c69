"""A project's stores: each is opened once, whichever threads ask for it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelspine import project as module
from modelspine.ledger.store import Ledger
from modelspine.settings import load
from modelspine.spine import Spine


@pytest.mark.parametrize("name", ["ledger", "registry", "lineage", "cache", "corpora"])
def test_many_threads_get_one_store(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    opened: list[object] = []

    def slow(*words: object, **more: object) -> Ledger:
        opened.append(words)
        time.sleep(0.05)  # long enough for every thread to come to the same place
        return Ledger(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "Ledger", slow)
    together = threading.Barrier(8)
    with Spine(load(project), readonly=True) as spine, ThreadPoolExecutor(8) as pool:

        def get(_number: int) -> object:
            together.wait(30)
            return getattr(spine, name)

        found = list(pool.map(get, range(8)))
        assert all(each is found[0] for each in found)
        assert len(opened) <= 1


def test_a_closed_project_opens_its_stores_again(project: Path) -> None:
    with Spine(load(project), readonly=True) as spine:
        before = spine.ledger
        spine.close()
        assert spine.ledger is not before
