"""Which entry a folder, a file or a digest belongs to.

A path is hashed now; a digest, or the start of one, is looked for in everything the ledger wrote down. It
does not open MLflow or DVC.
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
_MOST = 100


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the ledger knows under a digest."""

    what: str
    """entry | weights | config | parent of | run | corpus | tensor NAME | the evidence's name | event."""
    digest: str
    sha: str
    """The entry it belongs to; empty where it belongs to none."""
    semver: str | None
    seq: int


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, the digest it goes by, and what has it."""

    asked: str
    digest: str
    matches: tuple[Match, ...]


def whois(registry: Registry, asked: str) -> Who:
    """Look up a path or the digits of a digest.

    Raises:
        BundleRefused: the path is neither a bundle nor a safetensors file that could be in one.
        BadInput: it is neither a path nor digits.
        UnknownRef: nothing is known by that digest.
    """
    path = Path(asked)
    digits = asked if _DIGITS.fullmatch(asked) else None
    if digits is None or path.exists():
        if not path.exists():
            raise BadInput(
                f"{visible(asked, 80)!r} is no path here and not the start of a digest",
                "give a bundle folder, a .safetensors file, or 4 hex digits or more",
            )
        digits = file_identity(path)
    semvers = {entry.sha: entry.semver for entry in registry.list()}
    events = registry.events()
    found = [match for event in events for match in _in_event(event, digits, semvers)]
    found = found or [match for entry in registry.list() for match in _tensors(registry, entry, digits)]
    if not found:
        kind = "weights" if path.name.endswith(SUFFIX) else "digest"
        raise UnknownRef(
            f"the ledger knows nothing by the {kind} {short(digits)}",
            "`spine register BUNDLE_DIR` makes a bundle known",
        )
    return Who(asked=asked, digest=digits, matches=tuple(found[:_MOST]))


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
