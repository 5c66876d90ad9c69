"""Folders that lie, files that are not files, and files that change while they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import forge
from modelspine.errors import BundleRefused, Unavailable
from modelspine.identity import bundle_files as layout
from modelspine.identity import hashing as digest
from modelspine.identity import untrusted_files as intake
from modelspine.identity.bundle import file_identity, read_bundle, read_stored

MODEL = forge.plain({"w": ("U8", [300_000], bytes(range(250)) * 1200), "v": ("U8", [2], b"\1\2")})
OTHER = forge.plain({"w": ("U8", [300_000], bytes(300_000)), "v": ("U8", [2], b"\3\4")})

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return forge.write(tmp_path / "b", {"model.safetensors": MODEL, "config.json": b"{}"})


def refusal(folder: Path) -> str:
    with pytest.raises(BundleRefused) as refused:
        read_bundle(folder)
    return refused.value.message


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "eval_report.json"])
def test_only_regular_files_are_opened(folder: Path, name: str) -> None:
    target = folder / name
    real = folder.parent / "real"
    real.write_bytes(target.read_bytes() if target.exists() else b"{}")
    makers: list[tuple[Callable[[], object], str]] = [
        (lambda: target.symlink_to(real), "symbolic link"),
        (lambda: target.symlink_to("nowhere"), "symbolic link"),
        (lambda: os.mkfifo(target), "not a regular file"),
    ]
    for make, reason in makers:
        target.unlink(missing_ok=True)
        make()
        message = refusal(folder)
        assert name in message
        assert reason in message


def test_a_link_to_the_folder_is_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert read_bundle(tmp_path / "link").sha == read_bundle(folder).sha


def test_a_device_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").symlink_to("/dev/zero")
    for path in (tmp_path / "x.safetensors", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(BundleRefused):
            file_identity(path)


def test_a_sparse_file_is_refused_whatever_it_says(folder: Path) -> None:
    size = 4 * 2**30
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(forge.safetensors(header))
        file.truncate(file.tell() + size)
    assert "sparse" in refusal(folder)
    os.truncate(folder / "model.safetensors", 65 * 2**30)
    assert "over the limit" in refusal(folder)


def test_the_limit_is_on_the_sum(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_BYTES", len(MODEL) + 2)
    assert read_bundle(folder).sha
    (folder / "eval_report.json").write_bytes(b"1")
    assert "over the limit" in refusal(folder)


@pytest.mark.parametrize("name", sorted(layout.LIMITS))
def test_a_text_over_its_limit_is_not_read(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layout.LIMITS, name, 1000)
    (folder / name).touch()
    os.truncate(folder / name, layout.LIMITS[name] + 1)
    assert f"{name} takes" in refusal(folder)


@pytest.mark.parametrize("name", ["Model.safetensors", "model.SAFETENSORS", "CONFIG.json", "config.jſon"])
def test_names_that_differ_by_case_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{}")
    assert "case" in refusal(folder)


def test_a_name_with_control_characters_is_refused_and_shown_by_marks(folder: Path) -> None:
    (folder / "\x1b]0;x.safetensors").write_bytes(MODEL)
    message = refusal(folder)
    assert "control character" in message
    assert message.isprintable()


def test_a_name_that_is_not_unicode_is_refused(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / os.fsdecode(b"\xff\xfe.txt")).touch()
    assert "not UTF-8" in refusal(folder)


def test_a_by_product_folder_is_not_entered(folder: Path) -> None:
    before = read_bundle(folder).sha
    for place in (".git", "sub/.cache", "__pycache__"):
        (folder / place).mkdir(parents=True)
        os.mkfifo(folder / place / "pipe")
        (folder / place / os.fsdecode(b"\xff")).symlink_to("nowhere")
    found = read_bundle(folder)
    assert found.sha == before
    assert found.by_products == (".git/", "__pycache__/", "sub/.cache/")


def test_every_file_of_a_sub_folder_is_opened_as_strictly(folder: Path) -> None:
    (folder / "sub" / "deep").mkdir(parents=True)
    os.mkfifo(folder / "sub" / "deep" / "pipe")
    assert "sub/deep/pipe is not a regular file" in refusal(folder)
    (folder / "sub" / "deep" / "pipe").unlink()
    (folder / "sub" / "deep" / "link").symlink_to(folder / "config.json")
    assert "sub/deep/link is a symbolic link" in refusal(folder)


def test_links_to_files_are_followed_on_request_under_their_own_path(folder: Path, tmp_path: Path) -> None:
    """As in the cache of a hub, whose snapshots are links to blobs beside them."""
    (folder / "sub").mkdir()
    (folder / "sub" / "vocab.txt").write_bytes(b"went")
    links = tmp_path / "links"
    (links / "sub").mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "sub/vocab.txt"):
        (links / name).symlink_to(folder / name)
    assert "symbolic link" in refusal(links)
    assert read_bundle(links, follow=True, store=tmp_path / "copy").sha == read_bundle(folder).sha
    assert not any(path.is_symlink() for path in (tmp_path / "copy").rglob("*"))
    for target in ("nowhere", "/dev/zero", folder / "sub"):
        (links / "more").symlink_to(target)
        with pytest.raises(BundleRefused, match="more"):
            read_bundle(links, follow=True)
        (links / "more").unlink()


def test_a_stored_copy_holds_nothing_that_no_digest_covers(folder: Path, tmp_path: Path) -> None:
    read_bundle(folder, store=tmp_path / "copy")
    before = read_stored(tmp_path / "copy").sha
    (tmp_path / "copy" / "optimizer.pt").write_bytes(b"x")
    with pytest.raises(BundleRefused, match=r"optimizer\.pt"):
        read_stored(tmp_path / "copy")
    (tmp_path / "copy" / "optimizer.pt").rename(tmp_path / "copy" / "vocab.txt")
    assert read_stored(tmp_path / "copy").sha != before


def test_an_unwhole_copy_of_earlier_versions_is_read_and_takes_no_further_file(tmp_path: Path) -> None:
    name = "model-00001-of-00002.safetensors"
    copy = forge.write(tmp_path / "copy", {name: MODEL, "config.json": b"{}"})
    assert "00002-of-00002" in refusal(copy)
    whole = forge.write(tmp_path / "whole", {"model.safetensors": MODEL, "config.json": b"{}"})
    assert read_stored(copy).sha == read_bundle(whole).sha
    (copy / "vocab.txt").touch()
    with pytest.raises(BundleRefused, match="00002-of-00002"):
        read_stored(copy)


def test_too_many_of_anything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(layout.MAX_SHARDS):
        (folder / f"s{at}.safetensors").touch()
    assert "over 128" in refusal(folder)
    monkeypatch.setattr(intake, "MAX_ENTRIES", 100)
    assert "more than 100 files" in refusal(folder)


@pytest.mark.long
def test_20000_tensors_and_not_one_more(tmp_path: Path) -> None:
    def shard(first: int, last: int) -> bytes:
        return forge.plain({f"t{i}": ("U8", [], b"\0") for i in range(first, last)})

    names = {"config.json": b"{}", "a.safetensors": shard(0, 12_000), "b.safetensors": shard(12_000, 20_000)}
    assert len(read_bundle(forge.write(tmp_path / "b", names)).tensors) == 20_000
    forge.write(tmp_path / "b", {"b.safetensors": shard(12_000, 20_001)})
    assert "20,000" in refusal(tmp_path / "b")
    forge.write(tmp_path / "c", {"config.json": b"{}", "a.safetensors": shard(0, 20_001)})
    assert "20,000" in refusal(tmp_path / "c")


def test_what_cannot_be_opened_says_so(folder: Path, tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "absent")
    assert "is not a folder, and a bundle is one" in refusal(folder / "config.json")
    assert "null" in refusal(tmp_path / "a\0b")
    if os.geteuid():
        (folder / "config.json").chmod(0)
        assert "Permission denied" in refusal(folder)


# -- files that change under way -------------------------------------------------------------------------


def during_read(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], *, at: int) -> list[int]:
    """Let ``act`` happen before the ``at``-th read of any file; the list tells how many reads there were."""
    reads: list[int] = []
    real = intake.Source.read_into

    def read_into(source: intake.Source, buffer: memoryview, offset: int) -> int:
        reads.append(offset)
        if len(reads) == at:
            act()
        return real(source, buffer, offset)

    monkeypatch.setattr(intake.Source, "read_into", read_into)
    return reads


@pytest.mark.parametrize("at", range(1, 10))
def test_a_file_swapped_under_way_changes_nothing(
    folder: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_bundle(folder).sha
    (tmp_path / "other").write_bytes(OTHER)
    with monkeypatch.context() as patch:
        reads = during_read(patch, lambda: (tmp_path / "other").rename(folder / "model.safetensors"), at=at)
        found = read_bundle(folder, store=tmp_path / "copy", threads=1)
    assert len(reads) >= at
    assert found.sha == before == read_bundle(tmp_path / "copy").sha
    assert read_bundle(folder).sha != before


def test_the_folder_swapped_under_way_changes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_bundle(folder).sha
    forge.write(tmp_path / "other", {"model.safetensors": OTHER, "config.json": b"[]"})
    with monkeypatch.context() as patch:
        during_read(patch, lambda: (folder.rename(tmp_path / "old"), (tmp_path / "other").rename(folder)), at=1)
        assert read_bundle(folder, store=tmp_path / "copy").sha == before
    assert read_bundle(tmp_path / "copy").sha == before


@pytest.mark.parametrize("at", range(2, 10))
@pytest.mark.parametrize("how", ["write", "cut", "grow"])
def test_a_file_written_to_under_way_is_refused_and_leaves_no_copy(
    folder: Path, tmp_path: Path, at: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder / "model.safetensors"
    acts = {
        "write": lambda: model.write_bytes(OTHER),
        "cut": lambda: os.truncate(model, 100),
        "grow": lambda: os.truncate(model, len(MODEL) + 1),
    }
    reads = during_read(monkeypatch, acts[how], at=at)
    for copy in (tmp_path / "copy", None):
        model.write_bytes(MODEL)
        os.utime(model, ns=(1, 1))
        with pytest.raises(BundleRefused, match="changed while"):
            read_bundle(folder, store=copy, threads=1)
        assert len(reads) >= at
        assert not (tmp_path / "copy").exists()
        reads.clear()


def test_a_twin_that_opens_twice_is_caught(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness sees a reader that copies by name what it hashed before."""
    import shutil

    def twin() -> tuple[str, str]:
        found = read_bundle(folder)
        (tmp_path / "other").rename(folder / "model.safetensors")
        shutil.copytree(folder, tmp_path / "copy")
        return found.sha, read_bundle(tmp_path / "copy").sha

    (tmp_path / "other").write_bytes(OTHER)
    hashed, stored = twin()
    assert hashed != stored


def test_a_full_disk_leaves_no_copy(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(digest.os, "pwrite", full)
    with pytest.raises(Unavailable, match="No space left"):
        read_bundle(folder, store=tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_broken_disk_is_a_refusal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(intake.os, "preadv", broken)
    assert "Input/output error" in refusal(folder)


def test_an_interrupt_leaves_no_copy_and_no_thread(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    def interrupt() -> None:
        raise KeyboardInterrupt

    many = {f"t{i}": ("U8", [400_000], bytes(400_000)) for i in range(12)}
    forge.write(folder, {"model.safetensors": forge.plain(many)})
    during_read(monkeypatch, interrupt, at=9)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        read_bundle(folder, store=tmp_path / "copy", threads=4)
    assert threading.active_count() == before
    assert not (tmp_path / "copy").exists()


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="this system does not list a process's open files")
def test_no_file_stays_open(folder: Path, tmp_path: Path) -> None:
    before = len(list(OPEN_FILES.iterdir()))
    for at in range(3):
        read_bundle(folder, store=tmp_path / f"copy{at}")
        (folder / "eval_report.json").symlink_to("x")
        refusal(folder)
        (folder / "eval_report.json").unlink()
    assert len(list(OPEN_FILES.iterdir())) == before
