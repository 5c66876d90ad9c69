"""The parser every verb is added to: two-line errors, the global flags, and a record of what was added.

The record (``arguments``, ``verbs``) is what help, the reference page and shell completion are made from.
It does not know which verbs there are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from modelspine.errors import BadInput
from modelspine.text import visible

Run = Callable[..., int]
"""What a verb runs: its arguments and the open spine in, the exit code out."""


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting, and has the global flags."""

    def __init__(self, **settings: Any) -> None:
        self.arguments: list[argparse.Action] = []
        self.verbs: Verbs | None = None
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, conflict_handler="resolve", **settings)
        self.arguments.clear()  # of --help, which every parser has
        every = self.add_argument_group("for every command")
        # Without a default here, a flag before the verb is not undone by its absence behind it.
        every.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
        every.add_argument("--root", metavar="DIR", default=argparse.SUPPRESS, help="the project's folder")
        every.add_argument("--no-color", action="store_true", default=argparse.SUPPRESS, help="print no colours")

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Add an argument, and remember it."""
        action = super().add_argument(*names, **settings)
        self.arguments.append(action)
        return action

    def add_verbs(self, metavar: str = "VERB") -> Verbs:
        """Make this the parser of several verbs."""
        self.verbs = Verbs(self.add_subparsers(metavar=metavar, required=True, parser_class=Parser))
        return self.verbs

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong with the command line."""
        raise BadInput(visible(message, 300), f"`{self.prog} --help` shows how it is used")

    def synopsis(self) -> str:
        """The command line in one line, such as ``spine list [--at TIME]``."""
        return " ".join([self.prog, *(_shape(action) for action in self.arguments)])


class Verbs:
    """The verbs of one parser, by name. ``command(subparsers)`` of an entry point is given one of these."""

    def __init__(self, action: Any) -> None:
        self._action = action
        self.known: dict[str, tuple[str, Parser]] = {}

    def add_parser(self, name: str, **settings: Any) -> Parser:
        """Add a verb as argparse does; the sentence of ``help`` also heads its own help."""
        sentence = str(settings.get("help") or name)
        settings.setdefault("description", f"{sentence[:1].upper()}{sentence[1:]}.")
        parser: Parser = self._action.add_parser(name, **settings)
        self.known[name] = (sentence, parser)
        return parser

    def add(
        self, name: str, sentence: str, run: Run | None = None, *, example: str = "", writes: bool = False
    ) -> Parser:
        """Add a verb with its one sentence, an example, what it runs, and whether it writes into the ledger."""
        parser = self.add_parser(name, help=sentence, epilog=f"example:\n  {example}" if example else None)
        if run is not None:
            parser.set_defaults(run=run, writes=writes)
        return parser


def count(text: str) -> int:
    """A whole number from 0, for ``type=``.

    Raises:
        BadInput: it is not one.
    """
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise BadInput(f"{visible(text, 40)!r} is not a whole number from 0", "write it as digits, such as 20")


def change_flags(parser: Parser, *, reason: bool = True, expect: bool = True) -> None:
    """The flags of a verb that changes something."""
    if reason:
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands in the ledger for good")
    parser.add_argument("--key", metavar="K", help="idempotency key: the same key again is the same event")
    if expect:
        parser.add_argument(
            "--expect", type=count, metavar="SEQ", help="change nothing (exit 4) unless this is the ledger's newest seq"
        )


def told(action: argparse.Action) -> str:
    """What help prints of an argument: argparse doubles each per cent sign in its source."""
    return (action.help or "").replace("%%", "%")


def _shape(action: argparse.Action) -> str:
    """One argument as a synopsis shows it."""
    names = action.option_strings
    value = action.metavar or "|".join(action.choices or ()) or action.dest.upper()
    shape = " ".join([*names[-1:], *([str(value)] if action.nargs != 0 else [])])
    optional = not action.required or action.nargs in ("?", "*")
    return f"[{shape}]{'…' if isinstance(action, argparse._AppendAction) else ''}" if optional else shape  # noqa: SLF001
