"""``spine console``: its options, and the start of the app. Importing this module does not import Textual."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from modelspine_console.action import SCREENS

if TYPE_CHECKING:
    from modelspine.spine import Spine


def command(subparsers: Any) -> None:
    """Add the command to the parsers of ``spine``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "console", help="the terminal console", description="Open the terminal console on this project."
    )
    parser.add_argument("--incident", metavar="ID", help="open the incident walk of this request")
    parser.add_argument(
        "--screen", choices=[name for _, name, _ in SCREENS], default="registry", help="the screen to open first"
    )
    parser.add_argument(
        "--write", action="store_true", help="start in write mode, as `:rw` does; ends after 10 idle minutes"
    )
    parser.set_defaults(run=run, writes=False)


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Open the console; returns the exit code."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        from modelspine.errors import BadInput

        raise BadInput(
            "the console needs a terminal",
            "each screen has an equivalent command: spine list, lineage, route, drift, cost, incident, history",
        )
    from modelspine_console.app import Console
    from modelspine_console.data.source import Source
    from modelspine_console.writes.changes import Changes

    screen, argument = ("incident", args.incident) if args.incident else (args.screen, "")
    plain = bool(os.environ.get("NO_COLOR")) or bool(getattr(args, "no_color", False)) or _few_colours(os.environ)
    app = Console(
        Source(spine),
        changes=Changes(spine),
        write=args.write,
        screen=screen,
        argument=argument,
        plain=plain,
        quit_after=os.environ.get("SPINE_CONSOLE_QUIT", ""),
    )
    code = app.run()
    if app.write_mode.parting:
        sys.stderr.write(f"{app.write_mode.parting}\n")
    return app.return_code or 0 if code is None else code


def _few_colours(environ: os._Environ[str]) -> bool:
    """Whether the terminal reports sixteen colours or fewer."""
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return False
    term = environ.get("TERM", "")
    return not term.endswith(("256color", "direct", "kitty", "ghostty", "alacritty"))
