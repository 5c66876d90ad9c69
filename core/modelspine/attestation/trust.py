"""Access to the committed trust file and baseline, and to signing keys.

It knows files, git and settings, but not the content of a verdict.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelspine.attestation.keys import SigningKey, Trust, new_key, read_key, read_trust, trust_bytes, trusted, with_key
from modelspine.errors import BadInput, Refused
from modelspine.files import write_file
from modelspine.git import top_of
from modelspine.git_files import HEAD, file_at
from modelspine.settings import COMMITTED, Settings, file_settings
from modelspine.text import argument, visible

TRUST, BASELINE, TESTERS = "trust", "eval_baseline", "testers"
"""The settings that name the files a verdict is checked against, and the file of the keys that sign tester tokens."""

_NAME_AND_HINT = {
    TRUST: ("trust file", "a key is accepted once a reviewed commit adds it; `spine keys new` makes one"),
    TESTERS: ("testers file", "commit it; `spine keys new --testers` makes a key and adds it to the file"),
    BASELINE: ("baseline", "only a reviewed and committed baseline is accepted"),
}


def in_force(settings: Settings, name: str, *, committed: bool) -> bytes:
    """The bytes of the trust file, the baseline or the testers file (``name`` is one of the constants above).

    With ``committed`` both the file and the setting that names it must be as committed.

    Raises:
        Refused: there is no such file, it is not committed or has changed, or a variable or flag names it.
        Unavailable: git does not say what is committed; its own words are passed on.
    """
    file: Path = getattr(settings, name)
    what, hint = _NAME_AND_HINT[name]
    if not file.is_file():
        raise Refused(f"there is no {what} at {visible(str(file), 120)}", hint)
    if not committed:
        return file.read_bytes()
    _check_setting(settings, name)
    return _as_committed(settings.root, file, hint)


def committed_settings(settings: Settings, commit: str = HEAD) -> dict[str, Any]:
    """The settings of the project's files as they are in a commit; empty where there are none.

    Raises:
        Refused: they cannot be read as TOML.
        Unavailable: git does not say what is committed.
    """
    root = settings.root
    try:
        return file_settings(lambda name: file_at(root, root / name, commit))[1]
    except BadInput as error:
        raise Refused(f"the committed {error.message}", error.hint) from error


def must_load(settings: Settings) -> bool:
    """Whether the project, by its settings here or by the committed ones, names the workload that loads its models.

    A table names none. A committed name counts even where the settings here have a table in its place.

    Raises:
        Refused, Unavailable: the committed settings cannot be read.
    """
    return settings.names_workload or isinstance(committed_settings(settings).get("workload"), str)


def baseline_at(settings: Settings, commit: str) -> bytes | None:
    """The baseline as it was in a commit, under the name that the settings of this commit give it.

    None if commit or file are not in this repository.

    Raises:
        Refused: the settings of that commit cannot be read.
        Unavailable: git does not say what is in the commit.
    """
    name = str(committed_settings(settings, commit).get(BASELINE, COMMITTED[BASELINE]))
    return file_at(settings.root, settings.root / name, commit)


def _check_setting(settings: Settings, name: str) -> None:
    """Check that a file is the one that the committed settings name, whatever the settings on disk say or lack."""
    what = _NAME_AND_HINT[name][0]
    origin = settings.origins.get(name)
    if origin is not None and not origin.endswith(".toml"):
        # Otherwise anybody could bring a trust file of their own, commit it in some path and point to it.
        raise Refused(f"{visible(origin, 60)} names the {what}; only committed settings may", f"unset {origin}")
    table = committed_settings(settings)
    if not table and not _is_project(settings.root):
        # A folder of fixtures may hold a committed file of this name; a new `.spine` there makes no project of it.
        raise Refused(
            f"{visible(str(settings.root), 120)} is neither the top of its repository nor a folder with committed "
            f"settings, so it has no {what}",
            "run this in the project's folder (see `SPINE_ROOT`), or commit a spine.toml here",
        )
    named = str(table.get(name, COMMITTED[name]))
    file: Path = getattr(settings, name)
    if os.path.normpath(settings.root / named) != os.path.normpath(file):
        here = visible(os.path.relpath(file, settings.root), 80)
        raise Refused(
            f"the {what} is {here} by the settings on disk, but {visible(named, 80)} by the committed ones",
            "restore the committed settings (see `git status`), or have the change reviewed and committed",
        )


def _is_project(root: Path) -> bool:
    """Whether a folder is one by what is committed: the top of its repository, or one with a file of settings."""
    top = top_of(root)
    return top is None or top == Path(os.path.realpath(root)) or file_at(root, root / "spine.toml") is not None


def _as_committed(root: Path, file: Path, hint: str) -> bytes:
    """A file's bytes, provided they equal those in the checked-out commit."""
    name = os.path.relpath(file, root)
    raw = file_at(root, file)
    if raw is None:
        raise Refused(f"{visible(name, 80)} is not committed as a plain file", hint)
    if not file.is_file() or file.read_bytes() != raw:
        raise Refused(
            f"{visible(name, 80)} differs from the committed version",
            f"have the change reviewed and committed, or undo it: git checkout {argument(visible(name, 80))}",
        )
    return raw


def load_trust(settings: Settings, env: str, name: str = TRUST) -> Trust:
    """The trusted keys for reading a verdict; for a prod ledger in a git repository, those of the committed file.

    Args:
        settings: the settings that name the trust file.
        env: the ledger's environment, dev or prod.
        name: ``TESTERS`` for the keys that sign tester tokens.

    Raises:
        Refused: the file is missing, malformed, or not as committed.
        Unavailable: git does not say what is committed.
    """
    # A dev ledger accepts keys before they are committed, and a copy without git, such as a restore, has no commit.
    committed = env != "dev" and top_of(settings.root) is not None
    return read_trust(in_force(settings, name, committed=committed))


def make_key(settings: Settings, name: str, out: Path | None, *, kind: str = TRUST) -> tuple[SigningKey, Path]:
    """Make a signing key: the private key goes to a file readable by its owner only, the public key to the trust file.

    ``out`` is the private key's file; by default it is named by the key's id in the project's home. ``kind`` is
    ``TESTERS`` for a key that signs tester tokens, whose public half goes to the testers file.

    Raises:
        BadInput: the file of the private key exists already.
        Refused: the trust file is malformed.
    """
    file: Path = getattr(settings, kind)
    trust = read_trust(file.read_bytes()) if file.is_file() else Trust(keys=())
    key = new_key()
    target = out or settings.home / "keys" / f"{key.id}.pem"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:  # created with mode 0600, so that it is never readable by others, and never over an existing key
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadInput(f"{visible(str(target), 120)} exists already", "give --out a new file name") from error
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key.pem())
    added = datetime.now(UTC).strftime("%Y-%m-%d")
    write_file(file, trust_bytes(with_key(trust, trusted(key, name=name, added=added))))
    return key, target


def load_signing_key(file: Path | None) -> SigningKey:
    """The signing key in a file, or without one in ``SPINE_SIGNING_KEY``, which holds the PEM text itself.

    Raises:
        BadInput: there is no key, or it cannot be read.
    """
    text = os.environ.get("SPINE_SIGNING_KEY", "")
    if file is not None:
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the key {visible(str(file), 120)} cannot be read", "give --key the .pem file") from error
    if not text:
        raise BadInput("there is no key to sign with", "give --key F, or set SPINE_SIGNING_KEY to the PEM text")
    return read_key(text)
