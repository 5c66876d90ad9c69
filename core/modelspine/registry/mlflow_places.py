"""Which artifact URIs are read, and from where: this machine's disk, or through MLflow.

A tracking server decides what an artifact URI says, so it must not be able to choose a file of this machine. The module
fetches nothing.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelspine.errors import Unavailable, UnknownRef
from modelspine.registry.mlflow_calls import is_server, mapped
from modelspine.registry.mlflow_files import LocalPlace, Place, RemotePlace
from modelspine.settings import masked
from modelspine.text import visible

_UNREAD = ("runs", "models", "ftp", "sftp", "databricks")
"""Schemes that lead to another URI, or to a machine that the URI chooses."""


def place_of(uri: str, what: str, below: tuple[str, ...], *, url: str, folder: Path) -> Place:
    """Where the files at an artifact URI are.

    Args:
        uri: the artifact URI.
        what: the kind of record that has it, for messages.
        below: the folders that the record's artifacts may have in a local artifact folder.
        url: the tracking URL of the store that said so.
        folder: the local artifact folder of the settings.

    Raises:
        UnknownRef: it is a folder of this machine that does not exist.
        Unavailable: it is a folder of another machine, or a kind of place that is not read.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return _remote(uri, parts.scheme, what, url)
    recorded = Path(unquote(parts.path))
    # A server writes down a folder of its own machine; the same path on this one is something else. A database that
    # other machines write to is believed only about the folder that the settings name.
    ours = url.startswith("sqlite:") or folder.resolve() in recorded.resolve().parents
    if is_server(url) or not ours or parts.netloc not in ("", "localhost"):
        raise Unavailable(
            f"the {what}'s files are in {visible(masked(uri), 100)}, a folder of MLflow's own machine",
            "start that server with `--artifacts-destination`, so that it hands files out; or copy the folder here "
            "and give it: `spine register DIR`",
        )
    # MLflow records absolute paths: after the project was moved or restored elsewhere, look in its own folder.
    for place in (recorded, *(folder / name / "artifacts" for name in below)):
        if place.is_dir():
            return LocalPlace(place)
    raise UnknownRef(
        f"there is no artifact folder of this {what}: {visible(str(recorded), 100)} does not exist",
        "log the bundle into a run, then register it",
    )


def _remote(uri: str, scheme: str, what: str, url: str) -> Place:
    if scheme in _UNREAD:
        raise Unavailable(
            f"the {what}'s files are at {visible(masked(uri), 100)}, which spine does not read",
            "download them with MLflow, and give the folder: `spine register DIR`",
        )
    if scheme == "mlflow-artifacts" and not is_server(url):
        raise Unavailable(
            f"the {what}'s files are kept by an MLflow server, and `mlflow` is its database",
            "set `mlflow` in spine.toml to the server's URL, such as http://mlflow.example:5000",
        )
    with mapped(""):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return RemotePlace(get_artifact_repository(uri, tracking_uri=url, registry_uri=url), url)
