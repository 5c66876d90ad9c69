"""What a program tells ``modelspine.request``, of any type: kept or named, and the caller is never broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modelspine
from cli_world import make_world
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from modelspine.errors import Unavailable
from modelspine.process_recorder import close_all, process_recorder
from modelspine.spine import open_spine
from own_project import own_project

COLUMNS = '[workload]\nkind = "classifier"\ninput = ["carrier", "km"]\nlabel = "late"\nfeatures = ["carrier"]\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_project(tmp_path_factory.mktemp("values") / "project")


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose input has two columns."""
    return own_project(tmp_path_factory.mktemp("columns") / "project", table=COLUMNS)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def stored(root: Path, *names: str) -> list[Trace]:
    with open_spine(root, readonly=True) as spine:
        return [spine.trace(name) for name in names]


def told(root: Path, asked: Any, answer: Any, **more: Any) -> Trace:
    with modelspine.request(asked, root=root) as r:
        r.output(answer, **more)
    return stored(root, r.id)[0]


def test_numbers_of_numpy_are_kept(root: Path) -> None:
    tokens: Any = (np.int64(5), np.int64(1))
    fields: dict[str, Any] = {
        "score": np.float64(0.25), "low": np.float32(0.5), "rank": np.int64(2), "sure": np.bool_(True),
        "proba": np.array([0.25, 0.75]), "classes": {"a": np.float64(0.25)}, "embedding": np.ones(3, np.float32),
    }  # fmt: skip
    trace = told(root, "money back", np.str_("refund"), tokens=tokens, features={"lang": np.str_("de")}, **fields)
    kept = {name: value for name, value in trace.fields.items() if name != "model"}
    assert kept == {"score": 0.25, "low": 0.5, "rank": 2, "sure": True, "proba": [0.25, 0.75], "classes": {"a": 0.25}}
    assert (trace.input_tokens, trace.output_tokens, trace.embedding) == (5, 1, [1.0, 1.0, 1.0])
    assert (trace.values["score"], trace.values["proba.1"], trace.features["lang"]) == (0.25, 0.75, "de")


def test_what_predict_returns_for_one_row_equals_its_label(columns: Path) -> None:
    """Libraries answer a table of one row with an array of one element."""
    for answer in (np.array([1]), np.array([[1]]), pd.Series([1]), [1], {"output": np.array([1])}):
        trace = told(columns, {"carrier": "Rapid", "km": 3}, answer)
        assert (trace.output, trace.features["answer_label"]) == ("1", "1")
        assert "unread" not in trace.fields


def test_a_row_of_a_table_is_read_by_its_columns(columns: Path) -> None:
    frame = pd.DataFrame({"carrier": ["Rapid", "Slow"], "km": [3, 4]})
    for asked in (frame.iloc[0], frame[:1], {"carrier": np.str_("Rapid"), "km": np.int64(3)}):
        trace = told(columns, asked, np.int64(1))
        assert (trace.input, trace.output) == ('{"carrier":"Rapid","km":3}', "1")
        assert trace.features == {"carrier": "Rapid", "answer_label": "1"}
        assert "unread" not in trace.fields


def test_input_and_output_are_read_by_themselves(columns: Path) -> None:
    whole = {"carrier": "Rapid", "km": 3}
    trace = told(columns, whole, {"no such": object()})
    assert (trace.input, trace.features) == ('{"carrier":"Rapid","km":3}', {"carrier": "Rapid"})
    assert "nothing says which column holds the answer" in trace.fields["unread"]
    part = told(columns, {"carrier": "Rapid", "km": object()}, "late")
    assert (part.input, part.output) == ('{"carrier":"Rapid","km":null}', "late")
    assert part.fields["unread"] == "input.km: a value of type object is no JSON", (
        "it was given, so it is not asked for"
    )
    assert part.features["answer_label"] == "late"


