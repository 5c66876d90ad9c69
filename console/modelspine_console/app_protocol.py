"""What screens and controllers may ask of the app they are in, and the message an answer comes back in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from textual.message import Message

from modelspine_console.action import Action
from modelspine_console.data.jobs import Jobs, Outcome
from modelspine_console.data.source import Clock, Pulse, Source
from modelspine_console.draw.sanitize import Notifies

if TYPE_CHECKING:
    from textual.screen import Screen

    from modelspine_console.widgets.document import Lines
    from modelspine_console.widgets.prompt import Prompt


class Desk(Protocol):
    """What a view may ask of the app it is in."""

    source: Source
    jobs: Jobs
    clock: Clock

    @property
    def pulse(self) -> Pulse | None:
        """What the ledger said last."""
        ...

    @property
    def reread(self) -> bool:
        """Whether everything is being read again."""
        ...

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show a backend's error."""
        ...

    def moved(self) -> None:
        """The breadcrumbs, or what can be done, may have changed."""
        ...

    def open_view(self, name: str, argument: str = "") -> None:
        """Go to a screen."""
        ...


class Host(Desk, Notifies, Protocol):
    """What a controller may ask of the app."""

    interval: float
    trail: list[str]
    header: Lines
    prompt: Prompt

    @property
    def view(self) -> Any:
        """The screen that is open; None before the first."""
        ...

    @property
    def views(self) -> Mapping[str, Any]:
        """Every screen that was opened, by name."""
        ...

    @property
    def actions(self) -> Sequence[Action]:
        """The table of what can be done."""
        ...

    def action(self, name: str) -> Action:
        """One row of it."""
        ...

    def holds(self, action: Action) -> bool:
        """True where an action belongs to the open screen, and to the mode."""
        ...

    def reason(self, action: Action) -> str | None:
        """Why an action cannot be done now; None where it can."""
        ...

    def live_actions(self) -> Collection[str]:
        """Ids of the actions whose keys do something now."""
        ...

    def act(self, name: str) -> bool:
        """Do an action, where it holds."""
        ...

    def tick(self) -> None:
        """Age what is shown."""
        ...

    def next_theme(self) -> None:
        """Light or dark."""
        ...

    # What Textual's App has.

    @property
    def screen_stack(self) -> Sequence[Screen[Any]]:
        """The screen, and the dialogs over it."""
        ...

    def push_screen(self, screen: Screen[Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Open a dialog."""
        ...

    async def run_action(self, action: str, default_namespace: Any = None) -> bool:
        """Do what a dialog's own key is bound to."""
        ...

    def post_message(self, message: Message) -> bool:
        """Hand the app a message, from any thread."""
        ...

    def call_later(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call something once what is going on is done."""
        ...

    def call_from_thread(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something in the app's own thread."""
        ...

    def copy_to_clipboard(self, text: str) -> None:
        """Give the terminal a text to keep."""
        ...

    def clear_notifications(self) -> None:
        """Take every toast away."""
        ...

    def exit(self, result: int | None = None) -> None:
        """Leave."""
        ...


class Answer(Message):
    """What a background fetch gave, with the question it belongs to."""

    def __init__(self, slot: str, generation: int, outcome: Outcome[Any]) -> None:
        super().__init__()
        self.slot = slot
        self.generation = generation
        self.outcome = outcome
