"""Where DVC keeps the bytes of a hash on this machine. It does not know git, or which hash belongs to which data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelspine.errors import Unavailable
from modelspine.extras import missing_extra
from modelspine.text import visible


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


def cached(folders: Iterable[Path], dvc_hash: str) -> list[Path]:
    """The files that hold a hash in some caches, by the layouts of DVC 3 and DVC 2."""
    places = [folder / layout for folder in folders for layout in ("files/md5", "")]
    named = [place / dvc_hash[:2] / dvc_hash[2:] for place in places]
    return [file for file in named if file.is_file()]
