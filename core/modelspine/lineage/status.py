"""How sure a hop of a walk is: checked just now, written down, not there, or not what was written down."""

from __future__ import annotations

from typing import Literal

Status = Literal["verified", "recorded", "missing", "mismatch"]
