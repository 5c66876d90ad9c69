"""Texts of the command line and the console take their words from the workload.

A project of support tickets shows none of the tutor's words; the same walk over the tutor's project finds them, so that
a walk that shows nothing at all could not pass.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli_world import run
from modelspine.described.service import Described
from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput
from modelspine.settings import load
from modelspine.spine import Spine, open_spine
from modelspine.words import NEUTRAL, Words, use, words, words_of
from modelspine_console.action import SCREENS
from modelspine_console.data.source import Source
from session_folder import session_folder
from tickets import QUEUES, REQUEST, make_tickets, told_day

TUTORS = re.compile(r"sentence|learner|correction|corrected|correct form|\bverbs?\b|\btense\b", re.IGNORECASE)
DAY = "2026-11-16"


@pytest.fixture(scope="session")
def ticket_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    def fill(folder: Path) -> None:
        made = make_tickets(folder / "project")
        told_day(made.root, 60, DAY, german=0.5, queues=QUEUES)
        (folder / "shas.json").write_text(json.dumps([made.weak, made.strong]))

    folder = session_folder(tmp_path_factory, "words", fill)
    return folder / "project", json.loads((folder / "shas.json").read_text())


def commands(request: str, a: str, b: str, day: str) -> list[list[str]]:
    """Every command that shows something of requests, entries and traffic."""
    return [
        ["list"], ["show", a], ["diff", a, b], ["diff", a, b, "--traffic"], ["info"], ["history"],
        ["traces", "list"], ["traces", "list", "--sort", "latency"], ["traces", "show", request],
        ["incident", request, "-v"], ["incident", request, "--never-regress"],
        ["route", "show"], ["route", "report"], ["route", "epochs"], ["cost"], ["rollback", a, "--dry-run"],
        ["drift", "report", "--day", day], ["drift", "show", "--day", day],
        ["traces", "list", "--help-all"], ["rollback", "--help-all"],
        ["incident", "--help-all"], ["route", "--help-all"],
    ]  # fmt: skip


def spoken(capsys: Any, root: Path, asked: list[list[str]]) -> str:
    """What the commands print, whatever they answer. Names of JSON fields and of flags are no words."""
    return "\n".join(f"{done.out}\n{done.err}" for each in asked for done in [run(capsys, *each, root=root)])


async def screens(run_console: Any, source: Source, request: str) -> str:
    """Every screen as text, the request's walk and the help among them."""
    found = []
    for _, name, _ in SCREENS:
        async with run_console(source, screen=name, size=(150, 50)) as desk:
            found.append(desk.text())
            await desk.press("enter")
            found.append(desk.text())
            await desk.press("question_mark")
            found.append(desk.text())
    async with run_console(source, screen="incident", argument=request, size=(150, 50)) as desk:
        found.append(desk.text())
    return "\n".join(found)


@pytest.mark.long
async def test_tickets_are_not_spoken_of_as_sentences(
    ticket_project: tuple[Path, list[str]], capsys: Any, run_console: Any
) -> None:
    root, (weak, strong) = ticket_project
    told = spoken(capsys, root, commands(REQUEST, weak, strong, DAY))
    with open_spine(root, readonly=True) as spine:
        told += await screens(run_console, Source(spine), REQUEST)
    told = re.sub(r"learner-\d+|\bVERB\b", "", told)  # the ids that a caller sent, and a placeholder of the usage
    assert [line for line in told.splitlines() if TUTORS.search(line)] == []
    for own in ("lang", "input", "user", "answered"):
        assert own in told, own


