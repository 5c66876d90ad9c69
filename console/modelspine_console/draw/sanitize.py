"""The only way from data to the terminal: every text that is drawn is made harmless here.

Data from a ledger, a trace, a corpus or a key press becomes ``Content`` in this module and nowhere else:
``modelspine.text.visible`` replaces everything a terminal would obey by visible marks, and markup is never parsed, so
a cell that reads ``[@click=…]`` is just that text. No other module of the console makes Content, Segments, Strips or
toasts; a test enforces that.
"""

from __future__ import annotations

import re
from typing import Literal, Protocol

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip

from modelspine.text import visible
from modelspine_console.draw.theme import Palette, Role

Severity = Literal["information", "warning", "error"]
SENT = "sent to the terminal's clipboard"
"""What a toast says about a copied text. A program cannot find out whether the terminal kept it."""
Line = Content
"""One line of the screen."""

_MIN_FOLD = 8
"""Cells below which a line is not folded."""
_LABEL = re.compile(r"\s*\S.*?\s{2,}")
"""The name in front of a value, with the gap between them."""


def safe(data: object, role: Role = "", *, limit: int = 400) -> Content:
    """Any value as one line of harmless text of at most ``limit`` characters; ``role`` names its colour."""
    return Content.styled(visible(str(data), limit), role, strip_control_codes=False)


def row(*parts: Content, gap: int = 0) -> Content:
    """Pieces side by side."""
    return Content(" " * gap, strip_control_codes=False).join(parts) if gap else Content.assemble(*parts)


def cut(content: Content, width: int, *, right: bool = False) -> Content:
    """``content`` in exactly ``width`` cells: padded, or shortened with ``…``; ``right`` aligns it to the right."""
    if width <= 0:
        return Content.empty()
    missing = width - content.cell_length
    if missing < 0:
        content = content.truncate(width, ellipsis=True)
        missing = width - content.cell_length
    return content.pad_left(missing) if right else content.pad_right(missing)


def fill(left: Content, right: Content, width: int) -> Content:
    """One line with a text at either end; where both do not fit, the left one is shortened."""
    room = width - right.cell_length
    if room < 1:
        return cut(right, width)
    return row(cut(left, room - 1), safe(" "), right)


def folded(content: Content, width: int) -> list[Content]:
    """A line folded to ``width`` cells, at spaces where possible; continuation lines are indented to the value."""
    if content.cell_length <= width or width < _MIN_FOLD:
        return [content]
    label = _LABEL.match(content.plain)
    indent = label.end() if label and label.end() <= width // 2 else 2
    lines = []
    room = width
    while content.cell_length > room:
        at = _break_position(content.plain, room)
        lines.append(content[:at])
        content = content[at:]
        content = content[len(content.plain) - len(content.plain.lstrip(" ")) :]
        room = width - indent
    lines.append(content)
    return [lines[0], *(line.pad_left(indent) for line in lines[1:])]


def _break_position(text: str, room: int) -> int:
    """Where to break: behind the last space that fits, if that keeps at least half the line."""
    fits = used = 0
    for fits, char in enumerate(text):  # noqa: B007 -- the index is needed after the loop
        used += cell_len(char)
        if used > room:
            break
    space = text.rfind(" ", 0, fits)
    return space + 1 if space >= fits // 2 else max(1, fits)


class Notifies(Protocol):
    """An app that can show a short message."""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Severity = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show it."""


def toast(
    app: Notifies,
    text: object,
    *,
    hint: str = "",
    title: str = "",
    severity: Severity = "information",
    lasting: bool = False,
) -> None:
    """Show a short message in the corner, the way out below it; errors and ``lasting`` messages stay longer."""
    timeout = 8.0 if severity == "error" or lasting else 4.0
    message = "\n".join(visible(str(part), 300) for part in (text, hint) if part)
    app.notify(message, title=visible(title, 60), severity=severity, timeout=timeout, markup=False)


def cells(text: str) -> int:
    """How many cells a text takes."""
    return cell_len(text)


def strip(content: Content, width: int, palette: Palette, base: Role = "") -> Strip:
    """A line as Textual's compositor takes it: exactly ``width`` cells, with roles resolved to styles of the theme."""
    ground = palette.style("ground") + palette.style(base)
    pieces = cut(content, width).render(ground, end="", parse_style=palette.of)
    return Strip([Segment(text, style.rich_style) for text, style in pieces], width)
