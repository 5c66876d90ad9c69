"""The baseline file ``spine.baseline/1``: the counts a candidate is compared with, and the items that must stay right.

A change of the file takes effect only through a reviewed commit. This module reads the file strictly and produces its
bytes, also with the text of an incident added. It writes no file, and does not know the rule that uses the baseline
(``gate.rule``) or where the file lies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Refused, Unavailable
from modelspine.gate.eval_report import Count, EvalReport, EvalSet, Failed, Score, convert_schema
from modelspine.json_edit import with_element
from modelspine.text import visible

SCHEMA = "spine.baseline/1"
TOLERANCE_PP = 2
# Baselines move on with each promotion, so a loss within the tolerance could repeat without end; the anchor's budget
# limits the sum of such losses.
ANCHOR_BUDGET_PP = 5
_SHA = re.compile(r"[0-9a-f]{64}")
_WHAT = "the baseline"
_HINT = "use the committed eval_baseline.json, or make a new one from an entry's report and have it reviewed"


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text from an incident that must stay correct: its output has to contain ``correct_form``."""

    id: str
    text: str
    correct_form: str
    reason: str = ""
    """Why it was added; left out of the file if there is none."""

    def kept(self, output: str) -> bool:
        """Whether an output contains the correct form as whole words, ignoring case."""
        # Whole words, so that "go" is not found in "goes"; \b would fail for forms that end in punctuation.
        form = re.escape(self.correct_form.strip())
        return bool(form) and re.search(rf"(?<!\w){form}(?!\w)", output, re.IGNORECASE) is not None


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """An older total that limits the sum of many small losses over successive baselines."""

    entry_sha: str
    total: Count


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was in production and no longer counts as the floor, and why: a reviewed decision."""

    entry_sha: str
    reason: str


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The raw counts of one entry, and the policy for comparing candidates with them."""

    schema: str
    entry_sha: str
    eval_set: EvalSet
    decoding: Any
    total: Count | None = None
    buckets: dict[str, Count] = {}
    false_accept: Count | None = None
    scores: dict[str, Score] = {}
    failed: tuple[Failed, ...] = ()
    tolerance_pp: int = TOLERANCE_PP
    never_regress: tuple[Item, ...] = ()
    anchor: Anchor | None = None
    anchor_budget_pp: int = ANCHOR_BUDGET_PP
    reason: str = ""
    approved_in: str = ""
    floor_excludes: tuple[Excluded, ...] = ()


def read_baseline(raw: bytes) -> Baseline:
    """Decode a baseline strictly; unknown fields are ignored. ``gate.rule`` checks the counts.

    Raises:
        BadInput: it is not strict JSON, lacks a field, has a field of the wrong type or another schema, a tolerance
            or budget outside 0 … 100 pp, a repeated never-regress id, or an item without ``correct_form``.
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
    """A baseline made from an entry's report, for a reviewed commit.

    Args:
        report: the entry's report.
        reason: why this entry becomes the baseline.
        approved_in: the change in which it was reviewed.
        never_regress: the items that must stay correct.
        anchor: the older total that limits slow decline.
        entry_sha: the entry, if the report does not name it.
        tolerance_pp: percentage points that a bucket may lose.
        anchor_budget_pp: percentage points that the total may lose against the anchor.

    Raises:
        BadInput: no entry or two different entries are named, or the result is not a valid baseline.
    """
    named = {sha for sha in (entry_sha, report.entry_sha) if sha is not None}
    if len(named) != 1:
        what = "the report and the argument differ" if named else "neither the report nor an argument names one"
        raise BadInput(f"a baseline belongs to one entry, but {what}", "name the entry that the report belongs to")
    baseline = Baseline(
        schema=SCHEMA,
        entry_sha=named.pop(),
        eval_set=report.eval_set,
        decoding=report.decoding,
        total=report.total,
        buckets=report.buckets,
        false_accept=report.false_accept,
        scores=report.scores,
        failed=tuple(sorted(report.failed, key=lambda item: item.id)),
        tolerance_pp=tolerance_pp,
        never_regress=tuple(sorted(never_regress, key=lambda item: item.id)),
        anchor=anchor,
        anchor_budget_pp=anchor_budget_pp,
        reason=reason,
        approved_in=approved_in,
    )
    made: dict[str, Any] = msgspec.to_builtins(baseline)
    for name, absent in (("anchor", anchor is None), ("scores", not report.scores)):
        if absent:
            del made[name]
    # Read back, so that a baseline that this function makes is always one that the gate accepts.
    read_baseline(baseline_bytes(made))
    return made


def baseline_bytes(baseline: dict[str, Any]) -> bytes:
    """The bytes of the file: sorted, indented and ASCII, so that a reviewer sees every change and every character."""
    return json.dumps(baseline, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def with_item(raw: bytes, item: Item) -> bytes:
    """The bytes of a baseline file with one never-regress item added, every other byte unchanged.

    Where the items are sorted by their ids, the new one is put in its place; otherwise it becomes the last one.

    Raises:
        BadInput: the file is not a valid baseline, or has a different item with the same id.
    """
    data = parse_json(raw, what=_WHAT)
    now = _checked(data)
    same = next((known for known in now.never_regress if known.id == item.id), None)
    if same is not None and same != item:
        raise BadInput(
            f"never_regress has a different text under the id “{visible(item.id, 60)}”", "give the new item another id"
        )
    if same is not None:
        return raw
    ids = [known.id for known in now.never_regress]
    place = sum(each < item.id for each in ids) if ids == sorted(ids) else len(ids)
    added = msgspec.to_builtins(item)
    made = with_element(raw.decode("utf-8"), "never_regress", added, place).encode("utf-8")
    items = list(data.get("never_regress", ()))
    if parse_json(made, what=_WHAT) != {**data, "never_regress": [*items[:place], added, *items[place:]]}:
        raise BadInput(f"{_WHAT} is laid out in a way that no item can be added to", _HINT)
    return made


def _checked(data: Any) -> Baseline:
    baseline = convert_schema(data, Baseline, SCHEMA, what=_WHAT, hint=_HINT)
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
        if not item.correct_form.strip():  # an empty form would be contained in every output
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
