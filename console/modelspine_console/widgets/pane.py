"""One pane of a screen: a head line above a table or a document, or a message why there is none to show.

Loading, empty, no matches, error and stale each have a look of their own. A pane fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click

from modelspine_console.draw.sanitize import Line, cells, fill, folded, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.widgets.document import Doc, Draw, Lines
from modelspine_console.widgets.table import Table

State = Literal["loading", "ready", "empty", "nomatch", "error"]
_GLYPHS: dict[str, tuple[str, Role]] = {
    "loading": ("◌", "muted"),
    "empty": ("○", "muted"),
    "nomatch": ("○", "warn"),
    "error": ("✖", "bad"),
}


class Pane(Vertical):
    """A head line above one of several bodies; in any state but ``ready``, a message instead of the body."""

    DEFAULT_CSS = """
    Pane { width: 1fr; height: 1fr; }
    Pane > .blank { height: 1fr; padding: 1 2; }
    """

    def __init__(
        self, title: str, body: Table | Doc, *others: Table, above: Lines | None = None, below: Doc | None = None
    ) -> None:
        """``others`` are the bodies of other tabs; ``put`` shows one of them instead of ``body``."""
        super().__init__()
        self.bodies = (body, *others)
        self.above = above
        self.below = below
        self.heading = title
        self.body = body
        self.state: State = "ready"
        self.foot = Lines()
        """One line under the body, such as the legend of its signs."""
        self.foot.display = self._explained = False
        self.tabs: tuple[str, ...] = ()
        self.tab = 0
        self.aside = ""
        self.clicked: Callable[[int], None] | None = None
        """Called with the number of a tab that was clicked."""
        self._aside_role: Role = "muted"
        self._head = Lines()
        self._blank = Lines(classes="blank")
        self._blank.display = False
        self._message = ("", "")
        self._titled = (title, 0)

    def compose(self) -> ComposeResult:
        """The head, the bodies, and the message that replaces a body."""
        yield self._head
        if self.above is not None:
            yield self.above
        for body in self.bodies:
            body.display = body is self.body and self.state == "ready"
            yield body
        yield self._blank
        if self.below is not None:
            yield self.below
        yield self.foot

    def on_mount(self) -> None:
        """Draw the head and the message."""
        self._head.show(lambda width: [self._head_line(width)])
        self._blank.show(self._blank_lines)

    def on_descendant_focus(self) -> None:
        """Redraw the head, whose colour shows which pane has the focus."""
        self._head.refresh()

    on_descendant_blur = on_descendant_focus

    def on_click(self, event: Click) -> None:
        """Report a click on the name of a tab."""
        if event.widget is self._head and self.clicked is not None:
            width = self._head.size.width
            text, end = self._head_line(width).plain, 0
            for number, name in list(enumerate(self.tabs))[self._first_tab(width) :]:
                start = text.find(f"{'▸' if number == self.tab else ' '}{name}", end)
                if start < 0:
                    break
                end = start + len(name) + 1
                if start <= event.x < end:
                    self.clicked(number)
                    break

    def turn(self, state: State, message: str = "", hint: str = "") -> None:
        """Go into a state; ``ready`` shows the body, every other state the message."""
        if (state, (message, hint)) == (self.state, self._message):
            return
        self.state, self._message = state, (message, hint)
        ready = state == "ready"
        if self.body.display != ready:
            had = self.body.has_focus
            self.body.display = ready
            self._blank.display = not ready
            self.foot.display = ready and self._explained
            if self.below is not None:
                self.below.display = ready
            if had and ready:
                self.body.focus()
        self._blank.refresh()
        self._head.refresh()

    def put(self, body: Table | Doc) -> None:
        """Show another of the bodies; it takes over the focus if the previous one had it."""
        before, self.body = self.body, body
        if body is not before:
            had = before.has_focus
            before.display, body.display = False, self.state == "ready"
            if had:
                body.focus()

    def show(self, draw: Draw, *, top: bool = True, ages: bool = False) -> None:
        """Show these lines in the pane's document; ``ages`` if they say how long ago something was."""
        document = self.bodies[0]
        assert isinstance(document, Doc)
        self.turn("ready")
        document.show(draw, top=top, ages=ages)

    def explain(self, draw: Draw) -> None:
        """Show a line under the body."""
        self._explained = True
        self.foot.display = self.state == "ready"
        self.foot.show(draw)

    def dim(self, dimmed: bool) -> None:
        """Draw the bodies as stale, or not."""
        for body in self.bodies:
            if body.dimmed != dimmed:
                body.dimmed = dimmed
                body.refresh()
                self._head.refresh()

    def tick(self) -> None:
        """Update the ages in the body, if it is visible."""
        if self.display:
            self.body.tick()

    def describe(self, aside: str, role: Role = "muted") -> None:
        """Set the text at the right end of the head, and its colour."""
        if (aside, role) != (self.aside, self._aside_role):
            self.aside, self._aside_role = aside, role
            self._head.refresh()

    def title(self, heading: str) -> None:
        """Set the name at the left end of the head."""
        if (heading, self.tab) != self._titled:
            self.heading, self._titled = heading, (heading, self.tab)
            self._head.refresh()

    @property
    def message(self) -> str:
        """The message that is shown instead of the body, with its hint."""
        return "\n".join(part for part in self._message if part)

    def _head_line(self, width: int) -> Line:
        focused = self.body.has_focus or (not self.body.display and self.screen.focused is None)
        name: Role = "accent" if focused else "muted"
        left = safe(f" {self.heading}", name) if self.heading else safe("")
        if self.tabs:
            first = self._first_tab(width)
            more = safe(" … " if first else "   ", "faint")
            left = row(left, more, row(*self._tab_names(focused)[first:], gap=2))
        return fill(left, self._aside_line(), width)

    def _aside_line(self) -> Line:
        stale = " stale" if self.body.dimmed else ""
        return safe(f"{self.aside}{stale} ", self._aside_role)

    def _first_tab(self, width: int) -> int:
        """The first tab that is named: those before it go where the open one would be cut off."""
        room = width - self._aside_line().cell_length - 1 - safe(f" {self.heading}").cell_length - 3
        names = [cells(name) + 1 for name in self.tabs]
        first, last = 0, self.tab == len(self.tabs) - 1
        # One cell stays for the sign that further tabs follow.
        while first < self.tab and sum(names[first : self.tab + 1]) + 2 * (self.tab - first) + (not last) > room:
            first += 1
        return first

    def _tab_names(self, focused: bool) -> Sequence[Line]:
        names = []
        for number, name in enumerate(self.tabs):
            role: Role = ("accent" if focused else "strong") if number == self.tab else "faint"
            names.append(safe(f"▸{name}" if number == self.tab else f" {name}", role))
        return names

    def _blank_lines(self, width: int) -> Sequence[Line]:
        glyph, role = _GLYPHS.get(self.state, ("", ""))
        message, hint = self._message
        room = max(10, width - 2)
        first, *others = folded(safe(message, role), room)
        others += [safe(""), *folded(safe(hint, "muted"), room)] if hint else []
        return [row(safe(f"{glyph} ", role), first), *(row(safe("  "), part) for part in others)]
