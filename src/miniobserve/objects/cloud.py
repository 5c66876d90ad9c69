"""Objects in a bucket of S3, Google Cloud or Azure, through obstore; see the package for what a store does.

It takes credentials as obstore finds them: environment variables, a web identity, or the machine's role. For S3 it
also takes a profile from AWS's files if boto3 is installed and the environment holds no key. An unreachable store is
an error within 10 s.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from miniobserve.objects.folder import receive
from miniobserve.objects.protocol import CHUNK, Exists, Missing, Stored, checked_key
from miniobserve.sql.protocol import StorageError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

_SMALL: Final = 1 << 22
"""Up to this size in bytes an object is put within the time of a short call."""
_SLOWEST: Final = 250_000
"""Bytes per second; a slower upload of a large object is given up."""
_CREDENTIALS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with boto3 (pip install 'modelspine[s3]')",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY",
}
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist", "ContainerBeingDeleted")
_NO_CREDENTIALS: Final = (
    "latest/api/token", "latest/meta-data", "metadata.google", "token request", "get_credentials",
    "Missing AccessKeyId", "Missing SecretAccessKey", "Account must be specified",
)  # fmt: skip
"""Also the addresses of a machine's own role, which is asked for credentials where there are no others."""
_memory: dict[str, ObjectStore] = {}
_used_by: list[int] = []
"""The process that used a bucket first; one that was forked from it has none of the threads that a call waits for."""


