"""The settings in force, each with its origin; passwords are masked. Pure drawing."""

from __future__ import annotations

from typing import Any

import msgspec

from modelspine.settings import masked
from modelspine_console.draw.sanitize import Line, cut, row, safe


def setting_lines(settings: Any) -> list[Line]:
    """One line for each setting: name, value and origin."""
    return [
        row(
            cut(safe(name, "muted"), 16),
            cut(safe(masked(str(value))), 44),
            safe(f"  {settings.origins.get(name, 'default')}", "faint"),
        )
        for name, value in msgspec.structs.asdict(settings).items()
        if name != "origins"
    ]
