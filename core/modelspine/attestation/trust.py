"""Whose signature counts: the trust file and the baseline as they were committed, and the keys themselves.

It knows files, git and settings, and nothing of what a verdict says.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from modelspine.attestation.keys import SigningKey, Trust, new_key, read_key, read_trust, trust_bytes, trusted, with_key
from modelspine.errors import BadInput, Refused
from modelspine.files import write_file
from modelspine.git import git_output
from modelspine.settings import Settings
from modelspine.text import argument, visible

TRUST, BASELINE = "trust", "eval_baseline"


_NEEDED = {
    TRUST: ("trust file", "a key counts once a reviewed commit adds it; `spine keys new` makes one"),
    BASELINE: ("baseline", "only a reviewed, committed baseline counts"),
}
"""What a verdict is checked against, by the setting that names it: what it is called, and what makes it count."""


def in_force(settings: Settings, name: str, *, committed: bool) -> bytes:
    """The trust file's or the baseline's bytes; with ``committed`` those of the commit, where the commit says.

    Raises:
        Refused: there is no such file; or it is not committed, was changed since, or a variable chose it.
    """
    file: Path = getattr(settings, name)
    what, hint = _NEEDED[name]
    if not file.is_file():
        raise Refused(f"there is no {what} at {visible(str(file), 120)}", hint)
    if not committed:
        return file.read_bytes()
    origin = settings.origins.get(name)
    if origin is not None:
        if not origin.endswith(".toml"):
            raise Refused(f"{visible(origin, 60)} names the {what}, and only committed settings may", f"unset {origin}")
        _as_committed(settings.root, settings.root / origin, "a committed file says where it is")
    return _as_committed(settings.root, file, hint)


def _as_committed(root: Path, file: Path, hint: str) -> bytes:
    """A file's bytes, where they are those of the commit that is checked out."""
    name = os.path.relpath(file, root)
    raw = git_output(root, "show", f"HEAD:./{name}")
    if not raw:
        raise Refused(f"{visible(name, 80)} is not committed", hint)
    if not file.is_file() or file.read_bytes() != raw:
        raise Refused(
            f"{visible(name, 80)} differs from the committed one",
            f"have the change reviewed and committed, or take it back: git checkout {argument(visible(name, 80))}",
        )
    return raw


def trust_of(settings: Settings, env: str) -> Trust:
    """The list of keys whose verdicts count, for looking at one: of a prod ledger the committed one, where git is.

    Args:
        settings: they name the trust file.
        env: of the ledger: dev or prod.

    Raises:
        Refused: there is none, it is not the committed one, or it is malformed.
    """
    committed = env != "dev" and bool(git_output(settings.root, "rev-parse", "--verify", "HEAD"))
    return read_trust(in_force(settings, TRUST, committed=committed))


def make_key(settings: Settings, name: str, out: Path | None) -> tuple[SigningKey, Path]:
    """Make a signing key: the private half in a file only its owner reads, the public one in the trust file."""
    file = settings.trust
    trust = read_trust(file.read_bytes()) if file.is_file() else Trust(keys=())
    key = new_key()
    target = out or settings.home / "keys" / f"{key.id}.pem"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadInput(f"{visible(str(target), 120)} exists already", "give --out a file that does not") from error
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key.pem())
    added = datetime.now(UTC).strftime("%Y-%m-%d")
    write_file(file, trust_bytes(with_key(trust, trusted(key, name=name, added=added))))
    return key, target


def key_from(file: Path | None) -> SigningKey:
    """The signing key of a file, or of ``SPINE_SIGNING_KEY``, which holds the PEM text itself.

    Raises:
        BadInput, Refused: there is none, or it is not a key.
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
