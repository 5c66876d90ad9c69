"""The committed baseline, ``spine.baseline/1``: what production scored, and what may never be lost again.

Only a reviewed commit makes a change of the file count; what is here reads it strictly, makes the bytes such a
commit would hold, and puts an incident's sentence into the file, uncommitted, for review. It does not know the
rule that compares a candidate with it (``gate.rule``), nor where it lies.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Conflict, Refused, Unavailable
from modelspine.files import write_file
from modelspine.gate.eval_report import Count, EvalReport, EvalSet, Failed
from modelspine.text import visible

SCHEMA = "spine.baseline/1"
TOLERANCE_PP = 2
ANCHOR_BUDGET_PP = 5
_SHA = re.compile(r"[0-9a-f]{64}")
_WHAT = "the baseline"
_HINT = "take the committed eval_baseline.json, or make a new one from an entry's report and have it reviewed"


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text from an incident that must stay right; ``correct_form`` is what the output has to hold."""

    id: str
    text: str
    correct_form: str
    reason: str = ""
    """Why it was added; left out of the file where nobody gave one."""

    def kept(self, output: str) -> bool:
        """True where an output holds the right form as whole words, whatever the case of its letters."""
        form = re.escape(self.correct_form.strip())
        return bool(form) and re.search(rf"(?<!\w){form}(?!\w)", output, re.IGNORECASE) is not None


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """An old total that many small losses in a row are measured against."""

    entry_sha: str
    total: Count


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was in production and no longer counts as the floor, and why: a reviewed decision."""

    entry_sha: str
    reason: str


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate is compared with: an entry's raw counts, and the policy of the comparison."""

    schema: str
    entry_sha: str
    eval_set: EvalSet
    decoding: Any
    total: Count
    buckets: dict[str, Count]
    false_accept: Count | None = None
    failed: tuple[Failed, ...] = ()
    tolerance_pp: int = TOLERANCE_PP
    never_regress: tuple[Item, ...] = ()
    anchor: Anchor | None = None
    anchor_budget_pp: int = ANCHOR_BUDGET_PP
    reason: str = ""
    approved_in: str = ""
    floor_excludes: tuple[Excluded, ...] = ()


def read_baseline(raw: bytes) -> Baseline:
    """Decode a baseline strictly; unknown fields are ignored. Its counts are checked where they are compared.

    Raises:
        BadInput: it is not strict JSON, lacks a field, has one of the wrong kind or another schema, a
            tolerance or budget outside 0 … 100 pp, or the same never-regress id twice.
    """
    return _checked(parse_json(raw, what=_WHAT))


def baseline_of(
    report: EvalReport,
    *,
    reason: str,
    approved_in: str,
    never_regress: Iterable[Item] = (),
    anchor: Anchor | None = None,
    entry_sha: str | None = None,
    tolerance_pp: int = TOLERANCE_PP,
    anchor_budget_pp: int = ANCHOR_BUDGET_PP,
) -> dict[str, Any]:
    """The baseline that an entry's report makes, for a reviewed commit.

    Args:
        report: the entry's report.
        reason: why this entry is the baseline from now on.
        approved_in: the change in which it was reviewed.
        never_regress: the items that must stay right.
        anchor: the old total to measure slow decline against.
        entry_sha: the entry, where the report does not name it.
        tolerance_pp: percentage points a bucket may lose.
        anchor_budget_pp: percentage points the total may lose against the anchor.

    Raises:
        BadInput: no entry is named, or two; or the result would not be a baseline.
    """
    named = {sha for sha in (entry_sha, report.entry_sha) if sha is not None}
    if len(named) != 1:
        what = "the report and the caller name two entries" if named else "neither the report nor the caller names one"
        raise BadInput(f"a baseline is of one entry, and {what}", "give the entry the report is of")
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "entry_sha": named.pop(),
        "eval_set": msgspec.to_builtins(report.eval_set),
        "decoding": report.decoding,
        "total": msgspec.to_builtins(report.total),
        "buckets": msgspec.to_builtins(report.buckets),
        "false_accept": msgspec.to_builtins(report.false_accept),
        "failed": msgspec.to_builtins(sorted(report.failed, key=lambda item: item.id)),
        "tolerance_pp": tolerance_pp,
        "never_regress": msgspec.to_builtins(sorted(never_regress, key=lambda item: item.id)),
        "anchor_budget_pp": anchor_budget_pp,
        "reason": reason,
        "approved_in": approved_in,
    }
    if anchor is not None:
        made["anchor"] = msgspec.to_builtins(anchor)
    read_baseline(baseline_bytes(made))
    return made


