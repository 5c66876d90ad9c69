"""``spine completion``: scripts that let a shell complete ``spine``, generated from the parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from modelspine.cli.output import Out
from modelspine.cli.parser import Parser, Verbs, help_text
from modelspine.cli.verbs import full_parser
from modelspine.errors import Exit
from modelspine.spine import Spine

_GLOBAL = ("--json", "--root", "--no-color", "--help")
Words = dict[tuple[str, ...], list[tuple[str, str]]]
"""The verbs typed so far → each word that may follow, with its help."""


def command(verbs: Verbs) -> None:
    """Add ``completion``."""
    parser = verbs.add(
        "completion", "print a completion script for a shell", run, example='eval "$(spine completion bash)"'
    )
    parser.add_argument("shell", choices=sorted(_SHELLS))


def run(args: argparse.Namespace, _spine: Spine) -> int:
    """Print the script."""
    out = Out.of(args)
    lines = [*_SHELLS[args.shell](words(full_parser()))]
    if out.json:
        out.object({"script": "\n".join(lines) + "\n"})
    for line in () if out.json else lines:
        out.line(line)
    return Exit.OK


def words(parser: Parser, typed: tuple[str, ...] = ()) -> Words:
    """The words that may follow each verb."""
    known = parser.verbs.known if parser.verbs else {}
    follow = [(name, sentence) for name, (sentence, _) in known.items()]
    for action in parser.arguments:
        follow += [(name, help_text(action)) for name in action.option_strings if name.startswith("--")]
        if not action.option_strings:
            follow += [(str(choice), "") for choice in action.choices or ()]
    follow += [(name, "") for name in _GLOBAL]
    found: Words = {typed: follow}
    for name, (_, verb) in known.items():
        found |= words(verb, (*typed, name))
    return found


def _bash(table: Words) -> Iterator[str]:
    """A bash function that follows the verbs typed so far and offers the next words; file names where none matches."""
    yield "_spine() {"
    yield '    local cur="${COMP_WORDS[COMP_CWORD]}" path="" next word words'
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield '        next="${path:+$path }$word"'
    yield '        case "$next" in'
    yield f'            {"|".join(_quoted(typed) for typed in table if typed)}) path="$next" ;;'
    yield "        esac"
    yield "    done"
    yield '    case "$path" in'
    for typed, follow in table.items():
        yield f"        {_quoted(typed)}) words={_single(' '.join(name for name, _ in follow))} ;;"
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield "}"
    yield "complete -o default -F _spine spine"


def _zsh(table: Words) -> Iterator[str]:
    """The same for zsh, with the help of each word."""
    yield "#compdef spine"
    yield "_spine() {"
    yield '    local path="" next word'
    yield "    local -a found"
    yield "    for word in ${words[2,CURRENT-1]}; do"
    yield '        next="${path:+$path }$word"'
    yield '        case "$next" in'
    yield f'            {"|".join(_quoted(typed) for typed in table if typed)}) path="$next" ;;'
    yield "        esac"
    yield "    done"
    yield '    case "$path" in'
    for typed, follow in table.items():
        listed = " ".join(_single(f"{name}:{_plain(help_)}") for name, help_ in follow)
        yield f"        {_quoted(typed)}) found=({listed}) ;;"
    yield "    esac"
    yield "    _describe 'spine' found || _files"
    yield "}"
    yield "compdef _spine spine"


def _fish(table: Words) -> Iterator[str]:
    """The same for fish: one line for each word, with the verbs typed so far as its condition."""
    for typed, follow in table.items():
        deeper = sorted({path[-1] for path in table if path and path[:-1] == typed})
        guards = [f"__fish_seen_subcommand_from {name}" for name in typed]
        guards += [f"not __fish_seen_subcommand_from {' '.join(deeper)}"] if deeper else []
        guard = _single("; and ".join(guards))
        for name, help_ in follow:
            option = f"-l {name[2:]}" if name.startswith("--") else f"-a {name}"
            yield f"complete -c spine -n {guard} {option} -d {_single(_plain(help_))}"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _quoted(typed: tuple[str, ...]) -> str:
    return f'"{" ".join(typed)}"'


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _plain(text: str) -> str:
    return text.replace(":", " ").replace("`", "").replace("\n", " ")
