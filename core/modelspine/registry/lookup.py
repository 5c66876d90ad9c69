"""Find the entry that a folder, a file or a digest belongs to.

A path is hashed; a digest, or the start of one, is searched for in everything the ledger recorded. The module
does not open MLflow or DVC.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import UnknownRef
from modelspine.identity.bundle import file_identity
from modelspine.identity.bundle_files import SUFFIX
from modelspine.ledger.store import Event
from modelspine.registry.entries import Entry
from modelspine.registry.registry import Registry
from modelspine.text import short

_DIGITS = re.compile(r"[0-9a-f]{4,64}", re.ASCII)
_MAX_MATCHES = 100


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the ledger that has the digest."""

    what: str
    """One of entry, weights, config, assets, parent of, run, corpus, tensor or file NAME, NAME (evidence), event."""
    digest: str
    sha: str
    """The entry it belongs to; empty if it belongs to none."""
    semver: str | None
    seq: int


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """The question, the digest that was looked up, and everything in the ledger that has this digest."""

    asked: str
    digest: str
    matches: tuple[Match, ...]

    @property
    def sha(self) -> str | None:
        """The one entry it belongs to: the entry itself, else the only one that is named; None where that is open."""
        shas = {match.sha for match in self.matches if match.what == "entry"} or {match.sha for match in self.matches}
        return shas.pop() or None if len(shas) == 1 else None


def may_look_up(asked: str) -> bool:
    """Whether a text is an existing path or the start of a digest."""
    return _DIGITS.fullmatch(asked) is not None or (bool(asked) and Path(asked).exists())


def look_up(registry: Registry, asked: str) -> Lookup:
    """Find what an existing path or the first digits of a digest belong to.

    Raises:
        BundleRefused: the path is neither a bundle nor a safetensors file that could be in one.
        UnknownRef: the ledger does not contain the digest.
    """
    path = Path(asked)
    digits = file_identity(path) if path.exists() else asked
    semvers = {entry.sha: entry.semver for entry in registry.list()}
    events = registry.events()
    found = [match for event in events for match in _in_event(event, digits, semvers)]
    # Tensors are not in the events: their table has to be read from each entry's evidence, so they come last.
    found = found or [match for entry in registry.list() for match in _tensors(registry, entry, digits)]
    if not found:
        kind = "weights" if path.name.endswith(SUFFIX) else "digest"
        raise UnknownRef(
            f"the ledger does not contain the {kind} {short(digits)}", "`spine register BUNDLE_DIR` registers a bundle"
        )
    return Lookup(asked=asked, digest=digits, matches=tuple(found[:_MAX_MATCHES]))


def _in_event(event: Event, digits: str, semvers: dict[str, str | None]) -> list[Match]:
    body = event.body
    sha = str(body.get("sha") or "")
    named: list[tuple[str, Any]] = [("event", event.hash)]
    if event.kind == "registered":
        named += [("entry", sha), *((name, body.get(name)) for name in ("weights", "config", "assets"))]
        named += [("parent of", body.get("parent")), ("run", body.get("run_id"))]
        named += [("corpus", corpus) for corpus in body.get("corpora", ())]
        named += [(f"{name} (evidence)", digest) for name, digest in body.get("evidence", {}).items()]
    return [
        Match(what=what, digest=digest, sha=sha, semver=semvers.get(sha), seq=event.seq)
        for what, digest in named
        if isinstance(digest, str) and digest.startswith(digits)
    ]


def _tensors(registry: Registry, entry: Entry, digits: str) -> list[Match]:
    detail = registry.get(entry.sha)
    named = [(f"tensor {t.name}", digest) for t in detail.tensors for digest in (t.digest, t.data_sha256)]
    named += [(f"file {file.name}", file.sha256 or "") for file in detail.assets]
    return [
        Match(what=what, digest=digest, sha=entry.sha, semver=entry.semver, seq=entry.seq)
        for what, digest in named
        if digest.startswith(digits)
    ]
