"""A sentence of an incident on its way into the baseline: an uncommitted change of one file, for review.

It writes the file whole or not at all, and only where it still is what the caller decided on. It does not
commit, and does not know how a walk was made.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelspine.errors import Conflict, Refused, Unavailable
from modelspine.gate.baseline import Item, with_item
from modelspine.text import visible

if TYPE_CHECKING:
    from modelspine.incident.walk import Walk


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the file. ``changed`` is False where it held the item already."""

    file: str
    item: Item
    changed: bool
    items: int
    """Never-regress items in the file afterwards."""


def item_of(walk: Walk) -> Item:
    """The item an incident makes: its sentence, and what the workload's oracle says it should have become.

    Raises:
        Refused: the sentence was not kept, or the workload does not know what is right.
    """
    if walk.trace.sentence is None:
        raise Refused("the sentence was not kept, so nothing can be asked again", "`text_policy = full` keeps them")
    if not walk.expected:
        raise Refused("the workload does not say what the right answer is", "write the item into the baseline by hand")
    return Item(id=walk.request_id, text=walk.trace.sentence, correct_form=walk.expected)


def read(file: Path) -> bytes:
    """The baseline's bytes.

    Raises:
        Refused: there is no such file.
        Unavailable: it cannot be read.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise Refused(
            f"there is no baseline at {visible(str(file), 120)}", "make one from an entry's report and commit it"
        ) from error
    except OSError as error:
        raise Unavailable(f"{visible(str(file), 120)}: {error.strerror}", "check its permissions") from error


def add(file: Path, item: Item, *, expected: str | None = None) -> Added:
    """Put an item into the baseline file of the working tree; a reviewed commit makes it count.

    Args:
        file: the baseline.
        item: what must stay right.
        expected: SHA-256 of the file's bytes that this was decided on; None takes whatever stands there.

    Raises:
        BadInput: the file is no baseline, or has another item of that id.
        Conflict: the file is another one than ``expected``.
        Refused, Unavailable: there is none, or it cannot be written.
    """
    raw = read(file)
    if expected is not None and hashlib.sha256(raw).hexdigest() != expected:
        raise Conflict(f"{visible(file.name, 80)} changed meanwhile; nothing was written", "look at it again")
    made = with_item(raw, item)
    items = len(msgspec.json.decode(made)["never_regress"])
    if items == len(msgspec.json.decode(raw).get("never_regress", ())):
        return Added(file=str(file), item=item, changed=False, items=items)
    staging = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        staging.write_bytes(made)
        staging.chmod(file.stat().st_mode & 0o777)
        staging.replace(file)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise Unavailable(
            f"{visible(str(file), 120)} could not be written: {error.strerror}", "check its permissions"
        ) from error
    return Added(file=str(file), item=item, changed=True, items=items)
