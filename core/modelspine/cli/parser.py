"""The argument parser of every verb: two-line errors, the global flags, and a record of the arguments.

Help, the reference page and shell completion are generated from the record (``arguments``, ``verbs``).
The module does not know which verbs exist.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from modelspine import times
from modelspine.errors import BadInput
from modelspine.text import visible

AT, AFTER = "at", "after"
"""The arguments that hold a time as it was typed until ``cli.run`` resolves it, which may need the ledger."""
Run = Callable[..., int]
"""The function of a verb: it takes the parsed arguments and the open spine, and returns the exit code."""


class Parser(argparse.ArgumentParser):
    """A parser that raises ``BadInput`` instead of exiting, and adds the global flags."""

    def __init__(self, **settings: Any) -> None:
        self.arguments: list[argparse.Action] = []
        self.for_scripts: list[argparse.Action] = []
        self.verbs: Verbs | None = None
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, conflict_handler="resolve", **settings)
        # So that ``--at -3d`` is a value: argparse takes what begins with "-" for a flag unless this matches it.
        self._negative_number_matcher = re.compile(r"-\d+(\.\d+)?(s|m|min|h|d|w)?$")
        self.arguments.clear()  # argparse adds --help to every parser; the record leaves it out
        every = self.add_argument_group("for every command")
        every.add_argument("--help-all", action=_HelpAll, nargs=0, help=argparse.SUPPRESS)
        # argparse parses the words behind the verb into a new namespace; a default there would overwrite
        # the flag that was given before the verb.
        every.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
        every.add_argument("--root", metavar="DIR", default=argparse.SUPPRESS, help="the project's folder")
        every.add_argument("--no-color", action="store_true", default=argparse.SUPPRESS, help="print no colours")

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Add an argument and record it."""
        action = super().add_argument(*names, **settings)
        self.arguments.append(action)
        return action

    def add_script_argument(self, *names: Any, **settings: Any) -> None:
        """Add an option that mainly scripts use: ``--help-all`` and the reference page show it, ``--help`` does not."""
        self.for_scripts.append(self.add_argument(*names, **settings))

    def format_help(self) -> str:
        """The help for a person, without the options for scripts; it says how to see those."""
        if not self.for_scripts:
            return super().format_help()
        hidden = [(action, action.help) for action in self.for_scripts]
        for action, _ in hidden:
            action.help = argparse.SUPPRESS
        try:
            text = super().format_help()
        finally:
            for action, sentence in hidden:
                action.help = sentence
        return f"{text}\n`{self.prog} --help-all` also shows the options for scripts.\n"

    def format_full_help(self) -> str:
        """The help with every option."""
        return super().format_help()

    def add_verbs(self, metavar: str = "VERB") -> Verbs:
        """Give this parser verbs of its own."""
        self.verbs = Verbs(self.add_subparsers(metavar=metavar, required=True, parser_class=Parser))
        self.verbs.metavar = metavar
        return self.verbs

    def add_verbs_beside(self) -> Verbs:
        """Give this parser verbs beside its own arguments: ``cli.verbs.parse`` chooses one by the word that follows.

        argparse itself would read that word as an argument, so it never sees these verbs.
        """
        apart = Parser(prog=self.prog)
        self.verbs = Verbs(apart.add_subparsers(parser_class=Parser))
        return self.verbs

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse itself would hide that it could not be written, as to a full disk."""
        (file or sys.stdout).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse found in the command line."""
        if self.verbs is not None and message == f"the following arguments are required: {self.verbs.metavar}":
            raise BadInput(f"`{self.prog}` needs one of its commands", self.verbs.listed(self.prog))
        raise BadInput(visible(message, 300), f"`{self.prog} --help` shows the usage")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Say which commands there are instead of one that is none; argparse lists them as ``choices``."""
        if self.verbs is not None and action is self.verbs.action and value not in self.verbs.known:
            typed = visible(f"{self.prog} {value}", 60)
            raise BadInput(f"there is no command `{typed}`", self.verbs.listed(self.prog))
        super()._check_value(action, value)

    def synopsis(self) -> str:
        """The whole usage in one line, such as ``spine list [--at TIME]``."""
        return " ".join([self.prog, *(_shape(action) for action in self.arguments)])


class _HelpAll(argparse.Action):
    """Print the help with every option, and stop."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it."""
        sys.stdout.write(parser.format_full_help() if isinstance(parser, Parser) else parser.format_help())
        parser.exit()


