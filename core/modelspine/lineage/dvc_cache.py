"""Where DVC keeps the bytes of a hash on this machine. It does not know git, or which hash belongs to which data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelspine.errors import Unavailable
from modelspine.extras import missing_extra
from modelspine.git import top_of
from modelspine.text import argument, visible

_CREDENTIALS = ("configpath", "credentialpath")
"""Options of a remote that name a file of a cloud's tools, in which `credential_process` is a program."""


def cache_folder(dvc_root: Path) -> Path:
    """DVC's cache of a repository: the folder that its settings name, else the one in ``.dvc``.

    Without DVC installed it is the latter, unless the repository's own settings speak of a cache.

    Raises:
        Unavailable: its settings cannot be read, or need DVC to be read.
    """
    default = dvc_root / ".dvc" / "cache"
    try:
        named = settings(dvc_root).get("cache", {}).get("dir")
    except Unavailable:
        files = [dvc_root / ".dvc" / name for name in ("config", "config.local")]
        if any(file.is_file() and "cache" in file.read_text(encoding="utf-8", errors="replace") for file in files):
            raise
        return default
    return Path(str(named)) if named else default


def settings(dvc_root: Path) -> dict[str, Any]:
    """The settings of a DVC repository, of all levels together; paths are absolute.

    Raises:
        Unavailable: DVC is not installed, or does not accept them.
    """
    try:
        from dvc.config import Config
        from dvc.exceptions import DvcException
    except ImportError as error:
        broken = Unavailable(f"DVC cannot be imported: {visible(str(error), 120)}", "reinstall DVC, then repeat")
        raise missing_extra(error) or broken from error
    try:
        merged: dict[str, Any] = Config(str(dvc_root / ".dvc")).load_config_to_level()
    except (DvcException, OSError) as error:
        raise Unavailable(f"DVC cannot read its settings: {visible(str(error), 160)}", "run `dvc doctor`") from error
    return merged


def refuse_programs(dvc_root: Path) -> None:
    """Check that the settings in a repository's folder name no program that reading a remote would run.

    Raises:
        Unavailable: they name one.
    """
    for remote, name in programs(dvc_root):
        raise Unavailable(
            f"DVC's remote {visible(remote, 40)} has {visible(name, 40)} in the repository's settings, which can run a "
            "program, so nothing is fetched",
            f"if you trust it, set it for yourself: `dvc remote modify --global {argument(visible(remote, 40))} "
            f"{visible(name, 40)} VALUE`, and remove it from the repository",
        )


def programs(dvc_root: Path) -> list[tuple[str, str]]:
    """The remotes in the settings of a repository's folder that can run a program, each with the option that does.

    A remote may have a command that prints a token, and a file of credentials in the repository may name a program
    too. In the settings of this user or machine both are the user's own choice.

    Raises:
        Unavailable: the settings cannot be read.
    """
    from dvc.config import Config
    from dvc.exceptions import DvcException

    config, found = Config(str(dvc_root / ".dvc")), []
    for level in Config.REPO_LEVELS:
        try:
            remotes = config.load_one(level).get("remote", {})
        except (DvcException, OSError) as error:
            raise Unavailable(
                f"DVC cannot read its settings: {visible(str(error), 160)}", "run `dvc doctor`"
            ) from error
        for remote, options in remotes.items():
            found += [(str(remote), name) for name, value in options.items() if _runs(dvc_root, name, str(value))]
    return found


def _runs(dvc_root: Path, name: str, value: str) -> bool:
    """Whether an option of a remote is a program, or a file in the repository that may name one."""
    if "command" in name:
        return True
    top = top_of(dvc_root) or dvc_root
    return name in _CREDENTIALS and Path(os.path.realpath(dvc_root / ".dvc" / value)).is_relative_to(top)


def cached(folders: Iterable[Path], dvc_hash: str) -> list[Path]:
    """The files that hold a hash in some caches, by the layouts of DVC 3 and DVC 2."""
    places = [folder / layout for folder in folders for layout in ("files/md5", "")]
    named = [place / dvc_hash[:2] / dvc_hash[2:] for place in places]
    return [file for file in named if file.is_file()]
