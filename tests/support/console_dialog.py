"""Fills the console's confirm dialog and reads the result."""

from __future__ import annotations

from typing import Any

from modelspine_console.dialogs.confirm import Confirm


async def fill(desk: Any, **values: str) -> None:
    """Type into the open dialog's fields and press Enter."""
    form = desk.app.screen.form
    for name, text in values.items():
        form.at = name
        form.editors[name].put("")
        await desk.type(text)
    await desk.press("enter")


def confirming(desk: Any) -> bool:
    """Whether the dialog is open."""
    return isinstance(desk.app.screen, Confirm)


def toasts(desk: Any) -> str:
    """Return every toast message that is shown."""
    return " ".join(toast.message for toast in desk.app._notifications)
