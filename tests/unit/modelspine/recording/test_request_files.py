"""The bytes of images and other files of ``modelspine.request``: kept by policy, and never at the cost of a trace."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import modelspine
from miniobserve.objects import Exists, open_objects
from miniobserve.objects.folder import Folder
from miniobserve.traces import Trace
from modelspine import recorded_request
from modelspine.kept_files import keeper
from modelspine.kept_files.digests import digests_in
from modelspine.process_recorder import close_all, process_recorder
from modelspine.recording import plain_values
from modelspine.spine import open_spine
from own_project import own_project

COLUMNS = '[workload]\nkind = "classifier"\ninput = ["photo", "caption"]\nlabel = "queue"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_project(tmp_path_factory.mktemp("files") / "project")


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project, with files kept in a folder of this test."""
    monkeypatch.setenv("SPINE_FILES", str(tmp_path / "files"))
    close_all()
    yield made
    close_all()


def sha_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def trace_of(root: Path, request_id: str) -> Trace:
    with open_spine(root, readonly=True) as spine:
        return spine.trace(request_id)


def kept(files: Path) -> dict[str, bytes]:
    store = Folder(files)
    return {each.key: store.get(each.key) for each in store.list()}


def entry(content: bytes) -> dict[str, bytes]:
    sha = sha_of(content)
    return {f"{sha[:2]}/{sha}": content}


def ask(root: Path, asked: object, answer: object = "spam") -> Trace:
    with modelspine.request(asked, root=root) as r:
        r.output(answer)
    return trace_of(root, r.id)


def test_a_file_is_kept_as_it_was_when_the_block_began(root: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"as it came")
    with modelspine.request(photo, root=root) as r:
        photo.write_bytes(b"overwritten")
        photo.unlink()
        r.output(b"a mask")
    trace = trace_of(root, r.id)
    assert kept(tmp_path / "files") == entry(b"as it came") | entry(b"a mask")
    assert [each.sha256 for each in digests_in(trace)] == [sha_of(b"as it came"), sha_of(b"a mask")]
    assert "unread" not in trace.fields


