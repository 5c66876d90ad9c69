"""``spine console``: its options, and the start of the app. Importing this module does not import Textual."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, Any

from modelspine.errors import BadInput
from modelspine.text import visible
from modelspine_console.action import SCREENS
from modelspine_console.web import DRIVER

if TYPE_CHECKING:
    from modelspine.spine import Spine
    from modelspine_console.app import Console
    from modelspine_console.data.source import Clock


_FIRST = "home"
"""The screen that is opened where none was open before."""
_COLOUR_SYSTEM = "TEXTUAL_COLOR_SYSTEM"


def command(subparsers: Any) -> None:
    """Add ``console`` to the parsers of ``spine``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "console", help="the terminal console", description="Open the terminal console on this project."
    )
    parser.add_argument("--incident", metavar="ID", help="open the incident walk of this request")
    parser.add_argument(
        "--screen", choices=[name for _, name, _ in SCREENS], help="the screen to open first (default the last one)"
    )
    parser.add_argument("--project", metavar="NAME", help="open this project of your list; `:ctx` switches to others")
    parser.add_argument(
        "--write", action="store_true", help="start in write mode, as `:rw` does; ends after 10 idle minutes"
    )
    parser.add_argument(
        "--demo", action="store_true", help="show a bundled store with a simulated week instead of this project"
    )
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    _add_web(parser, "; read-only unless --write is given")
    parser.set_defaults(run=run, writes=False)


def demo_command(subparsers: Any) -> None:
    """Add ``demo`` to the parsers of ``spine``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="the console on a bundled store; needs no project",
        description="Open the console on a bundled store with a simulated week. It is unpacked into\n"
        "a temporary folder, which is removed at the end.",
    )
    _add_web(parser)
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    parser.set_defaults(run=run, writes=False, demo=True, write=False, incident=None, screen=None, project=None)


def _add_web(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Add the options for a browser."""
    parser.add_argument("--web", action="store_true", help=f"serve it to one browser on this machine{more}")
    parser.add_argument("--port", type=int, metavar="N", help="with --web: the port; 0 picks a free one (default 8000)")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Open the console in this terminal, or serve it to a browser; returns the exit code.

    Raises:
        BadInput: there is no terminal, or an option does not apply.
    """
    if args.port is not None and not args.web:
        raise BadInput("--port needs --web", "omit --port, or add --web to see the console in a browser")
    if args.demo and args.write:
        raise BadInput("the demo is read-only", "omit --write; `./run demo` makes a project that can be changed")
    if args.project is not None:
        from modelspine.projects import settings_of
        from modelspine.spine import Spine

        if args.demo:
            raise BadInput("the demo is no project of the list", "omit --project or --demo")
        with Spine(settings_of(args.project, os.environ), readonly=True) as listed:
            return _serve(args, listed) if args.web else _open(args, listed)
    if args.web:
        return _serve(args, spine)
    if not args.demo:
        return _open(args, spine)
    from modelspine.spine import Spine
    from modelspine_console.demo import DemoClock, demo

    with demo() as settings, Spine(settings, readonly=True) as shown:
        return _open(args, shown, DemoClock())


def _serve(args: argparse.Namespace, spine: Spine) -> int:
    """Serve consoles that are started with the same options."""
    from modelspine_console.web.start import run as serve

    if not args.demo:
        spine.ledger.head()  # without a ledger it fails here, and not on every page
    words = ["--root", str(spine.settings.root), *(["--no-color"] if getattr(args, "no_color", False) else [])]
    words += ["console", *(["--screen", args.screen] if args.screen else [])]
    words += ["--project", args.project] if args.project else []
    words += ["--incident", args.incident] if args.incident else []
    return serve(args, words + [f"--{flag}" for flag in ("write", "demo", "ascii") if getattr(args, flag)])


def _open(args: argparse.Namespace, spine: Spine, demo_clock: Clock | None = None) -> int:
    """Open the console in this terminal, or in the browser that started this process."""
    web = os.environ.get("TEXTUAL_DRIVER") == DRIVER
    if not web and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(
            "the console needs a terminal",
            "each screen has an equivalent command: spine list, lineage, route, drift, cost, incident, history",
        )
    if web:
        from modelspine_console.web.orphan import end_with_parent

        end_with_parent()
    depth = "truecolor" if web else _colour_depth(os.environ)
    os.environ[_COLOUR_SYSTEM] = depth  # Textual reads it when it is imported, and knows fewer terminals
    from modelspine_console.data.state import state_file, write_state

    _favour_keys()
    app = _console(args, spine, demo_clock, depth=depth, web=web)
    code = app.run()
    if not app.demo:
        state = app.look.remembered(app.views.values(), app.prompt, app.trail[-1] if app.trail else "")
        write_state(state_file(os.environ), state)
    if app.write_mode.parting:
        sys.stderr.write(f"{app.write_mode.parting}\n")
    return app.return_code or 0 if code is None else code


def _favour_keys() -> None:
    """Keep a key from waiting for the threads that read the stores, and for the garbage collector.

    A large ledger is a million objects. Python would look at all of them again and again while they are read, and stop
    everything for up to a second each time. They hold no circles, so nothing is lost by looking at them rarely.
    """
    sys.setswitchinterval(0.0005)
    gc.set_threshold(5_000, 10, 500)


def _console(args: argparse.Namespace, spine: Spine, demo_clock: Clock | None, *, depth: str, web: bool) -> Console:
    """The app, as the options, the settings and the last start want it."""
    from modelspine_console.app import Console
    from modelspine_console.controllers.rebinding import rebound
    from modelspine_console.data.preferences import preferences_file, read_preferences
    from modelspine_console.data.source import Source, utc_now
    from modelspine_console.data.state import read_state, starting, state_file
    from modelspine_console.draw.theme import NAMES
    from modelspine_console.keymap import ACTIONS
    from modelspine_console.writes.changes import Changes

    demo, file = demo_clock is not None, preferences_file(os.environ)
    preferences, (state, wrong) = read_preferences(file), read_state(state_file(os.environ))
    if preferences.theme not in ("", *NAMES):
        raise BadInput(f"{file}: there is no theme {visible(preferences.theme, 40)}", f"available: {', '.join(NAMES)}")
    state = starting(state, preferences.theme, args.ascii or preferences.ascii, demo=demo)
    last = state.screen if state.screen in {name for _, name, _ in SCREENS} else _FIRST
    screen, argument = ("incident", args.incident) if args.incident else (args.screen or last, "")
    no_colour = bool(os.environ.get("NO_COLOR")) or bool(getattr(args, "no_color", False))
    # In a terminal `:rw` starts write mode at any time. In a browser that is decided when the server is started.
    may_write = not demo and (args.write or not web)
    return Console(
        Source(spine),
        changes=Changes(spine) if may_write else None,
        write=args.write,
        screen=screen,
        argument=argument,
        clock=demo_clock or utc_now,
        demo=demo,
        project=args.project or "",
        plain=no_colour or depth == "standard",
        indexed=depth == "256",
        quit_after=os.environ.get("SPINE_CONSOLE_QUIT", ""),
        state=state,
        warning=wrong,
        actions=rebound(ACTIONS, preferences.keys, str(file)),
    )


def _colour_depth(environ: os._Environ[str]) -> str:
    """How many colours the terminal has, by Rich's names: ``truecolor``, ``256`` or ``standard``, which is sixteen."""
    term = environ.get("TERM", "")
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    if term.endswith(("direct", "kitty", "ghostty", "alacritty")):
        return "truecolor"
    return "256" if term.endswith("256color") else "standard"
