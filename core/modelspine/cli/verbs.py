"""The verbs of ``spine``, and the parser of a command line.

A function ``command(subparsers)`` adds a verb: one in a module of this package, or one that another package
registers in the entry-point group ``spine.commands``. To start fast, only the module of the verb on the command
line is imported, and entry points are looked up only for a verb that is not built in. The module does not know
what a verb does.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelspine.cli.parser import Parser, Verbs
from modelspine.errors import BadInput, Unavailable
from modelspine.text import visible

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FAMILIES = {
    "start": {"init": "init", "workload": "workload", "info": "info"},
    "ship": {"register": "register", "evaluate": "evaluate", "baseline": "baseline", "gate": "gate",
             "promote": "promotion", "keys": "keys"},
    "route": {"route": "route", "assign": "assign", "rollback": "promotion", "release": "promotion",
              "tombstone": "promotion"},
    "look": {"list": "entries", "show": "entries", "diff": "bundles", "sha": "bundles", "history": "history",
             "traces": "traces", "labels": "labels", "drift": "drift", "cost": "cost"},
    "find evidence": {"incident": "incident", "lineage": "lineage", "impact": "lineage", "corpus": "corpus",
                      "verify": "verify", "note": "promotion"},
    "maintain": {"backup": "backup", "restore": "backup", "migrate": "migrate", "completion": "completion"},
}  # fmt: skip
"""What people do → its built-in verbs, each with the module of this package that adds it."""
VERBS = {verb: module for family in FAMILIES.values() for verb, module in family.items()}
REPLACED = {
    ("whois",): "spine show PATH|DIGEST",
    ("help",): "spine --help",
    ("candidate",): "spine gate --candidate candidate.toml",
    ("route", "weight"): "spine route advance --weight BP",
}
"""Commands of earlier versions, each with the one that does the same today."""
SHORT = {"eval": "evaluate"}
"""Another spelling of a verb → the verb."""

GROUP = "spine.commands"
SUMMARY = "Identity, history and evidence of a small-model service."
EPILOG = """\
REF is a SHA prefix of at least 4 digits, a semver or `production`.
`spine VERB --help` describes a verb, `spine info` shows the settings in force.

exit codes: 0 ok, 1 refused, 2 usage or bad input, 3 a backend is unavailable,
            4 the state moved, 5 a hash does not match, 130 interrupted
"""


class TopParser(Parser):
    """The parser of ``spine`` itself: its help lists the verbs by what people do."""

    broken: dict[str, str]

    def format_help(self) -> str:
        """The first screen, at most 80 columns wide."""
        known = self.verbs.known if self.verbs else {}
        others = tuple(name for name in known if name not in VERBS)
        lines = ["usage: spine [--json] [--root DIR] [--no-color] VERB ...", "", SUMMARY]
        for title, names in [*FAMILIES.items(), *([("more", others)] if others else [])]:
            lines += ["", f"{title}:"]
            lines += [f"  {name:<11} {known[name][0]}" for name in names if name in known]
        lines += ["", EPILOG.rstrip()]
        lines += [f"the command {visible(name)!r} does not load: {why}" for name, why in self.broken.items()]
        return "\n".join(lines) + "\n"


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; the result's ``run`` is to be called with the result and the open spine.

    Raises:
        BadInput: it is not a command line of ``spine``.
        Unavailable: the verb belongs to a package that does not load.
    """
    words = _spelled_out(words)
    typed = list(_without_flags(words))
    # `spine -h list` asks for the first screen: it needs every verb.
    first = next(iter(words), "") if typed else ""
    parser = verb_parser(typed[0]) if typed and first not in ("-h", "--help") else full_parser()
    new = REPLACED.get(tuple(typed[:2]))
    if typed[:2] == ["route", "weight"] and (given := _as_advance(words)) is not None:
        words = given
    elif new is not None:
        raise BadInput(f"there is no command {visible(' '.join(typed[:2]), 40)!r}", f"use `{new}`")
    beside = _beside(parser, words)
    found, unknown = beside if beside is not None else parser.parse_known_args(list(words) or ["--help"])
    if unknown:
        raise BadInput(f"unknown arguments: {visible(' '.join(unknown), 200)}", _way_out(parser, typed, unknown))
    return found


