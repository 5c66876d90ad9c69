"""``spine incident``: one request id, and eight answers about the model that served it.

It draws a walk for a terminal and as a Markdown page. It does not know how an answer is found.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.cli.errors import error_object, fail
from modelspine.cli.output import Cell, Out, Piece, status_cell
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Exit, UnknownRef
from modelspine.incident.finding import feedback_text
from modelspine.incident.walk import Walk
from modelspine.spine import Spine
from modelspine.text import short, visible
from modelspine.times import ledger_time
from modelspine.words import words

if TYPE_CHECKING:
    from miniobserve.traces import Trace
    from modelspine.incident.guard import Guard
    from modelspine.incident.pack import Packed

_NAMES = ("model", "inputs", "corpus", "rows", "score", "arm", "gate", "fix")
"""A word for each of ``incident.finding.QUESTIONS``."""
_LONGEST_CODE = 600
"""Characters of one code span of the page."""


def command(verbs: Verbs) -> None:
    """Add ``incident``."""
    parser = verbs.add(
        "incident",
        "trace one request to its evidence in eight answers",
        run,
        example="spine incident req-7f3a91c2 -v",
    )
    parser.add_argument(
        "request_id", metavar="REQUEST_ID", help="a request id, or the W3C trace id of a caller's trace"
    )
    parser.add_argument("--md", metavar="F", help="also write it to this file as Markdown")
    parser.add_argument("--pack", type=Path, metavar="F", help="also write a zip file with the evidence and a verifier")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show each question and the command that checks it"
    )
    parser.add_argument(
        "--never-regress",
        action="store_true",
        help="also make a branch that adds the input to the baseline's never-regress items, ready for review",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why it must stay right, for the branch of --never-regress")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Walk one request back to its evidence."""
    from miniobserve.traces import trace_object

    out = Out.of(args)
    try:
        with working("walking back to the evidence"):
            walk = spine.incident(args.request_id)
    except UnknownRef as error:
        if out.json:
            empty: dict[str, Any] = {"answers": [], "suggestion": "", "error": error_object(error)}
            out.object({"request_id": args.request_id, "found": False, **empty})
        return fail(error, as_json=False)
    if args.md is not None:
        Path(args.md).write_text("\n".join(markdown(walk)) + "\n", encoding="utf-8")
    packed = _write_pack(spine, walk, args.pack) if args.pack is not None else None
    guarded = _make_guard(spine, walk, args.reason) if args.never_regress else None
    if out.json:
        more: dict[str, Any] = {"pack": packed} if packed else {}
        more |= {"never_regress": msgspec.to_builtins(guarded)} if guarded else {}
        out.object(msgspec.to_builtins(walk) | {"trace": trace_object(walk.trace)} | more)
        return Exit.OK
    _draw(out, walk, verbose=args.verbose)
    if packed is not None:
        out.line()
        out.line(f"{packed.files} files in {packed.path}; SHA-256 of its SHA256SUMS: {packed.sums_sha256}")
        command = f"python3 -I -S verify.py {packed.ledger} --list {packed.sums_sha256}"
        out.line(f"verify it on any machine: unzip it and run `{command}` there")
    if guarded is not None:
        out.line()
        for line in _guard_lines(guarded):
            out.line(line)
    return Exit.OK


def _write_pack(spine: Spine, walk: Walk, path: Path) -> Packed:
    """Write the pack of a walk; without the learner's words where the settings do not let them be kept."""
    from modelspine.incident.pack import pack, without_text

    with working("writing the pack"):
        if spine.settings.text_policy != "full":
            walk = spine.walk(without_text(walk.trace))
        return pack(spine, walk, "\n".join(markdown(walk)) + "\n", path)


def _make_guard(spine: Spine, walk: Walk, reason: str | None) -> Guard:
    from modelspine.incident.guard import guard, item_with_reason
    from modelspine.incident.walk import item_of

    told = reason if reason is not None else f"{walk.trace.semver or short(walk.trace.entry_sha)} got it wrong"
    item = item_with_reason(item_of(walk), told)
    return guard(spine.settings, item, subject=f"Never answer {item.id} wrong again")


