"""Verified bundles on this machine, one folder an entry, named by its canonical SHA.

Serving, rollback and the walk read bundles here and need neither MLflow nor a network. What is read is
hashed again first: a folder whose bytes are not its name is refused. It does not know the ledger.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from modelspine.errors import BundleRefused, Damaged, Unavailable
from modelspine.files import sync_folder
from modelspine.identity.bundle import Bundle, read_bundle
from modelspine.text import short


class Cache:
    """A folder of bundles by SHA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha: str) -> Path:
        """Where an entry's bundle stands, whether it is there or not."""
        return self.folder / sha

    def add(self, source: Path) -> Bundle:
        """Hash a bundle directory and keep the very bytes that were hashed.

        Raises:
            BundleRefused: the directory is not a bundle/1.
            Unavailable: the cache cannot be written.
        """
        staging = self.folder / f".new-{os.urandom(8).hex()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            bundle = read_bundle(source, store=staging)
            self._settle(staging, bundle.sha)
        except OSError as error:
            raise Unavailable(
                f"the bundle could not be kept in {self.folder}: {error.strerror or error}",
                "check the disk and your permissions there, then repeat the command",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return bundle

    def verified(self, sha: str) -> tuple[Path, Bundle]:
        """An entry's folder, its bytes hashed again just now.

        Raises:
            Unavailable: it is not in the cache, or this machine cannot read it now.
            Damaged: its bytes are not what the SHA says.
        """
        folder = self.path(sha)
        if not folder.is_dir():
            raise Unavailable(
                f"the bundle of {short(sha)} is not in {self.folder}", "register it again from its run or directory"
            )
        try:
            bundle = read_bundle(folder)
        except BundleRefused as error:
            if (failed := _of_the_machine(error)) is not None:
                raise Unavailable(
                    f"the bundle of {short(sha)} cannot be read now: {failed.strerror or failed}",
                    "that says nothing about its bytes: mend the machine, then repeat the command",
                ) from error
            raise Damaged(f"the cached bundle of {short(sha)} is damaged: {error.message}", _WAY_OUT) from error
        if bundle.sha != sha:
            raise Damaged(f"the cached bundle of {short(sha)} hashes to {short(bundle.sha)} now", _WAY_OUT)
        return folder, bundle

    def _settle(self, staging: Path, sha: str) -> None:
        """Give a hashed bundle its name. A sound one that is already there stays; a damaged one gives way."""
        final = self.path(sha)
        if final.exists():
            try:
                self.verified(sha)
            except Damaged:
                final.rename(self.folder / f".damaged-{os.urandom(8).hex()}")
            else:
                return
        try:
            staging.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            return  # another process gave the same bytes the same name first
        sync_folder(self.folder)


def _of_the_machine(error: BaseException) -> OSError | None:
    """The failure of the machine, and not of the bytes, that a refusal comes from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _MACHINE:
            return cause
        cause = cause.__cause__
    return None


_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
_WAY_OUT = "it was left as it is and serves nothing; register the same bundle again to replace it"
