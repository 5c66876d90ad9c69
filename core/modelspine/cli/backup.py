"""``spine backup`` and ``spine restore``: a project's stores into one file, and back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from modelspine.cli.output import Out, status_cell
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.cli.verify import run_checks
from modelspine.errors import BadInput, Exit
from modelspine.maintenance.backup import OPTIONAL, Part, backup
from modelspine.maintenance.restore import restore
from modelspine.settings import load
from modelspine.spine import Spine
from modelspine.text import size, visible


def command(verbs: Verbs) -> None:
    """Add ``backup`` and ``restore``."""
    keep = verbs.add(
        "backup", "back up all stores into one file while the service runs", run,
        details="The stores are ledger, traces with their files, cache, MLflow store and drift reports. Ledger and "
        "traces may be on PostgreSQL. An MLflow server, and closed days and kept files in a bucket, are not included.",
        example="spine backup spine-2026-11-22.tar.gz",
    )  # fmt: skip
    keep.add_argument("file", metavar="F", type=Path, help="a tar archive; a name that ends in .gz compresses it")
    keep.add_argument(
        "--without", action="append", default=[], choices=OPTIONAL, metavar="PART",
        help=f"leave out a part that is stored elsewhere: {', '.join(OPTIONAL)}; may be repeated",
    )  # fmt: skip
    back = verbs.add(
        "restore", "restore a backup into an empty project and verify it", run_restore,
        details="Ledger and traces go where the project's settings lead, also to an empty schema of PostgreSQL.",
        example="spine restore spine-2026-11-22.tar.gz --into /srv/spine",
    )  # fmt: skip
    back.add_argument("file", metavar="F", type=Path, help="a file that `spine backup` wrote")
    back.add_argument(
        "--into", metavar="DIR", type=Path, help="an empty folder that becomes the project (default: this project)"
    )


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Take a backup."""
    out = Out.of(args)
    with working("backing up") as progress:
        taken = backup(spine.settings, args.file, without=args.without, progress=progress.step)
    if out.json:
        out.object(taken)
        return Exit.OK
    _draw_parts(out, taken.parts)
    out.line(f"{size(taken.size)} in {taken.path}; the ledger up to #{taken.ledger.partition(':')[0]}")
    for warning in taken.warnings:
        out.line("   ", status_cell("warn", warning))
    out.line("keep these two outside of the backup:")
    out.line(f"   checkpoint         {taken.ledger}")
    out.line(f"   manifest, SHA-256  {taken.manifest_sha256}")
    return Exit.OK


def run_restore(args: argparse.Namespace, spine: Spine) -> int:
    """Restore a backup into an empty folder, and verify it."""
    out = Out.of(args)
    settings = spine.settings
    if args.into is not None:
        if args.into.exists() and (not args.into.is_dir() or next(args.into.iterdir(), None) is not None):
            raise BadInput(
                f"{visible(str(args.into), 160)} is not an empty folder",
                "a restore replaces nothing; name an empty or a new folder",
            )
        settings = load(environ={"SPINE_ROOT": str(args.into.absolute()), "SPINE_ACTOR": settings.actor})
    with working("restoring") as progress:
        done, head = restore(args.file, settings, progress=progress.step)
    if not out.json:
        _draw_parts(out, done.parts)
        out.line(f"restored into {done.into}, a {done.env} ledger up to #{head.seq}")
    with Spine(settings, readonly=True) as restored:
        return run_checks(out, restored, [head], {"restored": msgspec.to_builtins(done)})


def _draw_parts(out: Out, parts: Sequence[Part]) -> None:
    rows = [(part.name, f"{part.files:,}", size(part.size)) for part in parts]
    out.table(("part", "files", "size"), rows, right=("files", "size"))
