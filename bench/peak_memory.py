"""Peak resident memory of a process.

The maximum that ``getrusage`` returns includes that of the process that started this one, so it is not used.
"""

from __future__ import annotations

from pathlib import Path


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
