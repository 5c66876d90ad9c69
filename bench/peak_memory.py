"""The most memory that this process has had resident.

``getrusage`` does not tell: its maximum begins with that of the process that started this one.
"""

from __future__ import annotations

from pathlib import Path


def peak_mb() -> float:
    """Return it in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
