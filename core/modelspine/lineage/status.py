"""The status of a hop in a walk: verified now, only recorded, missing, or different from what was recorded."""

from __future__ import annotations

from typing import Literal

Status = Literal["verified", "recorded", "missing", "mismatch"]
