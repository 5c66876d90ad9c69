"""The status of a hop in a walk: what is known of it now, and whether anybody looked."""

from __future__ import annotations

from typing import Literal

Status = Literal["verified", "recorded", "not_checked", "missing", "mismatch"]
"""``verified``: hashed again now. ``recorded``: written down, and not looked at. ``not_checked``: it could not be
looked at (git refuses, no DVC, offline), and the reason is given. ``missing``: it was looked for and does not exist.
``mismatch``: it differs from what was recorded."""
