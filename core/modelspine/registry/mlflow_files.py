"""The files of a run or a logged model: on this machine's disk, or fetched from where MLflow keeps them.

Only files that count for a bundle are fetched. What a listing says about paths and sizes is checked before anything is
written, and each size again while its bytes arrive. It does not know runs, models, or the canonical SHA.
"""

from __future__ import annotations

import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from modelspine.errors import BadInput, BundleRefused, Unavailable, UnknownRef
from modelspine.identity.bundle_files import LIMITS, is_by_product
from modelspine.identity.untrusted_files import MAX_BYTES, MAX_ENTRIES, check_path
from modelspine.registry.mlflow_calls import bounded, mapped, patience
from modelspine.text import size as readable
from modelspine.text import visible

_CHUNK = 2**20
_SILENCE = 30.0
"""Seconds without a byte after which a download is given up; a server may first have to fetch the file itself."""
_WEIGHTS = (".safetensors", ".onnx", ".gguf", "pytorch_model.bin")
_DEEPEST = 2
"""Levels of folders that are searched for a bundle; one that is deeper has to be named."""
_MAX_SEARCHED = 60


class Item(msgspec.Struct, frozen=True):
    """A file or folder directly in a folder: its name, whether it is a folder, and a file's size in bytes if known."""

    name: str
    is_folder: bool
    size: int | None = None


class Copy(msgspec.Struct, frozen=True):
    """A folder with the files, and what was there and not fetched; a left-out folder ends in "/"."""

    folder: Path
    left_out: tuple[str, ...] = ()


class Place(Protocol):
    """Where the files of one run or logged model are."""

    def list(self, path: str) -> list[Item]:
        """What is directly in a folder; empty if there is no such folder."""
        ...

    def copied(self, path: str, scratch: Path) -> Any:
        """A context with the ``Copy`` of a folder."""
        ...


class LocalPlace:
    """Files on this machine's disk, which are read where they are."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, path: str) -> list[Item]:
        """What is directly in a folder; empty if there is no such folder."""
        folder = self._inside(path)
        if not folder.is_dir():
            return []
        return [Item(child.name, child.is_dir()) for child in sorted(folder.iterdir())]

    @contextmanager
    def copied(self, path: str, scratch: Path) -> Iterator[Copy]:  # noqa: ARG002  (the interface's)
        """The folder itself; whoever hashes it copies the bytes that were hashed."""
        yield Copy(self._inside(path))

    def _inside(self, path: str) -> Path:
        """A folder below the root; a link that leads out of it is refused."""
        root = self._root.resolve()
        folder = (root / path).resolve()
        if folder != root and root not in folder.parents:
            raise BadInput(
                f"{visible(path, 80)!r} leads out of the folder of MLflow's artifacts, by a link",
                "copy what the link leads to into the artifacts",
            )
        return root / path


class RemotePlace:
    """Files that MLflow keeps elsewhere; ``repository`` is MLflow's object for their location."""

    def __init__(self, repository: Any, url: str) -> None:
        self._repository = repository
        self._url = url

    def list(self, path: str) -> list[Item]:
        """What is directly in a folder; empty if there is no such folder.

        Raises:
            Unavailable: the store does not answer.
            BundleRefused: it lists something that is not in that folder.
        """
        with mapped(""):
            listed = bounded(lambda: self._repository.list_artifacts(path or None), self._url)
        items = []
        for found in listed:
            name = posixpath.basename(found.path)
            if posixpath.join(path, name) != found.path or name in ("", ".", ".."):
                raise BundleRefused(
                    f"MLflow lists {visible(str(found.path), 80)!r} in the folder {visible(path or '.', 80)!r}",
                    "its server gives wrong answers: use a bundle's folder instead",
                )
            items.append(Item(name, bool(found.is_dir), found.file_size))
        return items

    @contextmanager
    def copied(self, path: str, scratch: Path) -> Iterator[Copy]:
        """A copy of a folder, without what is no part of a bundle; it is deleted after the block.

        Raises:
            UnknownRef: there is no such folder.
            BundleRefused: its files are too many or too large, or a file's bytes are not as many as was said.
            Unavailable: the store does not answer, or this disk has no room.
        """
        files, left_out = self._files(path)
        scratch.mkdir(parents=True, exist_ok=True)
        total, free = sum(files.values()), shutil.disk_usage(scratch).free
        if total > free:
            raise Unavailable(
                f"the bundle takes {readable(total)} bytes, and {scratch} has room for {readable(free)}",
                "make room on that disk, then repeat the command",
            )
        target = Path(tempfile.mkdtemp(dir=scratch))
        try:
            for name, size in files.items():
                file = target / name
                file.parent.mkdir(parents=True, exist_ok=True)
                self._fetch(posixpath.join(path, name), file, size)
            yield Copy(target, left_out)
        finally:
            shutil.rmtree(target, ignore_errors=True)

    def _files(self, path: str) -> tuple[dict[str, int], tuple[str, ...]]:
        """Every file below a folder that counts, with its size, and what was left out."""
        files: dict[str, int] = {}
        left_out: list[str] = []
        folders = [""]
        while folders:
            prefix = folders.pop()
            for item in self.list(posixpath.join(path, prefix).rstrip("/")):
                name = prefix + item.name
                check_path(name)
                if is_by_product(name, item.is_folder):
                    left_out.append(f"{name}/" if item.is_folder else name)
                elif item.is_folder:
                    folders.append(f"{name}/")
                else:
                    files[name] = _checked_size(name, item.size)
                if len(files) + len(left_out) + len(folders) > MAX_ENTRIES:
                    raise BundleRefused(f"the folder holds more than {MAX_ENTRIES:,} files", _NAME_A_FOLDER)
        if not files:
            raise UnknownRef(f"MLflow keeps no files in the folder {visible(path or '.', 80)!r} of it", _NAME_A_FOLDER)
        if sum(files.values()) > MAX_BYTES:
            raise BundleRefused(f"the files take over the limit of {MAX_BYTES:,} bytes", _NAME_A_FOLDER)
        return files, tuple(sorted(left_out))

    def _fetch(self, path: str, file: Path, size: int) -> None:
        from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

        with mapped(""):
            if isinstance(self._repository, HttpArtifactRepository):
                _stream(self._repository, path, file, size)
            else:
                self._repository._download_file(path, str(file))  # noqa: SLF001  (what each kind of store implements)
        if file.stat().st_size != size:
            raise _other_size(path, size, f"{file.stat().st_size:,}")