class Cloud:
    """A store at a URL such as ``s3://bucket/path``."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ImportError as error:
            wrong = f"the driver for object storage cannot be imported: {error}"
            raise StorageError("unavailable", wrong, "pip install 'modelspine[parquet]'") from error
        self.name = url
        self._obstore = obstore
        self._scheme = urlsplit(url).scheme.lower()
        self._credentials: Any = None
        with self._errors("", "open"):
            if self._scheme == "s3":
                self._credentials = _profile()
            # An answer must come soon, but the bytes of a large object may take as long as they keep coming.
            self._calls = self._store({"timeout": "4s"})
            self._reads = self._store({"timeout": "1h", "read_timeout": "8s"})

    def probe(self) -> None:
        """See ``Objects``; it puts an object under a random key twice, and deletes it."""
        key = f"probe-{secrets.token_hex(8)}"
        self.put(key, b"1")
        try:
            self.put(key, b"2")
        except Exists:
            return
        finally:
            with suppress(StorageError):  # the store may keep what it holds from being deleted, which is no fault
                self.delete(key)
        raise StorageError(
            "unavailable",
            f"{self.name} ignores create-only puts: it accepted a second object under the same key",
            "use a store that honours `If-None-Match: *`, as Amazon S3, Google Cloud, Azure and current MinIO do",
        )

    def put(self, key: str, source: bytes | Path, *, replace: bool = False) -> None:
        """See ``Objects``."""
        checked_key(key)
        try:
            size = len(source) if isinstance(source, bytes) else source.stat().st_size
        except OSError as error:
            wrong = f"{error.filename}: {error.strerror}"
            raise StorageError("unavailable", wrong, "check the file to store") from error
        with self._errors(key, "put"):
            store = self._calls if size <= _SMALL else self._store({"timeout": f"{10 + size // _SLOWEST}s"})
            store.put(key, source, mode="overwrite" if replace else "create", use_multipart=False)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``Objects``."""
        checked_key(key)
        with self._errors(key, "get"):
            if (start, end) == (0, None):
                return bytes(self._reads.get(key).bytes())
            size = self._calls.head(key)["size"]
            end = size if end is None else min(size, end)
            return bytes(self._reads.get_range(key, start=start, end=end)) if start < end else b""

    def fetch(self, key: str, file: Path, *, sha256: str | None = None) -> None:
        """See ``Objects``."""
        try:
            receive(self._chunks(key), file, f"{self.name}/{key}", sha256)
        except OSError as error:
            wrong = f"{error.filename or file}: {error.strerror or error}"
            raise StorageError(
                "unavailable", wrong, "check the folder, its permissions and the free disk space"
            ) from error

    def sha256(self, key: str) -> str:
        """See ``Objects``."""
        import hashlib

        found = hashlib.sha256()
        for chunk in self._chunks(key):
            found.update(chunk)
        return found.hexdigest()

    def list(self, folder: str = "") -> list[Stored]:
        """See ``Objects``."""
        prefix = f"{checked_key(folder)}/" if folder else ""
        with self._errors(folder, "list"):
            pages = self._calls.list(prefix)
            return sorted(Stored(found["path"], found["size"]) for page in pages for found in page)

    def delete(self, key: str) -> None:
        """See ``Objects``."""
        checked_key(key)
        try:
            with self._errors(key, "get"):
                self._calls.delete(key)
        except Missing:
            pass

    def local(self, key: str) -> None:
        """See ``Objects``."""
        checked_key(key)

    def _chunks(self, key: str) -> Iterator[bytes]:
        checked_key(key)
        with self._errors(key, "get"):
            chunks = iter(self._reads.get(key).stream(min_chunk_size=CHUNK))
        while True:
            with self._errors(key, "get"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield bytes(chunk)

    def _store(self, client: ClientConfig) -> ObjectStore:
        from obstore.store import MemoryStore, from_url

        if self._scheme == "memory":
            return _memory.setdefault(self.name, MemoryStore())
        client = {**client, "connect_timeout": "2s", "allow_http": _plain_http()}
        retry: Any = {
            "max_retries": 2,
            "retry_timeout": timedelta(seconds=4),
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 2},
        }
        return from_url(self.name, client_options=client, retry_config=retry, credential_provider=self._credentials)

    @contextmanager
    def _errors(self, key: str, verb: str = "get") -> Iterator[None]:
        from obstore.exceptions import BaseError

        if verb != "open" and self._scheme != "memory":
            _refuse_forked()
        try:
            yield
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            raise self._told(error, key, verb) from error

    def _told(self, error: Exception, key: str, verb: str) -> StorageError:
        """Translate an exception of obstore, which says nearly everything in its text."""
        from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, UnauthenticatedError

        text = str(error)
        if isinstance(error, AlreadyExistsError):
            return Exists(f"{self.name}/{key} exists already")
        bucket = any(sign in text for sign in _NO_BUCKET)
        if isinstance(error, FileNotFoundError) and not bucket and verb == "get":
            return Missing(f"{self.name}/{key} does not exist")
        place = "container" if self._scheme == "az" else "bucket"
        if bucket or isinstance(error, FileNotFoundError):
            wrong, hint = f"{self.name}: the {place} does not exist", f"create the {place}, or correct the URL"
        elif any(sign in text for sign in _NO_CREDENTIALS):
            wrong, hint = f"{self.name}: no usable credentials were found", _CREDENTIALS[self._scheme]
        elif isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            wrong, hint = f"{self.name}: access was refused", f"check what the credentials allow on the {place}"
        elif "error sending request" in text or "timed out" in text or "TimedOut" in text:
            wrong = f"{self.name}: the store cannot be reached, or does not answer"
            hint = "check the network, and the endpoint if one is set (AWS_ENDPOINT_URL)"
        else:
            wrong, hint = f"{self.name}: {_first_line(text)}", "check the URL and the store's own log"
        return StorageError("unavailable", wrong, hint)


def _refuse_forked() -> None:
    """Raise where a call would wait for ever: in a process that was forked after its parent had used a bucket."""
    if not _used_by:
        _used_by.append(os.getpid())
    if _used_by[0] != os.getpid():
        wrong = "object storage cannot be used in a process that was forked after its first use"
        hint = "fork before the first use, or start processes by “spawn” or “forkserver”"
        raise StorageError("unavailable", wrong, hint)


def _first_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text.split("\n", 1)[0])[:200]


def _plain_http() -> bool:
    """Whether an endpoint without TLS was chosen."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


def _profile() -> Any:
    """Return a provider of credentials from AWS's files; None to leave it to obstore."""
    home = Path("~/.aws").expanduser()
    files = [Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")]
    files.append(Path(os.environ.get("AWS_CONFIG_FILE") or home / "config"))
    if os.environ.get("AWS_ACCESS_KEY_ID") or not any(file.is_file() for file in files):
        return None
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return None
    try:
        return Boto3CredentialProvider()
    except BotoCoreError as error:
        raise StorageError("unavailable", _first_line(str(error)), "correct the profile in AWS's files") from error