def test_bytes_are_durable_before_their_trace(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = process_recorder(root)
    seen: list[bool] = []
    submit = recorder.writer.submit

    def looking(trace: Trace) -> object:
        seen.append((tmp_path / "files" / sha_of(b"x")[:2] / sha_of(b"x")).is_file())
        return submit(trace)

    slow_puts(monkeypatch, 0.2)
    monkeypatch.setattr(recorder.writer, "submit", looking)
    ask(root, b"x")
    assert seen == [True]


def test_columns_and_columns_told_apart_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = own_project(tmp_path / "project", table=COLUMNS)
    monkeypatch.setenv("SPINE_FILES", str(tmp_path / "files"))
    ask(root, {"photo": bytearray(b"one"), "caption": "a cat"})
    with modelspine.request({"caption": "a dog"}, features={"photo": memoryview(b"two")}, root=root) as r:
        r.output("spam")
    close_all()
    assert kept(tmp_path / "files") == entry(b"one") | entry(b"two")
    assert [each.size for each in digests_in(trace_of(root, r.id))] == [3]


@pytest.mark.parametrize("policy", ["hash", "none"])
def test_nothing_is_kept_where_texts_are_not(
    policy: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_TEXT_POLICY", policy)
    close_all()
    ask(root, b"secret", b"secret too")
    assert not (tmp_path / "files").exists()


def test_without_the_setting_only_digests_are_recorded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPINE_FILES")
    close_all()
    before = sorted(root.rglob("*"))
    trace = ask(root, b"image")
    assert trace.input == f'{{"bytes":5,"sha256":"{sha_of(b"image")}"}}'
    assert {each.name for each in set(root.rglob("*")) - set(before)} <= {"traces.db", "traces.db-wal", "traces.db-shm"}


def test_a_store_that_fails_costs_the_bytes_and_neither_trace_nor_exception(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files").write_text("no folder")
    with pytest.raises(ZeroDivisionError), modelspine.request(b"image", root=root) as r:
        _ = 1 // 0
    trace = trace_of(root, r.id)
    assert [each.sha256 for each in digests_in(trace)] == [sha_of(b"image")]
    assert trace.fields["unread"].startswith("input: its bytes are not kept: ")
    # While it rests, nothing is sent; afterwards it is tried again.
    (tmp_path / "files").unlink()
    assert "its bytes are not kept" in ask(root, b"image").fields["unread"]
    assert not (tmp_path / "files").exists()
    monkeypatch.setattr(keeper, "time", Later(keeper.REST_SECONDS))
    assert "unread" not in ask(root, b"image").fields
    assert kept(tmp_path / "files") == entry(b"image")


class Later:
    """The time, so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._seconds


def slow_puts(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """Delay each put; returns the keys as they are put."""
    keys: list[str] = []
    put = Folder.put

    def slow(self: Folder, key: str, source: bytes | Path, *, replace: bool = False) -> None:
        if "/" in key:
            keys.append(key)
            time.sleep(seconds)
        put(self, key, source, replace=replace)

    monkeypatch.setattr(Folder, "put", slow)
    return keys


def test_a_slow_store_is_waited_for_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_puts(monkeypatch, 1.5)
    monkeypatch.setattr(recorded_request.request._submit, "__kwdefaults__", {"seconds": 0.2})
    first = ask(root, b"one")
    begun = time.perf_counter()
    second = ask(root, b"two")
    assert time.perf_counter() - begun < 1
    assert "did not take them within" in first.fields["unread"]
    assert "did not take them within" in second.fields["unread"]


def test_what_is_too_large_is_recorded_by_its_digest(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_values, "MOST_BYTES", 10)
    large = tmp_path / "large.wav"
    large.write_bytes(b"0123456789a")
    for asked in (large, b"0123456789a", [b"01234", b"56789a"]):
        trace = ask(root, asked)
        assert trace.input is not None
        assert "its bytes are not kept: there are more than" in trace.fields["unread"]
    assert kept(tmp_path / "files") == entry(b"01234")
    assert sha_of(b"0123456789a") in str(ask(root, large).input)


def test_equal_bytes_are_sent_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = slow_puts(monkeypatch, 0)
    for _ in range(50):
        ask(root, b"the same")
    assert len(keys) == 1


def test_bytes_that_another_process_stored_are_no_error(root: Path, tmp_path: Path) -> None:
    sha = sha_of(b"image")
    Folder(tmp_path / "files").put(f"{sha[:2]}/{sha}", b"image")
    assert "unread" not in ask(root, b"image").fields


def test_an_async_block_does_not_hold_up_the_loop(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def both() -> float:
        worst = 0.0

        async def tick() -> None:
            nonlocal worst
            while True:
                at = time.perf_counter()
                await asyncio.sleep(0.01)
                worst = max(worst, time.perf_counter() - at)

        ticking = asyncio.create_task(tick())
        async with modelspine.request(b"in", root=root) as r:
            r.output(b"out")
        ticking.cancel()
        return worst

    process_recorder(root)
    slow_puts(monkeypatch, 1.5)
    assert asyncio.run(both()) < 1
    assert kept(tmp_path / "files") == entry(b"in") | entry(b"out")


def test_a_cancelled_block_is_recorded_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled() -> str:
        entered = asyncio.Event()
        ids: list[str] = []

        async def block() -> None:
            async with modelspine.request(b"image", root=root) as r:
                ids.append(r.id)
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(block())
        await entered.wait()
        begun = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.perf_counter() - begun < 1.5
        return ids[0]

    process_recorder(root)
    slow_puts(monkeypatch, 2)
    request_id = asyncio.run(cancelled())
    close_all()
    trace = trace_of(root, request_id)
    assert trace.fields["unread"] == "input: its bytes are not kept: they were still on their way"


def test_what_is_no_file_is_not_waited_for(root: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        trace = ask(root, path)
        assert trace.input is None
        assert trace.fields["unread"].startswith("input: it is a folder, a pipe or a device, and no file")
    (tmp_path / "photo").write_bytes(b"image")
    (tmp_path / "link").symlink_to(tmp_path / "photo")
    ask(root, tmp_path / "link")
    assert kept(tmp_path / "files") == entry(b"image")


@pytest.mark.parametrize("twice", [False, True], ids=["as it is", "a twin that reads twice"])
def test_a_file_that_changes_while_it_is_read_is_kept_under_its_own_digest(
    twice: bool, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin reads the file once for the digest and once for the bytes; the test finds that."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"a" * 3_000_000)
    read, count = os.read, iter(range(1000))

    def changing(handle: int, size: int) -> bytes:
        chunk = read(handle, size)
        if next(count) == 0:
            photo.write_bytes(b"b" * 3_000_000)
        return chunk

    monkeypatch.setattr(plain_values.os, "read", changing)
    if twice:
        read_file: Callable[..., object] = plain_values.read_file
        monkeypatch.setattr(plain_values, "read_file", lambda path, room: (read_file(path, room)[0], path.read_bytes()))  # type: ignore[index]
    ask(root, photo)
    monkeypatch.undo()
    files = kept(tmp_path / "files")
    assert len(files) == 1
    assert all(entry(content) == {key: content} for key, content in files.items()) is not twice


def test_a_forked_process_keeps_its_own(root: Path, tmp_path: Path) -> None:
    ask(root, b"parent")
    child = os.fork()
    if child == 0:
        try:
            ask(root, b"child")
            close_all()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert kept(tmp_path / "files") == entry(b"parent") | entry(b"child")


def test_memory_that_waits_for_the_store_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MOST_WAITING", 10)
    slow_puts(monkeypatch, 0.3)
    kept_by = keeper.Keeper(str(root / "bounded"))
    most: list[int] = []

    def begin(number: int) -> None:
        content = b"%06d" % number
        future = kept_by.begin(keeper.Held("input", sha_of(content), content))
        most.append(kept_by._waiting)
        assert future.result() == ""

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert max(most) <= 10
    refused = [kept_by.begin(keeper.Held("input", sha_of(c), c), 0.0) for c in (b"123456", b"654321")]
    assert "wait for" in refused[1].result()
    kept_by.close()


def test_a_batch_of_images_is_kept_in_a_bucket(root: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_FILES", f"s3://{bucket}/files")
    close_all()
    ids = []
    for number in range(60):
        with modelspine.request(b"image %d" % (number % 3), root=root) as r:
            r.output("spam")
        ids.append(r.id)
    store = open_objects(f"s3://{bucket}/files")
    assert {each.key for each in store.list()} == {key for n in range(3) for key in entry(b"image %d" % n)}
    assert all("unread" not in trace_of(root, each).fields for each in ids)
    with pytest.raises(Exists):
        store.put(store.list()[0].key, b"other bytes")


def test_a_bucket_that_is_gone_costs_no_trace(root: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_FILES", f"s3://{bucket}-none/files")
    close_all()
    begun = time.perf_counter()
    for _ in range(20):
        assert "the bucket does not exist" in ask(root, b"image").fields["unread"]
    assert time.perf_counter() - begun < 15
