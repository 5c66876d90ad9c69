"""``spine verify``: check every hash and every reference, and report one line for each kind of check."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelspine.cli.output import Cell, Out, status_cell
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.ledger.mark import NAME as MARK
from modelspine.ledger.store import Head
from modelspine.maintenance.chain import read_chain
from modelspine.maintenance.verify_ledger import Check, verify
from modelspine.maintenance.witness import parse_checkpoint, read_witness, witness_faults
from modelspine.signs import sign_of
from modelspine.spine import Spine
from modelspine.text import counted


def command(verbs: Verbs) -> None:
    """Add ``verify``."""
    parser = verbs.add(
        "verify", "check the ledger's hash chain and everything that it names", run,
        details="If a check fails, it is listed and the exit code is 5. What could not be looked at is listed as not "
        "checked; in prod the exit code is then 3 if git does not say what is committed.",
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
    """Check the ledger and everything it names."""
    witness: Path | None = args.witness
    if args.keep and witness is None:
        raise BadInput("--keep was given without --witness", "name the file: `spine verify --witness F --keep`")
    known = read_witness(witness, absent=args.keep) if witness is not None else []
    keep = witness if args.keep else None
    faults, unseen = witness_faults(witness, known) if witness is not None else ((), ())
    asked = [*args.checkpoint, *known] if args.checkpoint or witness is not None else None
    return run_checks(Out.of(args), spine, asked, {}, keep=keep, faults=faults, unseen=unseen)


def run_checks(
    out: Out,
    spine: Spine,
    checkpoints: Sequence[Head] | None,
    extra: dict[str, Any],
    *,
    keep: Path | None = None,
    faults: Sequence[str] = (),
    unseen: Sequence[str] = (),
) -> int:
    """Run every check and report it.

    ``extra`` precedes the result in the JSON object; ``keep`` is the witness file to which the newest head is added
    if all checks pass. ``faults`` are problems of the file with the checkpoints, ``unseen`` what was not checked of it.
    """
    from modelspine.maintenance.verify_stores import steps

    chain = read_chain(spine.settings.ledger)
    checks: list[Check] = []
    with working("verifying") as progress:
        results = verify(
            spine.ledger, spine.cache, chain,
            checkpoints=checkpoints, faults=faults, unseen=unseen, mark=spine.settings.home / MARK,
            more=steps(spine), progress=progress.step,
        )  # fmt: skip
        for check in results:
            checks.append(check)
            if not out.json:
                progress.hide()  # the bar and this line would overwrite each other
                _draw_check(out, check)
    code = _code(checks)
    head = f"{chain.head.seq}:{chain.head.hash}"
    if keep is not None and code is Exit.OK and chain.head not in (checkpoints or ()):
        with keep.open("a+", encoding="ascii") as stream:
            # A write that was cut short must not be joined with this head into one line.
            stream.seek(0)
            ends_in_newline = stream.read()[-1:] in ("", "\n")
            stream.write(f"{head}\n" if ends_in_newline else f"\n{head}\n")
    if out.json:
        unread = sum(len(check.not_checked) for check in checks)
        # `ok` is the exit code; only `sound` says that everything was looked at.
        ok = code is Exit.OK
        result = {"ok": ok, "sound": ok and not unread, "not_checked": unread, "checkpoint": head, "checks": checks}
        out.object(extra | result)
    else:
        out.line(_result(checks, code, head))
    return code


def _code(checks: Sequence[Check]) -> Exit:
    if any(check.problems for check in checks):
        return Exit.DAMAGED
    return Exit.UNAVAILABLE if any(check.required and check.not_checked for check in checks) else Exit.OK


def _draw_check(out: Out, check: Check) -> None:
    result = f"{len(check.problems):,} wrong" if check.problems else "ok" if not check.not_checked else ""
    result += f"{', ' if result else ''}{len(check.not_checked):,} not checked" if check.not_checked else ""
    sign = sign_of("fail" if check.problems else "not_checked" if check.not_checked else "pass")
    out.line(Cell(sign.glyph, sign.role), f" {check.name:<12} {check.checked:>9,}  {result}")
    for problem in check.problems:
        out.line("    ", status_cell("fail", problem))
    for reason in check.not_checked:
        out.line("    ", status_cell("not_checked", f"not checked: {reason}"))
    for note in check.notes:
        out.line(f"    · {note}")


def _result(checks: Sequence[Check], code: Exit, head: str) -> str:
    """The last line; only where everything was read does it say that all is sound. It ends in the ledger's head."""
    if code is Exit.DAMAGED:
        count = sum(len(check.problems) for check in checks)
        return f"{counted(count, 'problem')}; restore what is named above from a backup. The newest event is {head}"
    unread = sum(len(check.not_checked) for check in checks)
    keep = f"keep this checkpoint outside of the ledger: {head}"
    if code is Exit.UNAVAILABLE:
        return f"git does not say what is committed, so this proves nothing about verdicts. The newest event is {head}"
    if unread:
        return f"no problem was found, but {unread:,} not checked (see above); {keep}"
    return f"all sound; {keep}"
