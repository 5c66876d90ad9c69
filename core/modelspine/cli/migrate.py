"""``spine migrate``: take the stores of an earlier version over.

It does not know what the tables of a version are.
"""

from __future__ import annotations

import argparse

import msgspec

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Exit
from modelspine.ledger.store import storage_errors
from modelspine.spine import Spine
from modelspine.text import counted, visible

_NAMED = 5


def command(verbs: Verbs) -> None:
    """Add ``migrate``."""
    parser = verbs.add(
        "migrate", "take a trace store of an earlier version over", run,
        details="Stop the servers and take a backup first. Nothing is lost if it is killed: run it again. The old"
        " tables are dropped at the very end. Until then servers and readers refuse the store.",
        example="spine migrate",
    )  # fmt: skip
    parser.add_argument(
        "--without-closed-days",
        action="store_true",
        help="go on although files of closed days are missing; their requests are then in no figure",
    )


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Migrate the stores that the settings name."""
    from miniobserve.migrate import migrate

    out, settings = Out.of(args), spine.settings
    with storage_errors(), working("migrating") as progress:
        done = migrate(
            settings.traces, settings.parquet, step=progress.step, without_closed_days=args.without_closed_days
        )
    if out.json:
        out.object({"traces": None if done is None else msgspec.to_builtins(done)})
        return Exit.OK
    if done is None:
        out.line("the trace store is of this version; there is nothing to do")
        return Exit.OK
    out.line(
        f"took over {counted(done.requests, 'request')} and {done.feedback:,} rows of feedback;"
        f" the requests of {counted(done.closed_days, 'closed day')} stay in their files"
    )
    if done.unreadable:
        named = ", ".join(visible(name, 64) for name in done.unreadable[:_NAMED])
        out.line(
            f"{counted(len(done.unreadable), 'request')} could not be decoded; the table `unreadable` has them: {named}"
        )
    return Exit.OK