@pytest.mark.long
async def test_the_tutor_keeps_its_words(
    project: Path, shas: dict[str, str], capsys: Any, run_console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the test above."""
    monkeypatch.setenv("SPINE_WORKLOAD", "minitutor")
    with open_spine(project, readonly=True) as spine:
        request = spine.traces.list(limit=1).traces[0].request_id
        told = await screens(run_console, Source(spine), request)
    a, b, *_ = shas.values()
    asked = commands(request, a, b, DAY)
    told += spoken(capsys, project, [words for words in asked if "--help-all" not in words])
    # What is fixed before a project is opened, such as a help text, cannot take a word from it.
    assert [line for line in told.splitlines() if re.search(r"\busers?\b", line)] == []
    told += spoken(capsys, project, [words for words in asked if "--help-all" in words])
    for word in ("learner", "sentence", "corrected", "accepted as correct", "verb"):
        assert word in told, word


async def test_own_words_are_used(ticket_project: tuple[Path, list[str]], capsys: Any, tmp_path: Path) -> None:

    root = Path(shutil.copytree(ticket_project[0], tmp_path / "own"))
    file = root / "spine.toml"
    file.write_text(
        f'{file.read_text()}\n[workload.words]\nunit = "customer"\ninput = "ticket"\naccepted = "let pass"\n'
    )
    assert "customers" in run(capsys, "drift", "report", "--day", DAY, root=root).out
    assert "let pass" in run(capsys, "traces", "show", REQUEST, root=root).out


def test_columns_are_those_that_requests_have(ticket_project: tuple[Path, list[str]], capsys: Any) -> None:
    root = ticket_project[0]
    shown = run(capsys, "traces", "list", "--columns", "request,lang,ms", "--limit", "3", root=root)
    head = next(line for line in shown.out.splitlines() if "lang" in line)
    assert head.split() == ["request", "lang", "ms"]
    assert re.search(r" (en|de) ", shown.out)
    refused = run(capsys, "traces", "list", "--columns", "request,verb", root=root)
    assert refused.code == 2
    assert "none of these requests has a column, a feature or a field 'verb'" in refused.err
    assert "features seen: answer_label, lang" in refused.err
    assert run(capsys, "traces", "list", "--columns", "at,at", root=root).code == 2
    assert run(capsys, "traces", "list", "--columns", "at", "--json", root=root).code == 2


async def test_features_are_fields_and_columns(ticket_project: tuple[Path, list[str]], run_console: Any) -> None:
    with open_spine(ticket_project[0], readonly=True) as spine:
        async with run_console(Source(spine), screen="incident", size=(150, 40)) as desk:
            assert "lang" in desk.app.view.fields
            assert " lang " not in desk.lines()[3], "a feature is a column where it is wanted"
            await desk.press("/")
            await desk.type("la")
            await desk.press("tab")
            assert desk.app.prompt.text == "lang:"
            await desk.press("escape")
            await desk.press("c")
            assert "lang" in desk.text()
            desk.app.view.table.hide({"lang"})
            await desk.press("escape")
            assert any(" lang" in line for line in desk.lines()[2:6])


def test_words_are_no_part_of_how_values_are_made() -> None:
    """Traces of before the words were set are still compared with those of after."""
    fields: dict[str, Any] = {"kind": "classifier", "input": "body", "label": "queue", "features": ["lang"]}
    plain, named = WorkloadTable(**fields), WorkloadTable(**fields, words=Words(unit="customer"))
    assert Described(plain).values_code == Described(named).values_code
    assert Described(plain).values_code == "db1e09f9c2dc0d03", "the table's form decides it"
    assert words_of(Described(named)).units == "customers"


@pytest.mark.parametrize("declared", [{"unit": ""}, {"unit": "a\x1b[2J"}, {"unit": "x" * 41}, {"nuit": "x"}, ["x"], 7])
def test_what_is_no_word_is_refused(declared: Any) -> None:
    class Odd:
        name = "odd"
        words = declared

    with pytest.raises(BadInput, match="the workload odd declares words that cannot be used"):
        words_of(Odd())


def test_without_a_workload_the_words_are_neutral(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"SPINE_ROOT": str(tmp_path), "SPINE_WORKLOAD": "nobody-has-it"})
    with Spine(settings, readonly=True):
        assert words() is NEUTRAL
    use(lambda: Words(unit="device"))
    assert words().units == "devices"
