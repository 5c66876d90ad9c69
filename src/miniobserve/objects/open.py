"""Opens the object store that a path or URL names, with its driver."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from miniobserve.objects.protocol import Objects
from miniobserve.sql.protocol import StorageError

REMOTE = ("s3", "gs", "az", "memory")
"""URL schemes of object storage; ``memory`` keeps the objects in this process, for tests."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(place: str) -> str | None:
    """Return the URL scheme of a place in lower case; None if it is a path."""
    found = _SCHEME.match(place)
    return found[1].lower() if found else None


def check_place(place: str) -> None:
    """Check that a path or URL names a store that there is a driver for; opens nothing.

    Raises:
        StorageError: the scheme has no driver, or the URL has no bucket or carries more than a bucket and a path.
    """
    scheme = scheme_of(place)
    if scheme is None and "://" not in place:
        return
    url = urlsplit(place)
    wrong = None
    if scheme not in (*REMOTE, "file"):
        wrong = f"no driver for object storage at a URL that starts with {place.partition('://')[0][:20]!r}"
    elif "@" in url.netloc or url.query or url.fragment:
        wrong = "a URL of object storage carries no user, query or fragment"
    elif bool(url.netloc) == (scheme == "file") and scheme != "memory":
        wrong = f"the URL {place[:80]!r} names no {'absolute path' if scheme == 'file' else 'bucket'}"
    if wrong is not None:
        hint = "use a folder, s3://bucket/path, gs://bucket/path or az://container/path, and no credentials in it"
        raise StorageError("unavailable", wrong, hint)


def open_objects(place: str | Path) -> Objects:
    """Return the store at a folder's path or a URL; reads and writes nothing yet.

    Raises:
        StorageError: there is no driver for the URL, it is not complete, or the driver is not installed.
    """
    text = str(place)
    check_place(text)
    scheme = scheme_of(text)
    if scheme in (None, "file"):
        from miniobserve.objects.folder import Folder

        return Folder(Path(unquote(urlsplit(text).path)) if scheme else Path(place))
    from miniobserve.objects.cloud import Cloud  # imports obstore

    return Cloud(text.rstrip("/"))
