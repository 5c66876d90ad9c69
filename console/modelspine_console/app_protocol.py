"""What a screen may ask of the app it is in, and the message an answer comes back in."""

from __future__ import annotations

from typing import Any, Protocol

from textual.message import Message

from modelspine_console.data.jobs import Jobs, Outcome
from modelspine_console.data.source import Clock, Pulse, Source


class Desk(Protocol):
    """What a view may ask of the app it is in."""

    source: Source
    jobs: Jobs
    clock: Clock
    pulse: Pulse | None
    reread: bool

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show a backend's error."""
        ...

    def moved(self) -> None:
        """The breadcrumbs, or what can be done, may have changed."""
        ...

    def open_view(self, name: str, argument: str = "") -> None:
        """Go to a screen."""
        ...


class Answer(Message):
    """What a background fetch gave, with the question it belongs to."""

    def __init__(self, slot: str, generation: int, outcome: Outcome[Any]) -> None:
        super().__init__()
        self.slot = slot
        self.generation = generation
        self.outcome = outcome
