"""Passing on each key: to what is being typed into, to the dialog that is open or about to open, or to an action.

It does not know what any key does.
"""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.events import Key, Paste

from modelspine_console.app_protocol import Host
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.frame import action_at


class Keys:
    """Handles every key and paste in the order they arrive.

    No key travels through a widget's message queue: in a burst, a key could otherwise overtake the effect of the one
    before it and act on the wrong dialog.
    """

    def __init__(self, host: Host, write_mode: WriteMode) -> None:
        self._host = host
        self._write_mode = write_mode

    @property
    def typist(self) -> Any:
        """What is being typed into: the prompt or a dialog's fields; None where keys are commands."""
        stack = self._host.screen_stack
        if len(stack) > 1:
            return getattr(stack[-1], "typist", None)
        return self._host.prompt if self._host.prompt.display else None

    def click(self, x: int, footer: str) -> None:
        """Perform the action whose key was clicked in the footer."""
        action = action_at(self._host.offered(), footer, x)
        if action is not None and self.typist is None and self._write_mode.planning is None:
            self._write_mode.extend()
            self._host.act(action.id)

    async def take(self, event: Key | Paste) -> None:
        """Handle one key or paste."""
        self._write_mode.extend()
        typist = self.typist
        if isinstance(event, Key):
            await self._press(event, typist)
        elif typist is not None:
            typist.paste(event.text)

    async def _press(self, event: Key, typist: Any) -> None:
        host = self._host
        # Quitting and suspending work everywhere, also while something is typed.
        everywhere = next((name for name in ("leave", "suspend") if event.key in host.action(name).keys), "")
        if everywhere:
            host.act(everywhere)
        elif self._write_mode.planning is not None:
            self._write_mode.hold(event.key, event.character)
        elif typist is not None and (typist.key(event.key, event.character) or typist is host.prompt):
            return
        else:
            bound = host.screen_stack[-1].active_bindings.get(event.key)
            if bound is None or not bound.enabled:
                return
            if isinstance(bound.node, App):
                host.act(bound.binding.action)
            else:
                await host.run_action(bound.binding.action, bound.node)