class Verbs:
    """The verbs of one parser, by name. An entry point's ``command(subparsers)`` receives one."""

    metavar = "VERB"

    def __init__(self, action: Any) -> None:
        self.action = action
        self.known: dict[str, tuple[str, Parser]] = {}

    def add_parser(self, name: str, **settings: Any) -> Parser:
        """Add a verb as argparse does; unless a description is given, the sentence of ``help`` is the description."""
        sentence = str(settings.get("help") or name)
        settings.setdefault("description", f"{sentence[:1].upper()}{sentence[1:]}.")
        parser: Parser = self.action.add_parser(name, **settings)
        self.known[name] = (sentence, parser)
        return parser

    def listed(self, prog: str) -> str:
        """Which verbs there are, as a hint."""
        return f"there are {', '.join(self.known)}: `{prog} --help` says what they do"

    def add(
        self, name: str, sentence: str, run: Run | None = None,
        *, details: str = "", example: str = "", writes: bool = False,
    ) -> Parser:  # fmt: skip
        """Add a verb.

        Args:
            name: the verb.
            sentence: what it does, without a full stop; short enough for one line of the list of verbs.
            run: its function; None where it has verbs of its own.
            details: more sentences for its own help.
            example: a command line.
            writes: whether it appends to the ledger.
        """
        # The formatter prints descriptions as they are, so that the example keeps its lines.
        description = textwrap.fill(" ".join(filter(None, [f"{sentence[:1].upper()}{sentence[1:]}.", details])), 78)
        epilog = f"example:\n  {example}" if example else None
        parser = self.add_parser(name, help=sentence, description=description, epilog=epilog)
        if run is not None:
            parser.set_defaults(run=run, writes=writes)
        return parser


def count(text: str) -> int:
    """Parse a whole number from 0 to 999,999,999, for ``type=``.

    Raises:
        BadInput: the text is not such a number.
    """
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise BadInput(f"{visible(text, 40)!r} is not a whole number from 0", "write it as digits, such as 20")


def day(text: str) -> str:
    """A day, for ``type=``; see ``times.day``.

    Raises:
        BadInput: it is not one.
    """
    return times.day(text)


def at_flag(parser: argparse._ActionsContainer, sentence: str = "the state at this time") -> None:
    """Add ``--at TIME``. ``cli.run`` replaces the number of an event by its time, which needs the ledger."""
    parser.add_argument("--at", type=time_or_event, metavar="TIME", help=sentence)


def time_or_event(text: str) -> str:
    """A time in the ledger's format, or an event such as ``#16`` as it was typed, for ``type=``.

    Raises:
        BadInput: it is neither.
    """
    return text.strip() if times.event_number(text) is not None else times.moment(text)


def change_flags(parser: Parser, *, reason: bool = True, expect: bool = True) -> None:
    """Add the options of a verb that appends to the ledger."""
    if reason:
        parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason, recorded in the ledger")
    parser.add_script_argument(
        "--key", metavar="K", help="idempotency key: a repeated command with the same key appends nothing"
    )
    if expect:
        parser.add_script_argument(
            "--expect", type=count, metavar="SEQ", help="change nothing (exit 4) unless the newest event has this seq"
        )


def help_text(action: argparse.Action) -> str:
    """The help of an argument as argparse prints it: ``%%`` in the source is one per cent sign."""
    return (action.help or "").replace("%%", "%")


def _shape(action: argparse.Action) -> str:
    """One argument of a synopsis."""
    names = action.option_strings
    value = action.metavar or "|".join(action.choices or ()) or action.dest.upper()
    shape = " ".join([*names[-1:], *([str(value)] if action.nargs != 0 else [])])
    optional = not action.required or action.nargs in ("?", "*")
    return f"[{shape}]{'…' if isinstance(action, argparse._AppendAction) else ''}" if optional else shape  # noqa: SLF001
