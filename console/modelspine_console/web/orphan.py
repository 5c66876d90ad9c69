"""Ends a console whose server was killed, because a server that is killed cannot end its consoles."""

from __future__ import annotations

import os
import signal
import threading
import time

_INTERVAL = 1.0
_GRACE = 3.0
"""Seconds between asking and killing."""


def end_with_parent() -> None:
    """Watch the process that started this one; when it is gone, end this one and everything it started."""
    if os.getpgrp() != os.getpid():
        return  # the group is not its own, as the server made it; others in it would end too
    threading.Thread(target=_watch, args=(os.getppid(),), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(0, number)
        time.sleep(_GRACE)
