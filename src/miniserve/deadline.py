"""A deadline that moves often and seldom passes: moving it costs no timer.

A connection's deadline is set and cleared with every request. The timer is left as it is, and it is set anew when it
fires too early.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable


class Deadline:
    """Calls a function when its time has come, unless it was moved or cleared before."""

    def __init__(self, loop: AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop = loop
        self._passed = passed
        self._due: float | None = None
        self._timer: TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Let it pass after so many seconds from now."""
        self._due = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._fired)

    def clear(self) -> None:
        """Let it not pass."""
        self._due = None

    def cancel(self) -> None:
        """Clear it for good, together with its timer."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fired(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._timer = self._loop.call_at(self._due, self._fired)
            return
        self._due = None
        self._passed()
