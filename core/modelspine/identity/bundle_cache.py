"""The cache of verified bundles on this machine: one folder per entry, named by its canonical SHA.

Serving, rollback and investigation read bundles from here and need neither MLflow nor a network. A bundle is hashed
again before it is used, and refused if the result is not its folder's name. A large file of several bundles is stored
once. It does not know the ledger.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from modelspine.errors import BundleRefused, Damaged, Unavailable
from modelspine.files import sync_folder
from modelspine.identity.bundle import Bundle, Texts, read_bundle, read_stored
from modelspine.identity.shared_files import share
from modelspine.text import short


class Cache:
    """A folder of bundles, by canonical SHA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha: str) -> Path:
        """The folder of an entry's bundle, whether it exists or not."""
        return self.folder / sha

    def holds(self, sha: str) -> bool | None:
        """Whether there is a folder of an entry's bundle; None where this process may not look."""
        try:
            return self.path(sha).is_dir()
        except OSError:
            return None

    def add(
        self,
        source: Path,
        *,
        follow: bool = False,
        evidence: Texts | None = None,
        is_recorded: Callable[[str], bool] = lambda _sha: True,
        expected: str | None = None,
        held: ExitStack | None = None,
    ) -> Bundle:
        """Hash a bundle directory and store exactly the bytes that were hashed; see ``read_bundle`` for ``evidence``.

        ``is_recorded`` says whether the ledger has an entry of a SHA. The stored copy of one keeps its evidence, which
        the ledger names; a copy that a refused or interrupted registration left behind does not. With ``expected``,
        only a bundle of that SHA is stored. ``held`` takes a lock that keeps other registrations of this machine from
        replacing the copy before the ledger names it.

        Raises:
            BundleRefused: the directory is not a bundle.
            Damaged: it has another SHA than the expected one.
            Unavailable: the cache cannot be written.
        """
        # The SHA is known only after the copy: the bytes go to a private name first and are renamed when complete.
        staging = self.folder / f".new-{os.urandom(8).hex()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            bundle = read_bundle(source, store=staging, follow=follow, evidence=evidence)
            if expected is not None and bundle.sha != expected:
                raise Damaged(
                    f"the files hash to {short(bundle.sha)}, not to {short(expected)}; they are not used",
                    "find out who changed them, or register the right bundle again",
                )
            if held is not None:
                held.enter_context(self._alone())
            self._settle(staging, bundle, is_recorded)
        except OSError as error:
            raise Unavailable(
                f"the bundle could not be written to {self.folder}: {error.strerror or error}",
                "check the disk and your permissions there, then repeat the command",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)  # no longer there after a successful rename
        return bundle

    def verified(self, sha: str) -> tuple[Path, Bundle]:
        """An entry's folder and bundle, hashed again by this call.

        Raises:
            Unavailable: the bundle is not in the cache, or the machine cannot read it at the moment.
            Damaged: its bytes do not match the SHA.
        """
        folder = self.path(sha)
        if self.holds(sha) is False:
            raise Unavailable(
                f"the bundle of {short(sha)} is not in {self.folder}", "register it again from its run or directory"
            )
        try:
            bundle = read_stored(folder)
        except BundleRefused as error:
            if (failed := _of_the_machine(error)) is not None:
                raise _unreadable(sha, failed) from error
            raise Damaged(f"the cached bundle of {short(sha)} is damaged: {error.message}", _HINT) from error
        if bundle.sha != sha:
            raise Damaged(f"the cached bundle of {short(sha)} now hashes to {short(bundle.sha)}", _HINT)
        return folder, bundle

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other registration on this machine is between storing its bundle and recording it."""
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _settle(self, staging: Path, bundle: Bundle, is_recorded: Callable[[str], bool]) -> None:
        """Rename a hashed bundle to its SHA. An intact one that is already there stays; a damaged one is moved away."""
        sha = bundle.sha
        final = self.path(sha)
        if final.exists():
            try:
                _, stored = self.verified(sha)
            except Damaged:
                # Kept for analysis instead of deleted; a process that has its files open can finish.
                final.rename(self.folder / f".damaged-{os.urandom(8).hex()}")
            else:
                if stored.evidence == bundle.evidence or is_recorded(sha):
                    return
                unused = self.folder / f".new-{os.urandom(8).hex()}"
                final.rename(unused)
                shutil.rmtree(unused, ignore_errors=True)
        share(self.folder, staging, sha, bundle)
        try:
            staging.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            return  # another process stored the same bundle first; the bytes are equal by construction
        sync_folder(self.folder)  # the ledger may name this bundle next, so its name must survive a crash


def _unreadable(sha: str, error: OSError) -> Unavailable:
    denied = error.errno in (errno.EACCES, errno.EPERM)
    return Unavailable(
        f"the bundle of {short(sha)} cannot be read: {error.strerror or error}",
        "check who may read it, then repeat the command"
        if denied
        else "this machine failed, the bundle may be intact: fix the cause, then repeat the command",
    )


def _of_the_machine(error: BaseException) -> OSError | None:
    """The machine's failure that caused a refusal, such as a missing permission; None if the bytes are at fault."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _MACHINE:
            return cause
        cause = cause.__cause__
    return None


# Failures that say nothing about the bytes: calling a bundle damaged because of them could take it out of service.
_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT,
            errno.EACCES, errno.EPERM}  # fmt: skip
_HINT = "it is not used and was left in place; register the same bundle again to replace it"
