"""``spine candidate``: the committed request to deploy a model, and the bytes it asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Exit
from modelspine.spine import Spine


def command(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "candidate", "read candidate.toml, the request to deploy a model, and fetch the bundle it asks for", run,
        example="spine candidate --fetch .spine/candidate",
    )  # fmt: skip
    parser.add_argument("--file", type=Path, metavar="F", help="the request (default: candidate.toml of the project)")
    parser.add_argument(
        "--fetch",
        type=Path,
        metavar="DIR",
        help="put the run's bundle into this new folder; exit 5 where it is another",
    )


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Read, and fetch; prints ``name=value`` lines, as a workflow's outputs are written."""
    from modelspine.release.candidate import FILE, fetch, read_candidate

    out = Out.of(args)
    candidate = read_candidate(args.file or spine.settings.root / FILE)
    if args.fetch is not None:
        with working("asking MLflow"):
            fetch(spine, candidate, args.fetch)
    if out.json:
        out.object(candidate)
        return Exit.OK
    for name, value in msgspec.structs.asdict(candidate).items():
        out.line(f"{name}={value}")  # one plain line each: that was checked where it was read
    return Exit.OK
