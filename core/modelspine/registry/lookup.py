"""Which entry a folder, a file or a digest belongs to.

A path is hashed; a digest, or a prefix of one, is searched in all events of the ledger. It does not open MLflow or DVC.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, UnknownRef
from modelspine.identity.bundle import file_identity
from modelspine.identity.bundle_files import SUFFIX
from modelspine.ledger.store import Event
from modelspine.registry.entries import Entry
from modelspine.registry.registry import Registry
from modelspine.text import short, visible

_DIGITS = re.compile(r"[0-9a-f]{4,64}", re.ASCII)
_MAX_MATCHES = 100


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the ledger that has the digest."""

    what: str
    """One of entry, weights, config, parent of, run, corpus, tensor NAME, NAME (evidence) and event."""
    digest: str
    sha: str
    """The entry it belongs to; empty if it belongs to none."""
    semver: str | None
    seq: int


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a lookup: the question, the digest searched for, and the matches."""

    asked: str
    digest: str
    matches: tuple[Match, ...]


def whois(registry: Registry, asked: str) -> Who:
    """Look up a path, or a digest or prefix of one.

    Raises:
        BundleRefused: the path is neither a bundle nor a valid safetensors file.
        BadInput: ``asked`` is neither an existing path nor hex digits.
        UnknownRef: nothing in the ledger has that digest.
    """
    path = Path(asked)
    digits = asked if _DIGITS.fullmatch(asked) else None
    # A path wins over a digest: a folder may be named by hex digits, as those of the cache are.
    if digits is None or path.exists():
        if not path.exists():
            raise BadInput(
                f"{visible(asked, 80)!r} is neither an existing path nor the start of a digest",
                "give a bundle folder, a .safetensors file, or at least 4 hex digits",
            )
        digits = file_identity(path)
    semvers = {entry.sha: entry.semver for entry in registry.list()}
    events = registry.events()
    found = [match for event in events for match in _in_event(event, digits, semvers)]
    # Tensors are not in the events: their table has to be read from each entry's evidence, so they come last.
    found = found or [match for entry in registry.list() for match in _tensors(registry, entry, digits)]
    if not found:
        kind = "weights" if path.name.endswith(SUFFIX) else "digest"
        raise UnknownRef(
            f"nothing in the ledger has the {kind} {short(digits)}",
            "`spine register BUNDLE_DIR` registers a bundle",
        )
    return Who(asked=asked, digest=digits, matches=tuple(found[:_MAX_MATCHES]))


def _in_event(event: Event, digits: str, semvers: dict[str, str | None]) -> list[Match]:
    body = event.body
    sha = str(body.get("sha") or "")
    named: list[tuple[str, Any]] = [("event", event.hash)]
    if event.kind == "registered":
        named += [("entry", sha), ("weights", body.get("weights")), ("config", body.get("config"))]
        named += [("parent of", body.get("parent")), ("run", body.get("run_id"))]
        named += [("corpus", corpus) for corpus in body.get("corpora", ())]
        named += [(f"{name} (evidence)", digest) for name, digest in body.get("evidence", {}).items()]
    return [
        Match(what=what, digest=digest, sha=sha, semver=semvers.get(sha), seq=event.seq)
        for what, digest in named
        if isinstance(digest, str) and digest.startswith(digits)
    ]


def _tensors(registry: Registry, entry: Entry, digits: str) -> list[Match]:
    return [
        Match(what=f"tensor {tensor.name}", digest=digest, sha=entry.sha, semver=entry.semver, seq=entry.seq)
        for tensor in registry.get(entry.sha).tensors
        for digest in (tensor.digest, tensor.data_sha256)
        if digest.startswith(digits)
    ]
