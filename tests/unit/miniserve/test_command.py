"""The options of ``spine serve``."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from miniserve.command import batch_size, command, run
from miniserve.server import Options
from modelspine.errors import BadInput
from modelspine.settings import load


@pytest.mark.parametrize(("batch", "kib", "most"), [(8, 8_192, 4), (4_096, 10, 3_276)])
def test_a_batch_of_the_largest_bodies_must_fit_one_message(batch: int, kib: int, most: int) -> None:
    with pytest.raises(BadInput, match="more than a worker takes at once") as caught:
        batch_size(batch, kib)
    assert caught.value.hint.startswith(f"choose --batch {most},")
    assert batch_size(most, kib) == most
    assert batch_size(4_096, 0) == 4_096


@pytest.mark.parametrize(("kib", "most"), [(0, 8), (4_096, 8), (4_097, 7), (16_384, 2)])
def test_the_usual_batch_is_as_small_as_the_largest_bodies_need(kib: int, most: int) -> None:
    assert batch_size(None, kib) == most


def test_serve_starts_with_a_batch_that_its_largest_bodies_allow_and_refuses_one_that_is_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Options] = []
    monkeypatch.setattr("miniserve.server.serve", lambda _spine, _sock, options, _ready: started.append(options))
    monkeypatch.setattr("miniobserve.logs.log_to", lambda *_, **__: None)
    parser = argparse.ArgumentParser()
    command(parser.add_subparsers())
    spine: Any = SimpleNamespace(settings=load(tmp_path, environ={"SPINE_MAX_BODY_KB": "8192"}))
    assert run(parser.parse_args(["serve", "--port", "0"]), spine) == 0
    assert [options.batch for options in started] == [4]
    with pytest.raises(BadInput, match="more than a worker takes at once"):
        run(parser.parse_args(["serve", "--port", "0", "--batch", "5"]), spine)
