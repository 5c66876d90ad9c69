"""The check of ``spine verify`` that reads every kept image and other file again and compares it with its digest.

Which requests named a file is not asked: one that nobody names is no problem, and one that is not there was never kept
or was deleted.
"""

from __future__ import annotations

from collections import Counter

from miniobserve.objects import Missing, open_objects
from miniobserve.sql.protocol import StorageError
from modelspine.kept_files.digests import digest_of_key
from modelspine.maintenance.verify_ledger import Check, Progress
from modelspine.settings import masked
from modelspine.text import counted, visible

_MOST_AWAY = 3
"""Files in a row that cannot be read before the rest is not asked for: each may take its time to fail."""


def kept_files(place: str, progress: Progress) -> Check | None:
    """Hash every kept file again; None where the setting ``files`` names no place."""
    if not place:
        return None
    try:
        store = open_objects(place)
        keys = [each.key for each in store.list()]
    except StorageError as error:
        return Check(name="files", checked=0, not_checked=(visible(error.message, 200),))
    problems: list[str] = []
    unread: Counter[str] = Counter()
    checked = others = away = 0
    for number, key in enumerate(keys, 1):
        progress("files", number, len(keys))
        sha256 = digest_of_key(key)
        if sha256 is None:
            others += 1
            continue
        if away == _MOST_AWAY:
            unread[next(reversed(unread))] += 1
            continue
        try:
            found = store.sha256(key)
        except Missing:  # deleted since it was listed
            continue
        except StorageError as error:
            unread[visible(error.message, 160)] += 1
            away += 1
            continue
        checked, away = checked + 1, 0
        if found != sha256:
            problems.append(f"{visible(masked(store.name), 100)}/{key} has the SHA-256 {found}, and not {sha256}")
    notes = (f"{counted(others, 'object')} with a name that Spine does not give",) if others else ()
    return Check(
        name="files",
        checked=checked,
        problems=tuple(problems),
        notes=notes,
        not_checked=tuple(f"{counted(number, 'file')}: {why}" for why, number in unread.items()),
    )
