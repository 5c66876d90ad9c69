"""Switching between projects: the list behind ``:ctx``, and opening another project in the running console.

The other project is opened as a console of its own would open it, read-only. What cannot be opened is reported, and the
present project stays. It draws nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from modelspine.errors import BadInput
from modelspine.projects import Listed, projects_file, read_projects, settings_of
from modelspine_console.app_protocol import Answer, Host
from modelspine_console.controllers.freshness import Freshness
from modelspine_console.controllers.look import Look
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.data.jobs import Jobs, Outcome
from modelspine_console.data.source import Source
from modelspine_console.draw.sanitize import toast

if TYPE_CHECKING:
    from modelspine.settings import Settings
    from modelspine_console.writes.changes import Changes

NO_LIST = "`spine init --remember` in a project's folder adds it to the list"


class Opened(msgspec.Struct, frozen=True, eq=False):
    """A project that answered."""

    name: str
    source: Source
    changes: Changes | None


class Projects:
    """Opens another project of the list in place of the present one."""

    def __init__(self, host: Host, freshness: Freshness, write_mode: WriteMode, look: Look, name: str) -> None:
        """``name`` is that of the first project, if the list has it."""
        self._host, self._freshness, self._write_mode, self._look = host, freshness, write_mode, look
        self.name = name
        """The name of the open project in the list; empty for the project that the console was started in."""
        self._first: tuple[str, Settings] = (name, host.source.settings)

    def names(self) -> Iterable[str]:
        """The names that can be typed; none where the list cannot be read."""
        try:
            return [each.name for each in self._known() if not each.problem]
        except BadInput:
            return []

    def show(self, name: str) -> None:
        """Switch to a project, or list them all."""
        if self._host.demo:
            toast(self._host, "the demo has no other projects", severity="warning")
        elif name:
            self._open(name)
        else:
            self._choose()

    def _known(self) -> list[Listed]:
        """The list, and before it the project that the console was started in, where the list does not have it."""
        name, settings = self._first
        listed = read_projects(os.environ)
        if name or any(each.folder == settings.root for each in listed):
            return [*listed]
        return [Listed(settings.service_name, settings.root), *listed]

    def _choose(self) -> None:
        from modelspine_console.dialogs.dialogs import Choice

        host = self._host
        try:
            known = self._known()
        except BadInput as error:
            host.failed(Outcome[None](error=error.message, hint=error.hint), again=True)
            return
        open_root = host.source.settings.root
        items = []
        for each in known:
            state = f"✖ {each.problem}" if each.problem else str(each.folder)
            items.append((each.name, f"{'open now: ' if each.folder == open_root else ''}{state}"))

        def chosen(number: int | None) -> None:
            if number is not None:
                host.call_later(self._open, known[number].name)

        if len(items) < 2:
            toast(host, f"{projects_file(os.environ)} lists no other project; {NO_LIST}")
        else:
            host.push_screen(Choice("projects", items, typed=True), chosen)

    # opening ------------------------------------------------------------------------------------------

    def _open(self, name: str) -> None:
        """Open a project in the background; the present one stays until the other has answered."""
        from modelspine.spine import Spine

        host, before, may_write = self._host, self._host.source, self._write_mode.may_write
        first_name, first = self._first
        own = name == first_name or (not first_name and name == first.service_name)

        def fetch() -> Opened:
            settings = first if own else settings_of(name, os.environ)
            spine = Spine(settings, readonly=True)
            before.speak()  # opening another project put its words in force
            try:
                source = Source(spine)
                source.pulse()  # without a ledger that answers, the present project stays
                changes = None
                if may_write:
                    from modelspine_console.writes.changes import Changes

                    changes = Changes(spine)
            except BaseException:
                spine.close()
                raise
            return Opened("" if own and not first_name else name, source, changes)

        def done(found: Outcome[Opened]) -> None:
            host.post_message(Answer("project", 0, found))

        host.jobs.submit("project", fetch, done)

    def came(self, outcome: Outcome[Opened]) -> None:
        """Leave the present project for one that answered, unless something is open that belongs to the present one."""
        host, found = self._host, outcome.value
        if found is None:
            host.failed(outcome, again=True)
            return
        busy = "a change is in progress" if self._write_mode.busy else ""
        busy = busy or ("a dialog is open" if len(host.screen_stack) > 1 else "")
        if busy:
            found.source.close()
            toast(host, f"{busy}, so the project was not switched", severity="warning")
            return
        host.jobs.close()
        # What the present project's threads have sent already is handled first, and then nothing more comes.
        host.call_later(self._enter, found)

    async def _enter(self, found: Opened) -> None:
        host, before = self._host, self._host.source
        screen = host.trail[-1] if host.trail else "home"
        host.source, host.jobs, self.name = found.source, Jobs(), found.name
        found.source.speak()
        self._freshness.begin_again()
        self._write_mode.change_project(found.changes)
        host.clear_notifications()
        self._look.keep(host.views.values(), host.prompt)
        left = [*host.views.values()]
        host.views.clear()
        host.trail.clear()
        for view in left:  # before the same screen of the other project is there, which has the same name
            await view.remove()
        host.open_view(screen)
        host.jobs.submit("close", before.close, lambda _outcome: None)
        self._freshness.look()
        host.tick()
