"""``spine verify``: every hash and every pointer, one line a kind."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.ledger.store import Head
from modelspine.maintenance.verify_ledger import Chain, Check, parse_checkpoint, read_chain, read_witness, verify
from modelspine.spine import Spine


def command(verbs: Verbs) -> None:
    """Add ``verify``."""
    parser = verbs.add(
        "verify", "check the ledger's hash chain and everything that it names", run,
        details="If a check fails, it is listed and the exit code is 5.",
        example="spine verify --checkpoint 12:9f2c…",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", type=parse_checkpoint, action="append", default=[], metavar="SEQ:HASH",
        help="a ledger head recorded elsewhere, as `spine verify` prints it; may be repeated",
    )  # fmt: skip
    parser.add_argument("--witness", type=Path, metavar="F", help="a file of such heads, one per line; all must match")
    parser.add_script_argument(
        "--keep", action="store_true", help="also add the newest head to the witness file if all checks pass"
    )


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Check everything."""
    witness: Path | None = args.witness
    if args.keep and witness is None:
        raise BadInput("--keep needs a file to keep the head in", "name it: `spine verify --witness F --keep`")
    known = read_witness(witness, absent=args.keep) if witness is not None else []
    keep = witness if args.keep else None
    asked = [*args.checkpoint, *known] if args.checkpoint or witness is not None else None
    return checked(Out.of(args), spine, asked, {}, keep=keep)


def checked(
    out: Out, spine: Spine, checkpoints: Sequence[Head] | None, extra: dict[str, Any], *, keep: Path | None = None
) -> int:
    """Check everything and tell it; ``extra`` stands before it in the JSON object, ``keep`` takes a new head."""
    from modelspine.maintenance.verify_stores import steps

    chain = read_chain(spine.settings.ledger)
    checks: list[Check] = []
    with working("verifying") as progress:
        found = verify(
            spine.ledger, spine.cache, chain,
            checkpoints=checkpoints, more=steps(spine), progress=progress.step,
        )  # fmt: skip
        for check in found:
            checks.append(check)
            if not out.json:
                progress.hide()
                _line(out, check)
    sound = not any(check.problems for check in checks)
    head = f"{chain.head.seq}:{chain.head.hash}"
    if keep is not None and sound and chain.head not in (checkpoints or ()):
        with keep.open("a+", encoding="ascii") as stream:
            stream.seek(0)
            whole = stream.read()[-1:] in ("", "\n")
            stream.write(f"{head}\n" if whole else f"\n{head}\n")
    if out.json:
        out.object(extra | {"ok": sound, "checkpoint": head, "checks": checks})
    else:
        _verdict(out, checks, chain, head, sound=sound)
    return Exit.OK if sound else Exit.DAMAGED


def _line(out: Out, check: Check) -> None:
    sign = out.paint("✖", "bad") if check.problems else out.paint("✔", "good")
    wrong = f"{len(check.problems):,} wrong" if check.problems else "sound"
    out.line(f"{sign} {check.name:<12} {check.checked:>9,}  {wrong}")
    for problem in check.problems:
        out.line(f"    {out.paint('✖', 'bad')} {problem}")
    for note in check.notes:
        out.line(f"    • {note}")


def _verdict(out: Out, checks: list[Check], chain: Chain, head: str, *, sound: bool) -> None:
    if sound:
        out.line(f"all sound; keep this outside of the ledger: {head}")
        return
    count = sum(len(check.problems) for check in checks)
    out.line(f"{count:,} found wrong, newest event #{chain.head.seq}; restore what is named from a backup")
