"""Where the settings say that things are: absolute paths, and the URLs of databases and object storage.

It looks at no place, and does not know what is kept there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from modelspine.errors import BadInput
from modelspine.text import visible

PATHS: Final = ("home", "artifacts", "cache", "parquet", "files", "drift_reports", "eval_baseline", "trust", "testers")
"""The settings that are paths."""
_OBJECTS: Final = ("parquet", "files")
"""Those of them that may be the URL of object storage instead."""


def place(name: str, value: str, root: Path, origin: str) -> str:
    """The absolute path that a setting holds, or for ``parquet`` and ``files`` the URL of object storage.

    Args:
        name: the setting's name.
        value: what it was set to.
        root: the folder from which a relative path counts.
        origin: where it was set, for messages.

    Raises:
        BadInput: it is a URL that no driver opens; taken as a path, it would silently become a local folder.
    """
    if "://" not in value:
        return str(root / value)
    from miniobserve.objects import check_place, scheme_of  # only where there is a URL
    from miniobserve.sql.protocol import StorageError

    scheme = scheme_of(value)
    if name not in _OBJECTS:
        hint = "give a path on this machine; only `parquet` and `files` may be a URL of object storage"
        if name == "artifacts":
            hint = "give a path; artifacts in a bucket are kept by an MLflow server: set `mlflow` to its URL"
        # Only the scheme is shown, because the rest may hold a secret.
        raise BadInput(f"the setting {name} in {origin} is a URL, {_start(value)}, and has to be a path", hint)
    try:
        check_place(value)
    except StorageError as error:
        raise BadInput(f"the setting {name} in {origin} is not valid: {error.message}", error.hint) from error
    if scheme == "memory":
        what = "days" if name == "parquet" else "files"
        raise BadInput(f"the setting {name} in {origin} would keep the {what} in memory and lose them", "give a folder")
    if scheme == "file":
        return unquote(urlsplit(value).path)
    return f"{scheme}://{value.partition('://')[2].rstrip('/')}"


def anchored(url: str, root: Path) -> str:
    """The URL; a relative SQLite path in it is taken from the root, not from the working directory."""
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        return f"sqlite:///{root / url.removeprefix('sqlite:///')}"
    return url


def _start(url: str) -> str:
    return visible(url.partition("://")[0], 20) + "://…"
