"""Asking the source in the background, and using the answers that are still wanted.

It does not know what is asked, nor what an answer is drawn as.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, cast

from textual.containers import Horizontal

from modelspine_console.app_protocol import Answer, Desk
from modelspine_console.data.jobs import Fetch, Outcome


class Asking(Horizontal):
    """What asks: a screen of the console."""

    NAME = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._generations: dict[str, int] = {}
        self._subject: dict[str, Hashable | None] = {}
        self._then: dict[str, Callable[[Outcome[Any]], None]] = {}

    @property
    def desk(self) -> Desk:
        """The app."""
        return cast("Desk", self.app)

    def ask(
        self,
        slot: str,
        fetch: Fetch,
        then: Callable[[Outcome[Any]], None],
        *,
        about: Hashable | None = None,
        rest: float = 0.0,
    ) -> None:
        """Fetch in the background, then go on with the outcome, unless something else was asked meanwhile.

        Asking again ``about`` the same thing is not something else: an answer that takes longer than lies between
        two looks would never be the newest, and never be shown.
        """
        generation = self._generations.get(slot, 0)
        if about is None or about != self._subject.get(slot):
            generation += 1
        self._generations[slot], self._subject[slot] = generation, about
        self._then[slot] = then

        def done(outcome: Outcome[Any]) -> None:
            self.post_message(Answer(slot, generation, outcome))

        self.desk.jobs.submit(f"{self.NAME}.{slot}", fetch, done, rest=rest)

    def forget(self, slot: str) -> None:
        """Drop the answer to what was asked last."""
        self._generations[slot] = self._generations.get(slot, 0) + 1
        self._subject[slot] = None

    def on_answer(self, answer: Answer) -> None:
        """Use an answer, where it is still wanted."""
        answer.stop()
        if answer.generation != self._generations.get(answer.slot):
            return
        self._then[answer.slot](answer.outcome)
        self.desk.moved()
