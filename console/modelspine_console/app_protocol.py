"""What screens and controllers may ask of the app they are in, and the message that brings a background result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
    """What a view may ask of the app."""

    source: Source
    jobs: Jobs
    clock: Clock
    prompt: Prompt

    @property
    def pulse(self) -> Pulse | None:
        """The ledger's last answer."""

    @property
    def reread(self) -> bool:
        """Whether everything is being read again."""

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show an error."""

    def action(self, name: str) -> Action:
        """One action by its id."""

    def moved(self) -> None:
        """Redraw the breadcrumbs and the footer if they changed."""

    def open_view(self, name: str, argument: str = "") -> None:
        """Go to a screen."""

    def open_filtered(self, name: str, text: str) -> None:
        """Go to a screen and show only the rows that match."""


class Host(Desk, Notifies, Protocol):
    """What a controller may ask of the app."""

    interval: float
    trail: list[str]
    demo: bool
    header: Lines

    @property
    def view(self) -> Any:
        """The open screen; None before the first one is open."""

    @property
    def views(self) -> dict[str, Any]:
        """Every screen that was opened, by name."""

    @property
    def actions(self) -> Sequence[Action]:
        """The table of all actions."""

    def holds(self, action: Action) -> bool:
        """Whether an action applies to the open screen and the mode."""

    def reason(self, action: Action) -> str | None:
        """Why an action cannot be done now; None if it can."""

    def offered(self) -> Sequence[tuple[Action, str | None]]:
        """The actions the footer names, each with the reason if it cannot be done now."""

    def live_actions(self) -> Collection[str]:
        """Ids of the actions whose keys are active now."""

    def act(self, name: str) -> bool:
        """Perform an action if it applies."""

    def tick(self) -> None:
        """Update everything that depends on the time."""

    def repaint(self) -> None:
        """Write every cell of the terminal again."""

    # Methods of Textual's App.

    @property
    def screen_stack(self) -> Sequence[Screen[Any]]:
        """The frame, and the dialogs above it."""

    def push_screen(self, screen: Screen[Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Open a dialog."""

    async def run_action(self, action: str, default_namespace: Any = None) -> bool:
        """Run the action that a dialog's own key is bound to."""

    def post_message(self, message: Message) -> bool:
        """Send the app a message, from any thread."""

    def call_later(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call something after the current messages are handled."""

    def call_from_thread(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something in the app's own thread."""

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text to the terminal's clipboard."""

    def call_after_refresh(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Call something after the screen was drawn again."""

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """The screen as SVG."""

    def clear_notifications(self) -> None:
        """Remove all toasts."""

    def exit(self, result: int | None = None) -> None:
        """Quit."""


class Answer(Message):
    """The outcome of a background fetch, with the slot and the generation of its request."""

    def __init__(self, slot: str, generation: int, outcome: Outcome[Any]) -> None:
        super().__init__()
        self.slot = slot
        self.generation = generation
        self.outcome = outcome
