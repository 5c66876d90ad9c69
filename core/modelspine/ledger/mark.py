"""The high-water mark: the newest event that this machine appended or saw, in a file beside the database.

Whoever can shorten the ledger's table leaves a chain that is whole, only shorter. The mark shows it: the ledger must
still have the event that the mark names. A mark behind the newest event is normal, because other machines append too.
It does not protect from somebody who can write to the folder; a checkpoint kept elsewhere does.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from modelspine.errors import BadInput
from modelspine.files import sync_folder, write_file
from modelspine.ledger.event import Head
from modelspine.text import visible

NAME = "ledger.mark"
"""The file's name in a project's home."""
_LINE = re.compile(rb"([1-9][0-9]{0,15}):([0-9a-f]{64})\n")
_MAX_BYTES = 128


def read_mark(file: Path) -> Head | None:
    """The head that a mark names; None if there is no mark.

    Raises:
        BadInput: the file cannot be read, or is not a mark.
    """
    try:
        # Without waiting: a pipe in its place must not stop a rollback.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            plain = stat.S_ISREG(os.fstat(handle).st_mode)
            match = _LINE.fullmatch(stream.read(_MAX_BYTES)) if plain else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{_name(file)} cannot be read: {error.strerror}", _HINT) from error
    if match is None:
        raise BadInput(f"{_name(file)} is not SEQ:HASH", _HINT)
    return Head(int(match[1]), match[2].decode())


def write_mark(file: Path, head: Head) -> None:
    """Write a mark durably.

    Raises:
        OSError: it cannot be written.
    """
    write_file(file, f"{head.seq}:{head.hash}\n".encode())
    sync_folder(file.parent)


def advance_mark(file: Path, head: Head, before: Head | None) -> None:
    """Move a mark forward after an append; a mark that is further already, or that cannot be written, stays.

    ``before`` is the mark that the appended events were found to continue.
    """
    if before is not None and before.seq >= head.seq:
        return
    try:
        write_mark(file, head)
    except OSError:
        # The event is in the ledger and must be reported as such. A mark that is behind proves less and is not wrong.
        return


_HINT = "if the ledger itself is right (`spine verify`), remove the file; the next change makes a new one"


def _name(file: Path) -> str:
    return f"the high-water mark {visible(str(file), 120)}"
