"""What a workload loads is what was hashed: a private copy, whatever happens to the stored files meanwhile."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bundles import write_bundle
from miniserve.bundles import folders
from miniserve.private_bundles import PrivateBundles
from modelspine.errors import Damaged, Unavailable
from modelspine.identity.private_copies import PREFIX, PrivateCopies
from modelspine.identity.stamps import stamp
from modelspine.incident.reproduce import ask
from modelspine.release import evaluate
from modelspine.spine import Spine

WEIGHTS = "model.safetensors"
FORGED = b"\xee" * 8


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


@pytest.fixture
def stored(spine: Spine, tmp_path: Path, scratch: Path) -> tuple[Spine, str]:
    assert scratch.is_dir()
    entry = spine.registry.register(write_bundle(tmp_path / "m", 1))
    (spine.cache.path(entry.sha) / WEIGHTS).chmod(0o644)
    return spine, entry.sha


@contextmanager
def mapped(folder: Path) -> Iterator[None]:
    """Change a file through a mapping: once its page is dirty, the file's times stay as they are."""
    with (folder / WEIGHTS).open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as page:
        page[-8:], right = FORGED, page[-8:]
        yield
        page[-8:] = right


@contextmanager
def folder_swapped(folder: Path) -> Iterator[None]:
    """Put another folder in its place, and the right one back: no file of it was touched."""
    away, forged = folder.with_name("away"), folder.with_name("forged")
    write_bundle(forged, 2)
    folder.rename(away)
    forged.rename(folder)
    yield
    folder.rename(forged)
    away.rename(folder)


@contextmanager
def cache_swapped(folder: Path) -> Iterator[None]:
    """The same with the folder that holds all of them."""
    cache = folder.parent
    cache.rename(cache.with_name("away"))
    write_bundle(folder, 2)
    yield
    cache.rename(cache.with_name("forged"))
    cache.with_name("away").rename(cache)


SWAPS = [mapped, folder_swapped, cache_swapped]
Swap = Callable[[Path], Any]


def content(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


@pytest.mark.parametrize("swap", SWAPS)
def test_what_happens_in_the_cache_after_hashing_is_not_loaded(stored: tuple[Spine, str], swap: Swap) -> None:
    spine, sha = stored
    cached = spine.cache.path(sha)
    right = content(cached)
    with PrivateCopies() as copies:
        folder, parent = copies.both(spine.registry, sha)
        assert (folder.name, parent) == (sha, None)
        with swap(cached):
            assert content(cached) != right
            assert content(folder) == right
    assert not folder.exists()


def test_the_times_of_the_stored_files_do_not_show_it(stored: tuple[Spine, str]) -> None:
    """The broken twin: it looks at the files before and after loading."""
    spine, sha = stored
    cached = spine.cache.path(sha)
    with (cached / WEIGHTS).open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as page:
        right, page[-8:] = page[-8:], page[-8:]  # the page is dirty from here on, for some seconds at least
        before = stamp([cached])
        page[-8:] = FORGED
        assert content(cached)[-8:] == FORGED
        page[-8:] = right
        for swap in (folder_swapped, cache_swapped):
            with swap(cached):
                assert content(cached)[-8:] != right
        assert stamp([cached]) == before


@pytest.mark.parametrize("swap", SWAPS)
def test_what_changes_between_hashing_and_copying_is_refused(stored: tuple[Spine, str], swap: Swap) -> None:
    spine, sha = stored

    with PrivateCopies() as copies, swap(spine.cache.path(sha)), pytest.raises(Damaged, match="changed after"):
        copies.of(sha, spine.cache.path(sha))


def test_a_link_in_the_stored_folder_is_not_followed(stored: tuple[Spine, str], tmp_path: Path) -> None:
    spine, sha = stored
    file = spine.cache.path(sha) / WEIGHTS
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with PrivateCopies() as copies, pytest.raises(Damaged, match="cannot be copied"):
        copies.of(sha, file.parent)


def test_no_room_is_an_error_with_a_way_out(stored: tuple[Spine, str], monkeypatch: pytest.MonkeyPatch) -> None:
    spine, sha = stored
    monkeypatch.setattr(tempfile, "tempdir", str(spine.settings.root / "none"))
    with PrivateCopies() as copies, pytest.raises(Unavailable) as caught:
        copies.both(spine.registry, sha)
    assert "TMPDIR" in caught.value.hint


def test_the_copies_of_a_killed_process_are_removed_and_those_of_a_running_one_stay(
    stored: tuple[Spine, str], scratch: Path
) -> None:
    spine, sha = stored
    words = "import sys, time; from pathlib import Path; from modelspine.identity.private_copies import PrivateCopies\n"
    words += "print(PrivateCopies().of(sys.argv[1], Path(sys.argv[2])), flush=True); time.sleep(60)"
    command = [sys.executable, "-c", words, sha, str(spine.cache.path(sha))]
    environ = {**os.environ, "TMPDIR": str(scratch)}
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) for _ in range(2)]
    try:
        made = [Path(child.stdout.readline().strip()) for child in children if child.stdout is not None]
        children[0].send_signal(signal.SIGKILL)
        children[0].wait()
        old = time.time() - 3600
        for each in scratch.glob(f"{PREFIX}*"):
            os.utime(each, (old, old))
        with PrivateCopies() as copies:
            copies.both(spine.registry, sha)
            assert [each.exists() for each in made] == [False, True]
            assert (next(scratch.glob(f"{PREFIX}*")).stat().st_mode & 0o777) == 0o700
    finally:
        for child in children:
            child.kill()
            child.communicate()


