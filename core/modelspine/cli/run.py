"""Run one command and turn whatever happens into an exit code and two lines.

It does not know what any verb does.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelspine.cli.errors import as_spine_error, fail, say
from modelspine.cli.output import lost
from modelspine.cli.verbs import VERBS, parse, verb_of
from modelspine.errors import BadInput, Exit, SpineError
from modelspine.settings import load
from modelspine.spine import Spine
from modelspine.text import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``spine`` with these words (default: the process's own) and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    code = _guarded(words)
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return _unflushed(error, code)
    return code


def _guarded(words: Sequence[str]) -> int:
    try:
        return _command(words)
    except SystemExit as end:  # argparse, after --help
        return end.code if isinstance(end.code, int) else Exit.OK
    except BrokenPipeError as error:
        lost(error)
        return Exit.OK
    except KeyboardInterrupt:
        say("interrupted", "what the ledger acknowledged stays; `spine history` shows it")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the last line of defence: it becomes two lines and a code)
        if os.environ.get("SPINE_DEBUG"):
            import traceback

            traceback.print_exc()
        known = as_spine_error(error)
        return fail(known, as_json="--json" in words)


def _command(words: Sequence[str]) -> int:
    args = parse(words)
    with _spine(args) as spine, _uncollected(built_in=verb_of(words) in VERBS):
        return int(args.run(args, spine))


@contextmanager
def _uncollected(*, built_in: bool) -> Iterator[None]:
    """Collect no garbage while a built-in verb runs: it is over before that pays."""
    was = gc.isenabled()
    if built_in:
        gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _spine(args: argparse.Namespace) -> Spine:
    """The spine of ``--root`` or of the working directory; for reading only unless the verb writes."""
    environ = dict(os.environ)
    root = getattr(args, "root", None)
    if root is not None:
        if not Path(root).is_dir():
            raise BadInput(f"--root {visible(root, 120)} is not a folder", "name the folder of the project")
        environ["SPINE_ROOT"] = str(Path(root).absolute())
    return Spine(load(environ=environ), readonly=not getattr(args, "writes", True))


def _open_streams() -> None:
    """Make every stream writable: one that the caller closed leads nowhere, one that lacks a sign shows ``?``."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller; the descriptor must not become a database's
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (until the process ends)
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _unflushed(error: Exception, code: int) -> int:
    """The exit code after an answer that could not be written out: the same where only its reader went away."""
    try:
        lost(error)
    except SpineError as known:
        say(known.message, known.hint)
        return int(known.code)
    return code
