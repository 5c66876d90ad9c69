"""The object store: what a folder, an in-memory bucket and S3 do alike, and what their failures say."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from miniobserve.objects import Exists, Missing, Stored, check_place, open_objects
from miniobserve.sql.protocol import StorageError

SHA = hashlib.sha256(b"0123456789").hexdigest()


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place with nothing in it, of each kind."""
    places = {
        "folder": lambda: str(tmp_path / "objects"),
        "file": lambda: f"file://{tmp_path}/with%20space",
        "memory": lambda: f"memory://{tmp_path.name}/days",
        "s3": lambda: f"s3://{request.getfixturevalue('bucket')}/some/days",
    }
    return places[request.param]()


def test_every_store_does_the_same(place: str, tmp_path: Path) -> None:
    store = open_objects(place)
    assert store.list() == []
    store.probe()
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    store.put("day=2026-09-02/a.parquet", source)
    store.put("day=2026-09-02/deep/b", b"")
    store.put("other", b"x")
    with pytest.raises(Exists, match="other exists already"):
        store.put("other", b"y")
    assert store.get("other") == b"x"
    store.put("other", b"yz", replace=True)

    again = open_objects(place)  # what was put is there for whoever opens the place later
    assert again.list() == [
        Stored("day=2026-09-02/a.parquet", 10),
        Stored("day=2026-09-02/deep/b", 0),
        Stored("other", 2),
    ]
    assert [found.key for found in again.list("day=2026-09-02/deep")] == ["day=2026-09-02/deep/b"]
    assert again.list("day=2026") == again.list("absent") == []
    key = "day=2026-09-02/a.parquet"
    assert (again.get(key), again.get(key, 2, 4), again.get(key, 8), again.get(key, 9, 99)) == (
        b"0123456789",
        b"23",
        b"89",
        b"9",
    )
    assert again.get(key, 20) == again.get("day=2026-09-02/deep/b") == b""
    assert again.sha256(key) == SHA
    local = again.local(key)
    assert local is None or local.read_bytes() == b"0123456789"

    again.delete("other")
    again.delete("other")
    for read in (again.get, again.sha256, lambda absent: again.fetch(absent, tmp_path / "no")):
        with pytest.raises(Missing):
            read("other")
    assert not (tmp_path / "no").exists()


def test_a_fetched_file_appears_only_with_its_digest(place: str, tmp_path: Path) -> None:
    store = open_objects(place)
    store.put("a", b"0123456789")
    file = tmp_path / "new" / "folder" / "a"
    store.fetch("a", file, sha256=SHA)
    assert file.read_bytes() == b"0123456789"
    store.put("a", b"0123456780", replace=True)
    with pytest.raises(StorageError, match="does not match its digest") as caught:
        store.fetch("a", file, sha256=SHA)
    assert caught.value.kind == "damaged"
    assert file.read_bytes() == b"0123456789"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/./b", ".hidden", "a\\b", "a\nb", "x" * 300, "a/" * 600]
)
def test_a_key_that_leads_elsewhere_is_refused(place: str, key: str) -> None:
    store = open_objects(place)
    for act in (store.get, store.delete, store.local, lambda one: store.put(one, b"")):
        with pytest.raises(StorageError, match="is no key of an object"):
            act(key)


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("ftp://host/days", "no driver"),
        ("https://bucket.example.org/days", "no driver"),
        ("a path://with a colon", "no driver"),
        ("s3:///days", "names no bucket"),
        ("file://host/days", "names no absolute path"),
        ("s3://key:secret@bucket/days", "carries no user"),
        ("s3://bucket/days?token=1", "carries no user"),
    ],
)
def test_a_url_without_a_driver_is_refused(url: str, wrong: str) -> None:
    with pytest.raises(StorageError, match=wrong) as caught:
        check_place(url)
    assert "s3://bucket/path" in caught.value.hint
    assert "secret" not in caught.value.message


def test_a_folder_lists_what_was_put_and_leaves_links_alone(tmp_path: Path) -> None:
    store = open_objects(tmp_path / "objects")
    store.put("a", b"1")
    (tmp_path / "objects" / ".x.part").write_bytes(b"a put that was killed")
    (tmp_path / "objects" / "link").symlink_to(tmp_path)
    assert store.list() == [Stored("a", 1)]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="File exists") as caught:
        open_objects(tmp_path / "file").put("a/b", b"1")
    assert caught.value.kind == "unavailable"


class Ignoring(BaseHTTPRequestHandler):
    """An S3 server that accepts every put, as some do, and counts them."""

    puts: ClassVar[list[str]] = []

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.puts.append(str(self.headers["If-None-Match"]))
        self._say(200)

    def do_POST(self) -> None:
        self._say(200)

    def do_DELETE(self) -> None:
        self._say(204)

    def _say(self, status: int) -> None:
        self.send_response(status)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no line for a request."""


def test_a_store_that_ignores_create_only_puts_is_found_out(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_objects(f"s3://{bucket}").probe()
    Ignoring.puts.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Ignoring) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(StorageError, match="ignores create-only puts") as caught:
            open_objects(f"s3://{bucket}").probe()
        server.shutdown()
    assert "If-None-Match" in caught.value.hint
    assert Ignoring.puts == ["*", "*"]


def test_what_is_wrong_with_a_bucket_is_said_within_seconds(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(url: str) -> StorageError:
        began = time.monotonic()
        with pytest.raises(StorageError) as caught:
            open_objects(url).probe()
        assert time.monotonic() - began < 10
        assert caught.value.kind == "unavailable"
        return caught.value

    assert "the bucket does not exist" in told("s3://no-such-bucket/x").message
    with pytest.raises(StorageError, match="the bucket does not exist"):
        open_objects("s3://no-such-bucket/x").list()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "cannot be reached, or does not answer" in told(f"s3://{bucket}").message
    assert "cannot be reached" in told(f"s3://{bucket}").message, "nothing listens there now"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no usable credentials" in told(f"s3://{bucket}").message, "half of a key is none"
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # the machine has no role of its own
    lost = told(f"s3://{bucket}")
    assert "no usable credentials" in lost.message
    assert "AWS_ACCESS_KEY_ID" in lost.hint


def test_keys_of_a_profile_count(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[ops]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "ops")
    open_objects(f"s3://{bucket}").put("a", b"1")
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(StorageError, match="absent"):
        open_objects(f"s3://{bucket}")


def test_a_bucket_is_refused_where_a_call_would_wait_for_ever(bucket: str) -> None:
    """A process that was forked after its parent had used a bucket has none of the threads that answer."""
    store = open_objects(f"s3://{bucket}/x")
    store.put("a", b"1")
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits
        code = 1
        try:
            open_objects(f"s3://{bucket}/y").put("a", b"2")
        except StorageError as error:
            code = 0 if "forked after its first use" in error.message else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert store.get("a") == b"1"
