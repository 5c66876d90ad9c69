"""``spine incident``: one request id, eight answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.cli.errors import error_object, fail
from modelspine.cli.event_text import hop_status
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Exit, UnknownRef
from modelspine.incident.finding import Finding
from modelspine.incident.walk import Walk
from modelspine.spine import Spine
from modelspine.text import visible
from modelspine.times import ledger_time

if TYPE_CHECKING:
    from modelspine.gate.baseline import Added
    from modelspine.incident.pack import Packed

_NAMES = ("model", "inputs", "corpus", "rows", "score", "arm", "gate", "way out")
_LONG = 600


def command(verbs: Verbs) -> None:
    """Add ``incident``."""
    parser = verbs.add(
        "incident",
        "walk one request back to its evidence: eight answers",
        run,
        example="spine incident req-7f3a91c2 -v",
    )
    parser.add_argument("request_id", metavar="REQUEST_ID")
    parser.add_argument("--md", metavar="F", help="also write it to this file, as Markdown")
    parser.add_argument(
        "--pack", type=Path, metavar="F", help="also write it to this zip, with its evidence and a verifier"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show each question and the command that checks it"
    )
    parser.add_argument(
        "--never-regress",
        action="store_true",
        help="also add the sentence to what the baseline never lets regress; commit the file to make it count",
    )


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Walk it."""
    out = Out.of(args)
    try:
        with working("walking it back"):
            walk = spine.incident(args.request_id)
    except UnknownRef as error:
        if out.json:
            nothing: dict[str, Any] = {"answers": [], "suggestion": "", "error": error_object(error)}
            out.object({"request_id": args.request_id, "found": False, **nothing})
        return fail(error, as_json=False)
    if args.md is not None:
        Path(args.md).write_text("\n".join(markdown(walk)) + "\n", encoding="utf-8")
    packed = _packed(spine, walk, args.pack) if args.pack is not None else None
    added = _kept(spine, walk) if args.never_regress else None
    if out.json:
        more: dict[str, Any] = {"pack": packed} if packed else {}
        out.object(msgspec.to_builtins(walk) | more | ({"never_regress": msgspec.to_builtins(added)} if added else {}))
        return Exit.OK
    _human(out, walk, verbose=args.verbose)
    if packed is not None:
        out.line()
        out.line(f"{packed.files} files in {visible(packed.path, 200)}; SHA256SUMS is {packed.sums_sha256}")
        out.line(f"check it anywhere: unzip it, then `python3 -I -S verify.py {packed.ledger}` in it")
    if added is not None:
        out.line()
        out.line(said(added))
    return Exit.OK


def _packed(spine: Spine, walk: Walk, path: Path) -> Packed:
    """The pack of a walk; of a walk without the learner's words where the settings keep none."""
    from modelspine.incident.pack import pack, without_text

    with working("packing it"):
        if spine.settings.text_policy != "full":
            walk = spine.walk(without_text(walk.trace))
        return pack(spine, walk, "\n".join(markdown(walk)) + "\n", path)


def _kept(spine: Spine, walk: Walk) -> Added:
    from modelspine.gate.baseline import add_item
    from modelspine.incident.walk import item_of

    return add_item(spine.settings.eval_baseline, item_of(walk))


def said(added: Added) -> str:
    """What became of the baseline, in a sentence."""
    if not added.changed:
        return f"{visible(added.file, 120)} holds it already; nothing was changed"
    form = visible(added.item.correct_form, _LONG)
    return f"added to {visible(added.file, 120)}: “{form}”  (not committed: review it, then commit)"


def asked_and_answered(walk: Walk) -> str:
    """What was asked, what was answered, and whether that was right, in a sentence."""
    trace = walk.trace
    if trace.sentence is None:
        return "the sentence was not kept"
    asked, answered = visible(trace.sentence, _LONG), visible(trace.correction or "", _LONG)
    if trace.status >= 500:
        return f"“{asked}” got no answer: {trace.status} {visible(trace.error, _LONG)}"
    passed = "passed as right" if trace.is_correct else "corrected"
    return f"“{asked}” → “{answered}”  {passed}{_judged(walk)}"


def _judged(walk: Walk) -> str:
    trace = walk.trace
    if walk.expected is None:
        return ""
    if walk.expected == trace.correction:
        return "  ✔ right"
    kind = "false accept" if trace.is_correct else "wrong"
    return f"  ✖ {kind}: it should be “{visible(walk.expected, _LONG)}”"


def _human(out: Out, walk: Walk, *, verbose: bool) -> None:
    trace = walk.trace
    said = f"learner said: {visible(trace.feedback)}" if trace.feedback else "no word from the learner"
    at = ledger_time(trace.started_ns)[:19].replace("T", " ")
    replayed = " · replayed" if trace.source == "replay" else ""
    name, told = f"incident {visible(walk.request_id)}", f"{said}{replayed} · {at} UTC"
    gap = out.width - len(name) - len(told)
    out.line(out.paint(name, "bold") + (" " * min(gap, 8) if gap > 1 else "\n") + told)
    for piece in out.wrapped(asked_and_answered(walk), 0):
        out.line(piece)
    out.line()
    for finding in walk.answers:
        _finding(out, finding, verbose=verbose)
    if walk.suggestion:
        out.line()
        out.pairs([("suggestion", visible(walk.suggestion, _LONG))])


def _finding(out: Out, finding: Finding, *, verbose: bool) -> None:
    status = hop_status(finding.status)
    lead = f"{finding.n} {_NAMES[finding.n - 1]:<8} "
    used = len(lead) + 12
    for number, piece in enumerate(out.wrapped(visible(finding.answer, _LONG), used)):
        start = lead + out.paint(f"{status.text:<12}", status.colour) if number == 0 else " " * used
        out.line(start + piece)
    if verbose:
        for row in finding.evidence.get("quoted", ()):
            out.line(f"{' ' * used}row {row['row']:,}: {visible(str(row['text']), 200)}")
        out.line(" " * used + out.paint(visible(finding.question), "dim"))
        out.line(" " * used + out.paint(f"$ {visible(finding.command, 300)}", "dim"))


def markdown(walk: Walk) -> list[str]:
    """The walk as a page; data stands in code spans, where Markdown reads nothing."""
    lines = [
        f"# Incident {_code(walk.request_id)}",
        "",
        f"{ledger_time(walk.trace.started_ns)} · {_code(asked_and_answered(walk))}",
        "",
        "| # | question | status | answer | checked by |",
        "|---|---|---|---|---|",
    ]
    for finding in walk.answers:
        cells = (
            str(finding.n),
            finding.question,
            hop_status(finding.status).text,
            _code(finding.answer),
            _code(finding.command),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", f"Suggestion: {_code(walk.suggestion)}"] if walk.suggestion else lines


def _code(text: str) -> str:
    """A code span that nothing in the text can end, inside a table cell."""
    return "`" + visible(text, _LONG).replace("`", "ˋ").replace("|", "¦") + "`"
