"""Run one command, and turn whatever happens into an exit code and at most two lines on stderr.

It does not know what any verb does.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelspine.cli.errors import as_spine_error, fail, print_error, print_note
from modelspine.cli.ledger_notice import ledger_notice
from modelspine.cli.output import detach_stdout
from modelspine.cli.parser import AFTER, AT
from modelspine.cli.verbs import VERBS, parse, verb_of
from modelspine.errors import BadInput, Exit, SpineError
from modelspine.ledger.moments import before_start, moment_of
from modelspine.settings import load
from modelspine.spine import Spine
from modelspine.text import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``spine`` with these words (default: the process's own) and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    code = _exit_code(words)
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return _code_after_failed_flush(error, code)
    return code


def _exit_code(words: Sequence[str]) -> int:
    try:
        return _command(words)
    except SystemExit as end:  # argparse, after --help
        return end.code if isinstance(end.code, int) else Exit.OK
    except BrokenPipeError as error:
        detach_stdout(error)
        return Exit.OK
    except KeyboardInterrupt:
        print_error("interrupted", "what was written to the ledger is kept; `spine history` shows it")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  (no exception may leave `main`)
        if os.environ.get("SPINE_DEBUG"):
            import traceback

            traceback.print_exc()
        # The command line may be what is wrong, so its words are searched and no parsed flag is asked.
        return fail(as_spine_error(error), as_json="--json" in words)


def _command(words: Sequence[str]) -> int:
    args = parse(words)
    with _open_spine(args) as spine, _without_gc(built_in=verb_of(words) in VERBS):
        notes = _resolve_times(args, spine)
        try:
            code = int(args.run(args, spine))
        except SpineError as error:
            error.hint = "; ".join([*notes, error.hint])
            raise
        finally:
            with contextlib.suppress(SpineError, OSError, ValueError):  # a remark must not replace the answer
                ledger_notice(spine, getattr(args, "at", None))
    for note in notes:
        print_note(note)
    return code


def _resolve_times(args: argparse.Namespace, spine: Spine) -> list[str]:
    """Replace the number of an event, given as a time, by its time; returns a sentence for each time before #1."""
    typed = {name: text for name in (AT, AFTER) if (text := getattr(args, name, None)) is not None}
    if not typed:
        return []
    events = spine.registry.events()
    for name, text in typed.items():
        setattr(args, name, moment_of(events, text))
    return [note for name in typed if (note := before_start(events, getattr(args, name)))]


@contextmanager
def _without_gc(*, built_in: bool) -> Iterator[None]:
    """Switch garbage collection off while a built-in verb runs: it ends before a collection would pay off."""
    enabled = gc.isenabled()
    if built_in:
        gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _open_spine(args: argparse.Namespace) -> Spine:
    """The spine of ``--root`` or of the working directory, opened read-only unless the command writes."""
    environ = dict(os.environ)
    root = getattr(args, "root", None)
    if root is not None:
        if not Path(root).is_dir():
            raise BadInput(f"--root {visible(root, 120)} is not a folder", "name the folder of the project")
        environ["SPINE_ROOT"] = str(Path(root).absolute())
    writes = getattr(args, "writes", True) and not getattr(args, "dry_run", False)
    return Spine(load(environ=environ), readonly=not writes)


def _open_streams() -> None:
    """Make every stream usable: a closed one reads or writes nothing, an unencodable character becomes ``?``."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller; its descriptor must not be given to a database file
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (until the process ends)
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _code_after_failed_flush(error: Exception, code: int) -> int:
    """The exit code after stdout could not be flushed: unchanged where only its reader went away."""
    try:
        detach_stdout(error)
    except SpineError as unwritten:
        return fail(unwritten, as_json=False)
    return code
