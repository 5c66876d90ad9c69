"""Checks a closed day: the digests of all files and manifests, and what is missing."""

from __future__ import annotations

from miniobserve import manifests
from miniobserve.archive import Archive
from miniobserve.day_index import old_day
from miniobserve.manifests import Manifest
from miniobserve.objects import Missing
from miniobserve.sql.protocol import StorageError


def checked_day(archive: Archive, day: str) -> list[str]:
    """Return what is wrong with a day; empty if all its bytes match.

    Raises:
        StorageError: kind ``unavailable`` if it could not be looked at.
    """
    seen = manifests.listed(archive.objects, day).get(day)
    if seen is None:
        return []
    if not seen.latest:
        if seen.old:
            raise old_day(archive.objects, day)
        return ["it was pruned from the live store, and its manifest is missing"] if seen.pruning else []
    problems: list[str] = []
    manifest = _manifest(archive, day, seen.latest, problems)
    if manifest is None:
        return problems
    for part in manifest.parts:
        try:
            found = archive.objects.sha256(part.path)
        except Missing:
            problems.append(f"{part.path} is missing")
            continue
        if found != part.sha256:
            problems.append(f"{part.path} does not match its manifest: its SHA-256 is {found[:12]}")
        key = manifests.strays_key(part)
        if part.strays and _digest(archive, key) != part.strays_sha256:
            problems.append(f"{key} is missing, or does not match its manifest")
    problems += [
        f"{said.path} is missing, or does not match its manifest"
        for said in manifest.said
        if _digest(archive, said.path) != said.sha256
    ]
    expected = manifest.previous
    for n in range(manifest.n - 1, 0, -1):  # each manifest has the digest of the one before it
        found_sha = _digest(archive, manifests.manifest_key(day, n))
        if found_sha != expected:
            problems.append(f"manifest {n} is {'missing' if found_sha is None else 'not the one that the next names'}")
            break
        earlier = _manifest(archive, day, n, problems)
        expected = earlier.previous if earlier is not None else None
    return problems


def _manifest(archive: Archive, day: str, n: int, problems: list[str]) -> Manifest | None:
    try:
        return manifests.read(archive.objects, day, n)[0]
    except StorageError as error:
        if error.kind != "damaged":
            raise
        problems.append(error.message)
        return None


def _digest(archive: Archive, key: str) -> str | None:
    try:
        return archive.objects.sha256(key)
    except Missing:
        return None