def _guard_lines(guarded: Guard) -> list[str]:
    """What happened, and the command that goes on from there."""
    form = guarded.item.correct_form
    if guarded.branch is None:
        return [f"the committed baseline already requires “{form}”; nothing was changed"]
    lines = [f"branch {guarded.branch} makes the baseline require “{form}”; review and merge it to put it into effect"]
    if guarded.patch is not None:
        lines.append(f"the same as a patch for `git am --keep-cr`, because there is no remote: {guarded.patch}")
    return [*lines, f"next: {guarded.next}"]


def _exchange(trace: Trace) -> str:
    """The request and its answer in a line."""
    if trace.input is None:
        return f"the {words().input} was not kept"
    if trace.status >= 500:
        return f"“{trace.input}” got no answer: {trace.status} {trace.error}"
    if trace.output is None:
        return f"“{trace.input}”; there is no answer{': it could not be read' if 'unread' in trace.fields else ''}"
    return f"“{trace.input}” → “{trace.output}”"


def _outcome(walk: Walk) -> str:
    """What the model did with the request, and whether that was right where the right answer is known."""
    trace = walk.trace
    if trace.input is None or trace.status >= 500:
        return ""
    outcome = words().accepted if trace.accepted else words().answered
    if walk.expected is None:
        return outcome
    if walk.right:
        return f"{outcome}  ✔ right"
    if walk.right is None:
        return f"the right answer is “{walk.expected}”; what was answered cannot be compared with it"
    return f"{outcome}  ✖ {words().false_accept if trace.accepted else 'wrong'}: it should be “{walk.expected}”"


def _draw(out: Out, walk: Walk, *, verbose: bool) -> None:
    trace = walk.trace
    said = feedback_text(trace)
    replayed = " · replayed" if trace.source == "replay" else ""
    at = ledger_time(trace.started_ns)[:19].replace("T", " ")
    retried = f" · retry of {trace.retry_of}" if trace.retry_of else ""
    out.paragraph(Cell(f"incident {walk.request_id}", "strong"), f"  {said}{replayed}{retried} · {at} UTC")
    out.paragraph(_exchange(trace))
    if outcome := _outcome(walk):
        out.paragraph(outcome)
    out.line()
    rows: list[tuple[Piece, ...]] = []
    for finding, name in zip(walk.answers, _NAMES, strict=True):
        rows.append((f"{finding.n} {name}", status_cell(finding.status), finding.answer))
        if verbose:
            rows += [("", "", f"row {quote['row']:,}: {quote['text']}") for quote in finding.evidence.get("quoted", ())]
            rows += [("", "", Cell(text, "muted")) for text in (finding.question, f"$ {finding.command}")]
    out.grid(rows)
    if walk.suggestion:
        out.line()
        out.pairs([("suggestion", walk.suggestion)])


def markdown(walk: Walk) -> list[str]:
    """The walk as a page; data is written in code spans, in which Markdown reads no syntax."""
    exchange = f"{_exchange(walk.trace)}  {_outcome(walk)}".rstrip()
    lines = [
        f"# Incident {_code(walk.request_id)}",
        "",
        f"{ledger_time(walk.trace.started_ns)} · {_code(exchange)}",
        *([f"Retry of {_code(walk.trace.retry_of)}"] if walk.trace.retry_of else []),
        "",
        "| # | question | status | answer | checked by |",
        "|---|---|---|---|---|",
    ]
    for finding in walk.answers:
        status = status_cell(finding.status).text
        cells = (str(finding.n), finding.question, status, _code(finding.answer), _code(finding.command))
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", f"Suggestion: {_code(walk.suggestion)}"] if walk.suggestion else lines


def _code(text: str) -> str:
    """A code span inside a table cell; the two characters that could end it are replaced by look-alikes."""
    return "`" + visible(text, _LONGEST_CODE).replace("`", "ˋ").replace("|", "¦") + "`"
