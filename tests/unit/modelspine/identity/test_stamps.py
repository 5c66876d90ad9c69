"""What is loaded is what was hashed: a file that is swapped in between gives itself away."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine.errors import Damaged
from modelspine.identity.stamps import Stamp, loaded_as_hashed, stamp

RIGHT, WRONG = b"the right bytes", b"the wrong bytes"


def rewrite(file: Path, content: bytes) -> None:
    """Write other bytes into the same file and give it back the times that programs can set."""
    about = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def rename(file: Path, content: bytes) -> None:
    """Put another file in its place, and keep the times that programs can set."""
    about = file.stat()
    other = file.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.rename(file)


def whole_folder(file: Path, content: bytes) -> None:
    """Put another folder in the place of the one that the file is in."""
    folder = file.parent
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    file.write_bytes(content)


SWAPS = [rewrite, rename, whole_folder]


def hash_and_load(file: Path, times: int, swap: Callable[[Path, bytes], None], check: Callable[[Path], Stamp]) -> bytes:
    """Hash a file and load it; somebody swaps it in between and puts the right bytes back, so many times."""
    left = [times]

    def load() -> bytes:
        assert file.read_bytes() == RIGHT, "what is hashed is right each time"
        if left[0]:
            left[0] -= 1
            swap(file, WRONG)
            loaded = file.read_bytes()
            swap(file, RIGHT)
            return loaded
        return file.read_bytes()

    return loaded_as_hashed(lambda: check(file.parent), load, "v1.0.0")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "bundle" / "model.safetensors"
    made.parent.mkdir()
    made.write_bytes(RIGHT)
    return made


def _stamp(folder: Path) -> Stamp:
    return stamp([folder])


@pytest.mark.parametrize("swap", SWAPS[:2])
def test_bytes_swapped_between_hashing_and_loading_are_not_used(
    file: Path, swap: Callable[[Path, bytes], None]
) -> None:
    assert hash_and_load(file, 2, swap, _stamp) == RIGHT, "the third attempt was left alone"
    with pytest.raises(Damaged, match=r"v1\.0\.0 change while they are loaded"):
        hash_and_load(file, 3, swap, _stamp)


def test_a_swapped_folder_is_noticed(file: Path) -> None:
    before = _stamp(file.parent)
    whole_folder(file, RIGHT)
    assert _stamp(file.parent) != before


def _by_size_and_time(folder: Path) -> Stamp:
    """The broken twin: it looks at what a program can set."""
    return frozenset((name, 0, 0, size, mtime, 0) for name, _, _, size, mtime, _ in stamp([folder]))


@pytest.mark.parametrize("swap", SWAPS[:2])
def test_a_twin_that_trusts_size_and_time_is_caught(file: Path, swap: Callable[[Path, bytes], None]) -> None:
    assert hash_and_load(file, 1, swap, _by_size_and_time) == WRONG


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert stamp([tmp_path / "none"]) == frozenset()


def test_reading_changes_nothing(file: Path) -> None:
    before = _stamp(file.parent)
    file.read_bytes()
    assert _stamp(file.parent) == before
