"""Fetching in the background, and using only the answers that are still wanted.

It does not know what is fetched, nor how an answer is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any, cast

from textual.containers import Horizontal

from modelspine_console.app_protocol import Answer, Desk
from modelspine_console.data.jobs import Fetch, Outcome


class Asking(Horizontal):
    """A screen that fetches in named slots; each slot has one current request."""

    NAME = ""
    TRACES = False
    """Whether the list shows traces, which change without an event in the ledger."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._generations: dict[str, int] = {}
        self._subjects: dict[str, Hashable | None] = {}
        self._handlers: dict[str, Callable[[Outcome[Any]], None]] = {}
        self.read_at: datetime | None = None
        """When the list was last read."""

    @property
    def desk(self) -> Desk:
        """The app."""
        return cast("Desk", self.app)

    def now(self) -> datetime:
        """The time, from the app's clock."""
        return self.desk.clock()

    def ask(
        self,
        slot: str,
        fetch: Fetch,
        then: Callable[[Outcome[Any]], None],
        *,
        about: Hashable | None = None,
        rest: float = 0.0,
    ) -> None:
        """Fetch in the background, then call ``then`` with the outcome, unless the slot got another request meanwhile.

        A request ``about`` the same subject as the one before does not supersede it: otherwise an answer that takes
        longer than the interval between two polls would always be out of date and never be shown.
        """
        generation = self._generations.get(slot, 0)
        if about is None or about != self._subjects.get(slot):
            generation += 1
        self._generations[slot], self._subjects[slot] = generation, about
        self._handlers[slot] = then

        def done(outcome: Outcome[Any]) -> None:
            self.post_message(Answer(slot, generation, outcome))

        self.desk.jobs.submit(f"{self.NAME}.{slot}", fetch, done, rest=rest)

    def forget(self, slot: str) -> None:
        """Ignore the answer to the slot's current request."""
        self._generations[slot] = self._generations.get(slot, 0) + 1
        self._subjects[slot] = None

    def read_age(self, now: datetime) -> float | None:
        """Seconds since the traces that the list shows were read; None for what follows the ledger's polls alone."""
        # A moment of the past does not change any more.
        if self.read_at is None or not self.TRACES or self.desk.source.at is not None:
            return None
        return max(0.0, (now - self.read_at).total_seconds())

    def on_answer(self, answer: Answer) -> None:
        """Handle an answer if it is still wanted."""
        answer.stop()
        if answer.generation == self._generations.get(answer.slot):
            if answer.slot == "list" and answer.outcome.value is not None:
                self.read_at = self.desk.clock()
            self._handlers[answer.slot](answer.outcome)
            self.desk.moved()
