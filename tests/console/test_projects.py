"""Switching the running console to another project of the operator's list, and back."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from modelspine.projects import projects_file, read_projects, remember
from modelspine.spine import Spine
from modelspine_console.writes.changes import Changes

Listed = dict[str, Path]


@pytest.fixture
def listed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Two projects, one broken file of settings and one missing folder in the list."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SPINE_WORKLOAD", "minitutor")
    other = Path(shutil.copytree(project, tmp_path / "other"))
    (other / "spine.toml").write_text('service = "letters"\nworkload = "minitutor"\n')
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "spine.toml").write_text("service = [")

    for name, folder in (("tickets", project), ("letters", other), ("broken", broken), ("gone", tmp_path / "gone")):
        remember(folder, name, os.environ)
    return {"tickets": project, "letters": other}


async def test_another_project_is_opened_in_place_of_the_first(listed: Listed, console: Any, spine: Spine) -> None:
    async with console(screen="registry", changes=Changes(spine), write=True) as desk:
        assert "WRITE" in desk.lines()[0]
        first = desk.app.source
        await desk.press(":")
        await desk.type("ctx letters")
        await desk.press("enter")
        await desk.settle()
        header = desk.lines()[0]
        assert "letters" in header
        assert "READ-ONLY" in header, "another project is opened read-only, whatever the first one was"
        assert desk.app.source is not first
        assert desk.app.source.settings.root == listed["letters"]
        assert desk.app.view.NAME == "registry"
        assert len(desk.app.body.children) == 1, "the screens of the first project are gone"
        assert "sha" in desk.text()
        assert "ledger" not in first._spine.__dict__, "the readers of the first project are closed"


async def test_a_broken_project_leaves_the_present_one_open(listed: Listed, console: Any) -> None:
    async with console(screen="registry") as desk:
        before = desk.app.source
        for name in ("broken", "gone", "nothing"):
            desk.app.navigation.jump(f"ctx {name}")
            await desk.settle()
            assert desk.app.source is before
            assert name in desk.app.freshness.last_error.error
        desk.app.navigation.jump("ctx")
        await desk.settle()
        assert "letters" in desk.text()
        assert "there is no folder" in desk.text()


async def test_every_answer_of_the_first_project_is_dropped(
    listed: Listed, console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that was still running when the project was switched must not show the first project's ledger."""
    async with console(screen="registry") as desk:
        slow, went = desk.app.source, asyncio.Event()
        pulse = slow.pulse

        def late() -> Any:
            import time

            found = pulse()
            time.sleep(0.3)
            desk.app.call_from_thread(went.set)
            return found

        monkeypatch.setattr(slow, "pulse", late)
        desk.app.freshness.look()
        desk.app.navigation.jump("ctx letters")
        await asyncio.wait_for(went.wait(), 30)
        await desk.settle()
        assert desk.app.source.settings.service == "letters"
        assert desk.app.pulse is not None
        assert desk.app.pulse == desk.app.source.pulse()


async def test_a_change_in_progress_keeps_the_project(listed: Listed, console: Any, spine: Spine) -> None:
    async with console(screen="registry", changes=Changes(spine), write=True) as desk:
        desk.app.write_mode.planning = desk.app.view
        before = desk.app.source
        desk.app.navigation.jump("ctx letters")
        await desk.settle()
        assert desk.app.source is before


async def test_the_names_are_completed(listed: Listed, console: Any) -> None:
    async with console() as desk:
        assert set(desk.app.projects.names()) >= {"tickets", "letters"}
        assert "gone" not in desk.app.projects.names()
        await desk.press(":")
        await desk.type("ctx let")
        await desk.press("tab")
        assert desk.app.prompt.text == "ctx letters"


def test_the_list_is_kept_as_it_was_written(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    file = projects_file(environ)
    assert file is not None
    file.parent.mkdir()
    file.write_text('# mine\nold = "/srv/old"  # the first')
    here = tmp_path / 'a "quoted" folder'
    here.mkdir()
    assert remember(here, "new", environ) == file
    assert file.read_text().startswith('# mine\nold = "/srv/old"  # the first\nnew = ')
    assert [(each.name, each.folder, bool(each.problem)) for each in read_projects(environ)] == [
        ("old", Path("/srv/old"), True), ("new", here, False),
    ]  # fmt: skip
    assert remember(here, "new", environ) is None


def test_variables_of_one_project_say_nothing_about_another(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:

    from modelspine.projects import settings_of

    monkeypatch.setenv("SPINE_LEDGER", "sqlite:////nowhere/ledger.db")
    monkeypatch.setenv("SPINE_SERVICE", "wrong")
    found = settings_of("letters", os.environ)
    assert (found.service, found.root) == ("letters", listed["letters"])
    assert str(found.ledger).startswith(f"sqlite:///{listed['letters']}")
