"""Fetching data through DVC, by its hash and not by the newest version of its file.

DVC is given a folder that holds only the output in question, as the commit in question names it, with the settings
and the cache of the real repository. So DVC opens no git repository, and an older version of a path is fetched like
the newest one. Nothing that a repository's files say is run. It does not verify what came.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from modelspine.errors import Unavailable
from modelspine.lineage.dvc_cache import cache_folder, programs, refuse_programs, settings
from modelspine.lineage.dvc_repository import Tracked
from modelspine.settings import masked
from modelspine.text import visible

_OUT = ("md5", "hash", "etag", "checksum", "size", "nfiles", "isexec", "files", "cloud", "remote", "push")
"""The fields of an output by which DVC finds its bytes. The others may name a repository or settings of their own."""


def fetch(tracked: Tracked, top: Path, dvc_root: Path, remote: str, *, member: str = "") -> str:
    """Fetch an output, or one ``member`` of a directory, into the cache of its repository; returns DVC's remarks.

    DVC does not fail where a remote lacks the data, but says so in a remark.

    Args:
        tracked: the output, as the file of some commit names it.
        top: the top of the repository, from which its path counts.
        dvc_root: the folder that DVC knows.
        remote: the URL to fetch from; empty for the one in DVC's settings.
        member: a path below the directory; empty for all of it.

    Raises:
        Unavailable: DVC is not installed, or could not fetch it; its own words are passed on.
    """
    folder = dvc_root.relative_to(top).as_posix()
    with _opened(dvc_root, remote) as (repo, remarks):
        # A stage needs its pipeline's variables, and an import another repository; the output alone does not.
        file = Path(repo.root_dir) / f"{PurePosixPath(tracked.out.path).relative_to(folder)}.dvc"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_stage(tracked), encoding="utf-8")
        whole = Path(repo.root_dir) / PurePosixPath(tracked.out.path).relative_to(folder)
        try:
            if repo.fetch(targets=[str(whole / member if member else file)]) == 0:
                remarks[:] = _problems_of_remote(repo, dvc_root) or remarks
        except Exception as error:
            # What failed to download is only logged; the exception has their number.
            said = remarks[0] if remarks and type(error).__name__ == "DownloadError" else _said(error)
            raise Unavailable(
                f"DVC could not fetch {visible(tracked.out.path, 60)}: {said}", "check `dvc remote list`"
            ) from error
        return "; ".join(dict.fromkeys(remarks))


def _problems_of_remote(repo: Any, dvc_root: Path) -> list[str]:
    """Why nothing came from the default remote, in its own words."""
    # DVC takes a remote that does not answer for an empty one.
    try:
        remote = repo.cloud.get_remote()
        remote.fs.info(remote.path)
    except Exception as error:  # noqa: BLE001  (whatever a remote's library raises is the reason)
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        said = _said(cause).replace(repo.root_dir, str(dvc_root))
        return [f"{type(cause).__name__}: {visible(said, 160)}"]
    return []


def reach(dvc_root: Path, remote: str) -> None:
    """Check that the remote from which data is fetched answers.

    Raises:
        Unavailable: DVC is not installed, there is no remote, or it does not answer.
    """
    with _opened(dvc_root, remote) as (repo, _):
        try:
            found = repo.cloud.get_remote()
            found.fs.ls(found.path)
        except Exception as error:
            raise Unavailable(
                f"DVC's remote does not answer: {type(error).__name__}: {_said(error)}",
                "set SPINE_DVC_REMOTE to its URL, or see `dvc remote list`",
            ) from error


@contextmanager
def _opened(dvc_root: Path, remote: str) -> Iterator[tuple[Any, list[str]]]:
    """DVC's object for an empty folder with the settings and the cache of a repository, and what DVC remarks."""
    config = settings(dvc_root)
    if not remote:
        refuse_programs(dvc_root)
    from dvc.repo import Repo

    name = "spine"
    config["cache"] = config.get("cache", {}) | {"dir": str(cache_folder(dvc_root))}
    if remote:
        config["core"] = config.get("core", {}) | {"remote": name}
        # An output may name another remote than the one that Spine's own setting names.
        unsafe = {other for other, _option in programs(dvc_root)}
        kept = {other: options for other, options in config.get("remote", {}).items() if other not in unsafe}
        config["remote"] = kept | {name: {"url": remote}}
    with tempfile.TemporaryDirectory(prefix="spine-dvc-") as folder:
        (Path(folder) / ".dvc").mkdir()
        # What DVC remembers of a folder would outlive this one in the site's cache.
        own = {"no_scm": True, "site_cache_dir": str(Path(folder) / ".dvc" / "site")}
        config["core"] = config.get("core", {}) | own
        try:
            repo = Repo(folder, config=config)
        except Exception as error:
            raise Unavailable(f"DVC cannot open this repository: {_said(error)}", "run `dvc doctor`") from error
        with repo, _remarks() as remarks:
            yield repo, remarks


class _Collector(logging.Handler):
    """Keeps what DVC logs as a warning or an error, for a message that is shown once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.remarks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line of a record."""
        self.remarks += [visible(line, 160) for line in record.getMessage().strip().splitlines()[:1]]


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """Collect what DVC logs instead of having it printed."""
    collector = _Collector()
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    before = [(logger.level, logger.propagate, logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.handlers = [collector]  # DVC's own would print, and raise where the output is closed
    try:
        yield collector.remarks
    finally:
        for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate, logger.handlers = propagate, handlers


def _stage(tracked: Tracked) -> str:
    """A ``.dvc`` file of one output, of which only the fields that find its bytes are taken over."""
    fields = {name: value for name, value in tracked.out.fields.items() if name in _OUT}
    out = fields | {"path": PurePosixPath(tracked.out.path).name}
    return json.dumps({"outs": [out]}, default=str)  # JSON is YAML


def _said(error: BaseException) -> str:
    text = str(error).strip()
    # A remote's URL may have a password in it.
    return visible(masked(text.splitlines()[0]) if text else type(error).__name__, 160)
