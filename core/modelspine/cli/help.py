"""``spine help``, and the page ``docs/CLI.md`` that is made of the same record."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from modelspine.cli.output import Out
from modelspine.cli.parser import Parser, Verbs, told
from modelspine.cli.verbs import everything, one
from modelspine.errors import BadInput, Exit
from modelspine.spine import Spine
from modelspine.text import visible

_TOP = """\
# The command line

Made by `spine help --markdown`; a test fails when this page is stale.

REF is a SHA prefix of at least 4 digits, a semver or `production`. TIME is ISO 8601, UTC unless it says
otherwise; a bare day means its end. Every command takes `--json`, `--root DIR` (the project's folder) and
`--no-color`; `NO_COLOR` counts too, `SPINE_QUIET` silences progress.

What goes wrong is two lines on stderr: what is wrong, and what to do. With `--json`, stdout gets the same as
`{"error": {"code", "kind", "message", "hint"}}`. A reader that goes away early changes nothing about what a
command does, nor its exit code.

| exit | means |
|---|---|
| 0 | done |
| 1 | refused: the rules do not allow it |
| 2 | usage or bad input, an unknown REF or id |
| 3 | a backend is unavailable, or spine met what it did not expect |
| 4 | conflict: the state moved, nothing was changed |
| 5 | a hash does not match |
| 130 | interrupted |
"""


def command(verbs: Verbs) -> None:
    """Add ``help``."""
    parser = verbs.add("help", "show what there is, or one command", run, example="spine help promote")
    parser.add_argument("topic", metavar="VERB", nargs="*", help="such as: route single")
    parser.add_argument("--markdown", action="store_true", help="print the whole reference as a page")


def run(args: argparse.Namespace, _spine: Spine) -> int:
    """Show help."""
    out, text = Out.of(args), _text(args)
    if out.json:
        out.object({"text": text})
    else:
        out.write(text)
    return Exit.OK


def _text(args: argparse.Namespace) -> str:
    if args.markdown:
        return "\n".join(page(everything().parser)) + "\n"
    if not args.topic:
        grammar = everything()
        broken = (f"the command {visible(n)!r} does not load: {why}\n" for n, why in grammar.broken.items())
        return grammar.parser.format_help() + "".join(broken)
    parser = one(args.topic[0]).parser
    for word in args.topic:
        known = parser.verbs.known if parser.verbs else {}
        if word not in known:
            raise BadInput(
                f"there is no command {visible(' '.join(args.topic), 60)!r}", f"`{parser.prog} --help` lists them"
            )
        parser = known[word][1]
    return parser.format_help()


def leaves(parser: Parser) -> Iterator[tuple[str, Parser]]:
    """Every command that can be run, with its sentence."""
    for sentence, verb in parser.verbs.known.values() if parser.verbs else ():
        if verb.verbs is None:
            yield sentence, verb
        else:
            yield from leaves(verb)


def page(parser: Parser) -> Iterator[str]:
    """The lines of ``docs/CLI.md``."""
    yield _TOP
    yield "| command | what it does |"
    yield "|---|---|"
    for sentence, verb in leaves(parser):
        yield f"| `{_cell(verb.synopsis())}` | {_cell(sentence)} |"
    for _, verb in leaves(parser):
        yield ""
        yield f"## {verb.prog}"
        yield ""
        yield f"{verb.description}"
        rows = [a for a in verb.arguments if a.help]
        if rows:
            yield ""
            yield "| argument | |"
            yield "|---|---|"
        for action in rows:
            name = " ".join(filter(None, [", ".join(action.option_strings), _value(action)]))
            yield f"| `{_cell(name)}` | {_cell(told(action))} |"
        if verb.epilog:
            yield ""
            yield "```"
            yield verb.epilog.partition("\n")[2].strip()
            yield "```"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return str(action.metavar or "|".join(action.choices or ()) or action.dest.upper())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
