"""Which verbs ``spine`` has, and how a command line finds its own.

A verb is added by a function ``command(subparsers)``: one in a module of this package, or one that another
package offers under the entry-point group ``spine.commands``. Only the module of the verb asked for is
loaded, and entry points only where it is no built-in verb. It does not know what a verb does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.cli.parser import Parser, Verbs
from modelspine.errors import BadInput, Unavailable
from modelspine.text import visible

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

VERBS = {
    "init": "init",
    "info": "info",
    "register": "promotion",
    "candidate": "candidate",
    "evaluate": "evaluate",
    "gate": "gate",
    "keys": "keys",
    "promote": "promotion",
    "rollback": "promotion",
    "release": "promotion",
    "tombstone": "promotion",
    "note": "promotion",
    "route": "route",
    "list": "entries",
    "show": "entries",
    "history": "history",
    "sha": "bundles",
    "whois": "bundles",
    "diff": "bundles",
    "lineage": "lineage",
    "impact": "lineage",
    "corpus": "corpus",
    "traces": "traces",
    "drift": "drift",
    "cost": "cost",
    "incident": "incident",
    "verify": "verify",
    "backup": "backup",
    "restore": "backup",
    "completion": "completion",
    "help": "help",
}
"""Built-in verb → the module of this package that adds it, with its family."""

GROUP = "spine.commands"
SUMMARY = "Identity, history and evidence of a small-model service."
EPILOG = """\
REF is a SHA prefix of at least 4 digits, a semver or `production`.
`spine VERB --help` says more about a verb, `spine info` shows the settings in force.

exit codes: 0 ok, 1 refused, 2 usage or bad input, 3 a backend is unavailable,
            4 the state moved, 5 a hash does not match, 130 interrupted
"""


class Grammar(msgspec.Struct, frozen=True):
    """The parser of some verbs, and the entry points that did not load, with the reason."""

    parser: Parser
    broken: dict[str, str]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line; ``run`` is what to call with them and the spine.

    Raises:
        BadInput: it is not a command line of ``spine``.
        Unavailable: the verb belongs to a package that does not load.
    """
    verb = verb_of(words)
    grammar = everything() if verb is None else one(verb)
    return grammar.parser.parse_args(list(words) or ["--help"])


def one(verb: str) -> Grammar:
    """The grammar of one verb.

    Raises:
        BadInput: there is no such verb.
        Unavailable: its package does not load.
    """
    parser, add = _empty()
    if verb in VERBS:
        import_module(f"modelspine.cli.{VERBS[verb]}").command(add)
        return Grammar(parser, {})
    for point in _points():
        if point.name == verb:
            try:
                point.load()(add)
            except ImportError as error:
                raise Unavailable(
                    f"the command {verb!r} does not load: {visible(str(error), 120)}",
                    "install the project again, then repeat the command",
                ) from error
            return Grammar(parser, {})
    raise BadInput(f"there is no command {visible(verb, 40)!r}", _nearest(verb))


def everything() -> Grammar:
    """The grammar of every verb there is; an entry point that does not load is named and left out."""
    parser, add = _empty()
    for module in dict.fromkeys(VERBS.values()):
        import_module(f"modelspine.cli.{module}").command(add)
    broken = {}
    for point in _points():
        try:
            point.load()(add)
        except Exception as error:  # noqa: BLE001  (another package's module; the other verbs must still work)
            broken[str(point.name)] = visible(str(error), 120)
    return Grammar(parser, broken)


def _empty() -> tuple[Parser, Verbs]:
    parser = Parser(prog="spine", description=SUMMARY, epilog=EPILOG)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    return parser, parser.add_verbs()


class _Version(argparse.Action):
    """Print the version and stop; it is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it."""
        from importlib.metadata import version

        sys.stdout.write(f"spine {version('modelspine')}\n")
        parser.exit()


def verb_of(words: Sequence[str]) -> str | None:
    """The word that is the verb: the first one that is neither a flag nor the value of ``--root``."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == "--root":
            skip = True
        elif not word.startswith("-"):
            return word
    return None


def _points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _nearest(verb: str) -> str:
    import difflib

    names = [*VERBS, *(point.name for point in _points())]
    near = difflib.get_close_matches(verb, names, 1)
    return f"did you mean `spine {near[0]}`?" if near else "`spine help` lists the commands"
