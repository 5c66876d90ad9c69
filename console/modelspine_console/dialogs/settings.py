"""The settings in force, each with where it came from; passwords stay hidden. Pure drawing."""

from __future__ import annotations

from typing import Any

import msgspec

from modelspine.settings import masked
from modelspine_console.draw.sanitize import Line, cut, row, safe


def setting_lines(settings: Any) -> list[Line]:
    """One line a setting."""
    lines = []
    for name, value in msgspec.structs.asdict(settings).items():
        if name == "origins":
            continue
        origin = settings.origins.get(name, "default")
        lines.append(row(cut(safe(name, "muted"), 16), cut(safe(masked(str(value))), 44), safe(f"  {origin}", "faint")))
    return lines