def test_lone_surrogates_are_replaced_wherever_they_are(root: Path) -> None:
    trace = told(root, "a\udc80", "b\udc80", features={"lang": "c\udc80"}, why="d\udc80")
    assert (trace.input, trace.output, trace.features["lang"]) == ("a\ufffd", "b\ufffd", "c\ufffd")
    assert trace.fields["why"] == "d\ufffd"
    assert "input: characters that UTF-8 cannot encode were replaced" in trace.fields["unread"]


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError


async def test_the_own_exception_of_a_block_goes_on(root: Path) -> None:
    hard: list[tuple[Any, dict[str, Any], Exception]] = [
        ("a\udc80", {"answer": object(), "tokens": ("x", None)}, ValueError("b\udc80")),
        (object(), {"answer": "c\udc80", "features": {"lang": "\udc80"}, "score": np.float64(0.3)}, Hostile()),
    ]
    ids = []

    def block(asked: Any, answer: dict[str, Any], error: Exception) -> None:
        with modelspine.request(asked, root=root) as r:
            ids.append(r.id)
            r.output(**answer)
            raise error

    async def async_block(asked: Any, answer: dict[str, Any], error: Exception) -> None:
        async with modelspine.request(asked, root=root) as r:
            ids.append(r.id)
            r.output(**answer)
            raise error

    for asked, answer, error in hard:
        with pytest.raises(type(error)) as caught:
            block(asked, answer, error)
        assert caught.value is error
        with pytest.raises(type(error)) as caught:
            await async_block(asked, answer, error)
        assert caught.value is error
    assert [(trace.status, trace.error) for trace in stored(root, *ids)] == [
        (500, "ValueError: b\ufffd"), (500, "ValueError: b\ufffd"), (500, "Hostile"), (500, "Hostile")
    ]  # fmt: skip


async def test_a_store_that_fails_takes_the_place_of_no_exception(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_trace: Trace) -> Future[None]:
        failed: Future[None] = Future()
        failed.set_exception(StorageError("unavailable", "the disk is full", "make room"))
        return failed

    monkeypatch.setattr(process_recorder(root).writer, "submit", full)
    with pytest.raises(ZeroDivisionError), modelspine.request("a", root=root) as r:
        r.output(1 // 0)
    with pytest.raises(ZeroDivisionError):
        async with modelspine.request("a", root=root) as r:
            r.output(1 // 0)
    assert [record.message for record in caplog.records][-1] == f"request {r.id} could not be recorded"
    with pytest.raises(Unavailable, match="the disk is full"), modelspine.request("a", root=root) as r:
        r.output("spam")
    with pytest.raises(Unavailable, match="the disk is full"):
        async with modelspine.request("a", root=root) as r:
            r.output("spam")


@pytest.mark.parametrize("made", [{"length": np.float64(1)}, {1: object()}])
def test_a_workload_that_fails_costs_no_trace(
    echo: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[Any, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    world = make_world(tmp_path / "project")
    recorder = process_recorder(world.root)
    monkeypatch.setattr(type(recorder.spine.workload), "features", lambda _self, _text: made)
    with caplog.at_level(logging.ERROR), modelspine.request("hi there", root=world.root) as r:
        r.output("bye")
    (trace,) = stored(world.root, r.id)
    assert trace.input is None
    assert trace.fields["unread"].startswith("the request cannot be read: ")


def test_a_photo_is_kept_by_its_digest(root: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"image")
    with modelspine.request(photo, root=root) as by_path:
        photo.unlink()  # as an upload is, while it is answered
        by_path.output("spam")
    with modelspine.request(b"image", root=root) as by_bytes:
        by_bytes.output(b"a mask")
    one, two = stored(root, by_path.id, by_bytes.id)
    digest = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
    assert one.input == two.input == f'{{"bytes":5,"sha256":"{digest}"}}'
    assert two.output is not None
    assert two.output.startswith('{"bytes":6,')
    assert "unread" not in one.fields
    with open_spine(root, readonly=True) as spine:
        found = {trace.request_id for trace in spine.traces.list(text=digest).traces}
    assert found == {by_path.id, by_bytes.id}
