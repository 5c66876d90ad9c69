"""Help, the reference page and shell completion, all made from the parsers themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import modelspine.cli.verbs as grammar
from cli_world import check_refused, run
from modelspine.cli.completion import words
from modelspine.cli.help import leaves, page

Capture = pytest.CaptureFixture[str]
PAGE = Path(__file__).parents[3] / "docs" / "CLI.md"


def every_command() -> list[list[str]]:
    return [parser.prog.split()[1:] for _, parser in leaves(grammar.full_parser())]


def synopsis(verb: list[str]) -> list[str]:
    parsers = {parser.prog: parser for _, parser in leaves(grammar.full_parser())}
    return parsers[f"spine {' '.join(verb)}"].synopsis().split()


@pytest.mark.parametrize("verb", every_command(), ids=" ".join)
def test_every_help_is_useful(capsys: Capture, verb: list[str]) -> None:
    done = run(capsys, *verb, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("usage: spine " + " ".join(verb))
    if verb[0] in grammar.VERBS:
        assert "\nexample:\n  " in done.out
        assert f"spine {' '.join(verb)}" in done.out.split("\nexample:\n  ")[1]
    if "--key K" in PAGE.read_text(encoding="utf-8").split(f"## spine {' '.join(verb)}\n")[1].split("\n## ")[0]:
        assert "--key K" not in done.out, "only scripts need it"
        assert f"`spine {' '.join(verb)} --help-all`" in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    full = run(capsys, *verb, "--help-all")
    assert (full.code, full.err) == (0, "")
    assert all(name in full.out for name in re.findall(r"--[a-z-]+", " ".join(synopsis(verb))))


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == "\n".join(page(grammar.full_parser())) + "\n", (
        "docs/CLI.md is stale: python -m modelspine.cli.help > docs/CLI.md"
    )
    assert "%%" not in PAGE.read_text(encoding="utf-8"), "argparse halves them, a page has to as well"


def test_the_page_lists_every_command_and_no_other() -> None:
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `spine ")]
    listed = [line.removeprefix("| `").split("`")[0].split() for line in table]
    for command, line in zip(every_command(), listed, strict=True):
        assert line[1 : 1 + len(command)] == command


def test_the_page_shows_what_help_prints_not_how_argparse_spells_it() -> None:
    assert "(default: 50%)" in PAGE.read_text(encoding="utf-8")
    assert "%%" not in PAGE.read_text(encoding="utf-8")


def test_completion_is_json_where_it_is_asked_for(capsys: Capture) -> None:
    script = run(capsys, "completion", "zsh", "--json").json["script"]
    assert script == run(capsys, "completion", "zsh").out
    assert "%%" not in script


def test_no_arguments_is_help(capsys: Capture) -> None:
    done = run(capsys)
    assert (done.code, done.err) == (0, "")
    assert all(f"\n  {verb} " in done.out for verb in (*grammar.VERBS, "console", "demo", "serve"))
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.out == run(capsys, "--help").out
    assert run(capsys, "--version").out.startswith("spine 0.")


class Broken:
    """An entry point whose package does not load."""

    name = "serve"

    def load(self) -> object:
        raise ImportError("no module named \x1b[31mgone")


def test_a_package_that_does_not_load_breaks_no_other_verb(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "_points", lambda: [Broken()])
    check_refused(run(capsys, "serve"), 3)
    helped = run(capsys, "--help")
    assert helped.code == 0
    assert "'serve' does not load: no module named ␛[31mgone" in helped.out
    assert run(capsys, "history", "--help").code == 0


def test_entry_points_are_not_looked_up_for_a_built_in_verb(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never() -> None:
        raise AssertionError("looked up")

    monkeypatch.setattr(grammar, "_points", never)
    assert run(capsys, "init", root=tmp_path).code == 0
    assert run(capsys, "list", root=tmp_path).code == 0


def test_the_nearest_verb_is_named(capsys: Capture) -> None:
    assert "did you mean `spine lineage`?" in run(capsys, "linaege").err
    assert "did you mean `spine serve`?" in run(capsys, "serv").err


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["whois", "abcd"], "spine show"), (["help", "promote"], "spine --help"), (["help"], "spine --help"),
        (["candidate"], "spine gate --candidate"), (["route", "weight"], "spine route advance --weight"),
        (["--root", ".", "route", "--no-color", "weight"], "spine route advance --weight"),
    ],
)  # fmt: skip
def test_a_removed_verb_names_the_one_that_replaces_it(capsys: Capture, words: list[str], new: str) -> None:
    done = run(capsys, *words)
    check_refused(done, 2)
    assert f"use `{new}" in done.err


@pytest.mark.parametrize("words", [["route", "weight", "25%"], ["route", "--json", "weight", "2500"]])
def test_an_older_script_may_go_on_setting_a_weight(words: list[str]) -> None:
    """`route weight BP` was a command of its own."""
    parsed = grammar.parse([*words, "--reason", "so"])
    assert (parsed.weight, parsed.reason) == (2_500, "so")


def test_the_first_screen_stays_one_screen() -> None:
    """It lists the verbs by what people do. With what a service that is not ours needs, 32 were too few."""
    assert len(grammar.full_parser().verbs.known) <= 40  # type: ignore[union-attr]


# completion -----------------------------------------------------------------------------------------


def completed(capsys: Capture, line: str) -> set[str]:
    """What bash offers at the end of a line."""
    script = run(capsys, "completion", "bash").out
    typed = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in typed)
    ask = f"COMP_WORDS=({quoted}); COMP_CWORD={len(typed) - 1}; _spine; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes(capsys: Capture) -> None:
    assert completed(capsys, "spine li") == {"list", "lineage"}
    assert completed(capsys, "spine route s") == {"show", "single", "shadow"}
    assert completed(capsys, "spine lineage --") >= {"--verify", "--mermaid", "--json"}
    assert "--semver" not in completed(capsys, "spine lineage --")
    assert completed(capsys, "spine promote v0.1.0 --s") == {"--semver"}
    assert completed(capsys, "spine completion z") == {"zsh"}
    assert "serve" in completed(capsys, "spine ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_verb(capsys: Capture, shell: str) -> None:
    script = run(capsys, "completion", shell).out
    for typed, follow in words(grammar.full_parser()).items():
        assert all(word in script for word in typed)
        assert all(name.removeprefix("--") in script for name, _ in follow)
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