def _way_out(parser: Parser, typed: Sequence[str], unknown: Sequence[str]) -> str:
    """What to do about unknown arguments: the help of the command that was reached, and how it takes a day."""
    if not typed:
        return "`spine --help` lists the commands"
    for word in typed:
        if parser.verbs is None or word not in parser.verbs.known:
            break
        parser = parser.verbs.known[word][1]
    takes_day = any("--day" in action.option_strings for action in parser.arguments)
    given = next((word for word in unknown if takes_day and _DAY.fullmatch(word)), None)
    day = f"a day is given as `--day {given}`; " if given is not None else ""
    return f"{day}`{parser.prog} --help` shows the usage"


def _spelled_out(words: Sequence[str]) -> list[str]:
    """The words with the verb in its full spelling."""
    at = next((at for at, _ in _numbered(words)), None)
    return [SHORT.get(word, word) if number == at else word for number, word in enumerate(words)]


def _beside(parser: TopParser, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]] | None:
    """The command line read by a verb that another verb has beside its own arguments, such as ``evaluate import``."""
    (first, verb), (second, word) = [*_numbered(words), (-1, ""), (-1, "")][:2]
    known = parser.verbs.known if parser.verbs else {}
    own = known[verb][1] if verb in known else None
    # Only directly after its verb: behind an option, the word may be that option's value.
    if own is None or own.verbs is None or word not in own.verbs.known or second != first + 1 or not _has_run(own):
        return None
    rest = [*words[:first], *words[second + 1 :]]
    return own.verbs.known[word][1].parse_known_args(rest)


def _has_run(parser: Parser) -> bool:
    """Whether a verb can be run itself, so that its own verbs stand beside its arguments."""
    return parser.get_default("run") is not None


def _as_advance(words: Sequence[str]) -> list[str] | None:
    """``route weight BP`` of earlier versions, which scripts still use, as ``route advance --weight BP``."""
    at = list(words).index("weight")
    if words[at + 1 : at + 2] and not words[at + 1].startswith("-"):
        return [*words[:at], "advance", "--weight", *words[at + 1 :]]
    return None


def verb_parser(verb: str) -> TopParser:
    """The parser of ``spine`` with one verb.

    Raises:
        BadInput: there is no such verb.
        Unavailable: its package does not load.
    """
    parser, add = _empty()
    if verb in VERBS:
        import_module(f"modelspine.cli.{VERBS[verb]}").command(add)
        return parser
    for point in _points():
        if point.name == verb:
            try:
                point.load()(add)
            except ImportError as error:
                raise Unavailable(
                    f"the command {verb!r} does not load: {visible(str(error), 120)}",
                    "install the project again, then repeat the command",
                ) from error
            return parser
    raise BadInput(f"there is no command {visible(verb, 40)!r}", _nearest(verb))


def full_parser() -> TopParser:
    """The parser of ``spine`` with every verb; its help names the entry points that do not load."""
    parser, add = _empty()
    for module in dict.fromkeys(VERBS.values()):
        import_module(f"modelspine.cli.{module}").command(add)
    for point in _points():
        try:
            point.load()(add)
        except Exception as error:  # noqa: BLE001  (another package's module; the other verbs must still work)
            parser.broken[str(point.name)] = visible(str(error), 120)
    return parser


def _empty() -> tuple[TopParser, Verbs]:
    parser = TopParser(prog="spine")
    parser.broken = {}
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    return parser, parser.add_verbs()


class _Version(argparse.Action):
    """Print the version, and stop. Looking it up takes milliseconds, so that it happens only here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it."""
        from importlib.metadata import version

        sys.stdout.write(f"spine {version('modelspine')}\n")
        parser.exit()


def verb_of(words: Sequence[str]) -> str | None:
    """The verb of a command line: its first word that is neither a flag nor the value of ``--root``."""
    return next(_without_flags(_spelled_out(words)), None)


def _without_flags(words: Sequence[str]) -> Iterator[str]:
    """The words that are no flags; of the flags' values, only that of ``--root`` is known and left out."""
    return (word for _, word in _numbered(words))


def _numbered(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The words of ``_without_flags``, each with its place on the command line."""
    rest = enumerate(words)
    for at, word in rest:
        if word == "--root":
            next(rest, None)
        elif not word.startswith("-"):
            yield at, word


def _points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _nearest(verb: str) -> str:
    import difflib

    if (verb,) in REPLACED:
        return f"use `{REPLACED[verb,]}`"
    names = [*VERBS, *(point.name for point in _points())]
    near = difflib.get_close_matches(verb, names, 1)
    return f"did you mean `spine {near[0]}`?" if near else "`spine --help` lists the commands"
