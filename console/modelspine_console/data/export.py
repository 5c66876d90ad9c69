"""Exporting what a screen shows to a JSON file, unsanitized, for programs to read.

The file appears complete or not at all. It does not know what it writes.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import Unavailable
from modelspine.files import write_file


def write(folder: Path, name: str, value: Any, now: datetime) -> str:
    """Write ``value`` as JSON into a new file in ``folder``; returns its path.

    Raises:
        Unavailable: the folder or the file cannot be written.
    """
    # Names may come from data, such as request ids: nothing in them may leave the folder.
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80].strip("-.") or "export"
    path = folder / f"{stem}-{now:%Y%m%dT%H%M%S}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    except OSError as error:
        raise Unavailable(
            f"{path.name} could not be written: {error.strerror or error}", f"check that {folder} is writable"
        ) from error
    return str(path)