def baseline_bytes(baseline: dict[str, Any]) -> bytes:
    """The bytes of the file: keys sorted, indented, ASCII, so that a reviewer sees every character and line."""
    return json.dumps(baseline, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def with_item(raw: bytes, item: Item) -> bytes:
    """The baseline file with one more text that must stay right, all else as it was; for an uncommitted patch.

    Raises:
        BadInput: the file is no baseline, or has another item of that id.
    """
    data = parse_json(raw, what=_WHAT)
    now = _checked(data)
    same = next((known for known in now.never_regress if known.id == item.id), None)
    if same is not None and same != item:
        raise BadInput(
            f"never_regress has another text under the id “{visible(item.id, 60)}”", "give the new one an id of its own"
        )
    items: Sequence[Item] = now.never_regress if same else (*now.never_regress, item)
    ordered = sorted(items, key=lambda known: known.id)
    return baseline_bytes({**data, "never_regress": msgspec.to_builtins(ordered)})


def _checked(data: Any) -> Baseline:
    if isinstance(data, dict) and data.get("schema") != SCHEMA:
        raise BadInput(f"{_WHAT}'s schema is {visible(repr(data.get('schema')), 60)}, not {SCHEMA!r}", _HINT)
    try:
        baseline = msgspec.convert(data, Baseline)
    except msgspec.ValidationError as error:
        raise BadInput(f"{_WHAT} is not a {SCHEMA}: {visible(str(error), 160)}", _HINT) from error
    for name, number in (("tolerance_pp", baseline.tolerance_pp), ("anchor_budget_pp", baseline.anchor_budget_pp)):
        if not 0 <= number <= 100:
            raise BadInput(f"{_WHAT}'s {name} is {number}, outside 0 … 100 percentage points", _HINT)
    for entry in baseline.floor_excludes:
        if _SHA.fullmatch(entry.entry_sha) is None or not entry.reason.strip():
            raise BadInput(
                f"{_WHAT}'s floor_excludes needs an entry's full SHA and a reason, not "
                f"{visible(repr(entry.entry_sha), 70)} and {visible(repr(entry.reason), 60)}",
                "name the entry by its 64 digits (`spine show REF`), and say why it is no longer the floor",
            )
    seen: set[str] = set()
    for item in baseline.never_regress:
        if item.id in seen:
            raise BadInput(f"{_WHAT} has the never_regress id “{visible(item.id, 60)}” twice", _HINT)
        if not item.correct_form.strip():
            raise BadInput(f"{_WHAT}'s never_regress item “{visible(item.id, 60)}” has no correct_form", _HINT)
        seen.add(item.id)
    return baseline


def own_baseline(raw: bytes, sha: str) -> str | None:
    """What was accepted with an entry that is its own baseline: its weakest bucket, and the reason; else None.

    Nothing was compared with anything earlier then, so a reader must see what people let in by writing it down.

    Raises:
        BadInput: the bytes are no baseline.
    """
    baseline = read_baseline(raw)
    counted = {name: count for name, count in baseline.buckets.items() if count.n}
    if baseline.entry_sha != sha or not counted:
        return None
    name, count = min(counted.items(), key=lambda pair: (pair[1].k / pair[1].n, pair[0]))
    why = visible(baseline.reason, 160) or "none was given"
    share = f"{visible(name, 60)} {count.k:,}/{count.n:,} = {100 * count.k / count.n:.1f} %"
    return f"it is its own baseline: {share} was accepted with this reason: {why}"


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the file. ``changed`` is False where it held the item already."""

    file: str
    item: Item
    changed: bool
    items: int
    """Never-regress items in the file afterwards."""


def raw_baseline(file: Path) -> bytes:
    """The baseline's bytes.

    Raises:
        Refused: there is no such file.
        Unavailable: it cannot be read.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise Refused(
            f"there is no baseline at {visible(str(file), 120)}", "make one from an entry's report and commit it"
        ) from error
    except OSError as error:
        raise Unavailable(f"{visible(str(file), 120)}: {error.strerror}", "check its permissions") from error


def add_item(file: Path, item: Item, *, expected: str | None = None) -> Added:
    """Put an item into the baseline file of the working tree; a reviewed commit makes it count.

    Args:
        file: the baseline.
        item: what must stay right.
        expected: SHA-256 of the file's bytes that this was decided on; None takes whatever stands there.

    Raises:
        BadInput: the file is no baseline, or has another item of that id.
        Conflict: the file is another one than ``expected``.
        Refused, Unavailable: there is none, or it cannot be written.
    """
    raw = raw_baseline(file)
    if expected is not None and hashlib.sha256(raw).hexdigest() != expected:
        raise Conflict(f"{visible(file.name, 80)} changed meanwhile; nothing was written", "look at it again")
    made = with_item(raw, item)
    items = len(msgspec.json.decode(made)["never_regress"])
    if items == len(msgspec.json.decode(raw).get("never_regress", ())):
        return Added(file=str(file), item=item, changed=False, items=items)
    try:
        write_file(file, made, mode=file.stat().st_mode & 0o777)
    except OSError as error:
        raise Unavailable(
            f"{visible(str(file), 120)} could not be written: {error.strerror}", "check its permissions"
        ) from error
    return Added(file=str(file), item=item, changed=True, items=items)