def _stream(repository: Any, path: str, file: Path, size: int) -> None:
    """Write what a server sends for a path, and stop when it is more than was announced."""
    from urllib.parse import quote

    from mlflow.utils.rest_utils import augmented_raise_for_status, http_request

    # MLflow's own download is not used, as it would write whatever comes, to the end of the disk.
    # The time-out is for each piece, so that a server that dies is noticed, and a large file may take its time.
    reply = http_request(
        repository._host_creds,  # noqa: SLF001
        f"/{quote(path)}",
        "GET",
        stream=True,
        timeout=patience(_SILENCE),
    )
    with reply, file.open("wb") as stream:
        augmented_raise_for_status(reply)
        came = 0
        for chunk in reply.iter_content(chunk_size=_CHUNK):
            came += len(chunk)
            if came > size:
                raise _other_size(path, size, "more")
            stream.write(chunk)


def _checked_size(name: str, size: int | None) -> int:
    """The announced size of a file.

    Raises:
        BundleRefused: it is unknown, or over the limit for a file of that name.
    """
    limit = LIMITS.get(name, MAX_BYTES)
    if size is None or not 0 <= size <= limit:
        said = "of unknown size" if size is None else f"{size:,} bytes large"
        raise BundleRefused(f"{visible(name, 120)} is {said} in MLflow, the limit is {limit:,} bytes", _NAME_A_FOLDER)
    return size


def _other_size(path: str, size: int, came: str) -> BundleRefused:
    return BundleRefused(
        f"{visible(path, 120)} has {size:,} bytes by MLflow's list, but {came} came",
        "it changed, or its upload is not complete: repeat the command when the run has ended",
    )


def find_folders(place: Place) -> list[str]:
    """The folders of a place that hold a model, to a depth of two; the empty path is the top.

    A folder with weights, or one that MLflow wrote as a model, is taken with all that is below it.
    """
    found: list[str] = []
    level = [""]
    searched = 0
    for _ in range(_DEEPEST + 1):
        below: list[str] = []
        for path in level:
            if (searched := searched + 1) > _MAX_SEARCHED:
                raise BadInput(f"there are over {_MAX_SEARCHED} folders to search for a model", _NAME_A_FOLDER)
            items = place.list(path)
            files = [item.name for item in items if not item.is_folder]
            whole = "MLmodel" in files or any(name.endswith(_WEIGHTS) for name in files)
            if whole or "config.json" in files:
                found.append(path)
            if not whole:
                below += [posixpath.join(path, item.name) for item in items if item.is_folder]
        level = [path for path in below if not is_by_product(path, True)]
    return found


_NAME_A_FOLDER = "name the folder in which the model's files are: `--path FOLDER`"