# who loads from a copy ---------------------------------------------------------------------------------------------


def test_a_server_loads_from_copies_that_stay_while_their_entries_are_in_use(
    stored: tuple[Spine, str], tmp_path: Path
) -> None:
    spine, first = stored
    shas = [first, *(spine.registry.register(write_bundle(tmp_path / f"m{n}", n)).sha for n in (2, 3, 4))]
    in_use: list[str] = []
    bundles = PrivateBundles(spine.registry, lambda: in_use)
    loaded = [folders(bundles, sha)[0] for sha in shas[:2]]
    in_use += shas[:2]
    loaded += [folders(bundles, sha)[0] for sha in shas[2:]]
    assert all(folder.is_dir() and not folder.is_relative_to(spine.cache.folder) for folder in loaded)
    in_use[:] = shas[3:]
    assert folders(bundles, shas[3])[0] == loaded[3]
    assert [folder.is_dir() for folder in loaded] == [False, False, True, True]
    bundles.close()
    assert not any(folder.exists() for folder in loaded)


def test_a_parent_that_is_an_arm_too_stays(spine: Spine, tmp_path: Path, scratch: Path) -> None:
    assert scratch.is_dir()
    parent = spine.registry.register(write_bundle(tmp_path / "p", 1)).sha
    child = spine.registry.register(write_bundle(tmp_path / "c", 2, parent=parent)).sha
    bundles = PrivateBundles(spine.registry)
    of_child = folders(bundles, child)
    assert of_child[1] == folders(bundles, parent)[0]
    assert all(each is not None and each.is_dir() for each in of_child)
    bundles.close()


def test_evaluation_and_investigation_load_from_copies(
    stored: tuple[Spine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spine, sha = stored
    seen: list[Path] = []

    def apart(task: Any, _progress: Any) -> Any:
        seen.append(Path(task.folder))
        assert content(seen[-1])
        return SimpleNamespace(key=False, outputs=())

    monkeypatch.setattr(evaluate, "run_apart", apart)
    evaluate.load_stored(spine, sha)

    def load(folder: Path, _parent: Path | None) -> Any:
        seen.append(folder)
        assert content(folder)
        return SimpleNamespace(answer=lambda texts: [SimpleNamespace(output=text) for text in texts])

    assert ask(spine.registry, lambda: cast("Any", SimpleNamespace(name="own", load=load)), sha, "a").output == "a"
    assert len(seen) == 2
    assert not any(folder.is_relative_to(spine.cache.folder) or folder.exists() for folder in seen)
