"""A report of another tool's result: the eval set's identity, the counts, and where they come from.

The formats are in ``result_items`` (a line for each item) and ``result_metrics`` (measures alone). A report is checked
by the gate's own strict reader before it is returned. Nothing here asks a model or opens the ledger.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from modelspine.canonical_json import canonical, parse_json
from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput, SpineError
from modelspine.gate.baseline import Item
from modelspine.gate.decision import read_submission
from modelspine.gate.eval_report import SCHEMA, EvalSet
from modelspine.gate.foreign import Format, guess_format
from modelspine.lineage.corpora import Corpora
from modelspine.release.eval_set import legacy_md5
from modelspine.release.result_described import count_described
from modelspine.release.result_items import Counted, Measure, Row, count_items, measure_of, read_rows
from modelspine.release.result_metrics import Choice, harness_tasks, read_harness, read_huggingface, read_sklearn
from modelspine.text import visible

_ITEM_FORMATS: tuple[Format, ...] = ("jsonl", "csv")
_ID_COLUMNS = ("id", "item_id", "doc_id", "example_id", "idx")
_SET_ROWS = {".jsonl": False, ".ndjson": False, ".json": False, ".csv": True, ".tsv": True}
"""Ending of an eval set whose items can be counted → whether it is a table."""
_NAMED = 3
"""Item ids that a message names."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says about a result."""

    format: Format | None = None
    """None guesses it from the content."""
    id_column: str | None = None
    right: str | None = None
    buckets: tuple[str, ...] = ()
    higher: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    eval_set: Path | None = None
    entry_sha: str | None = None
    table: WorkloadTable | None = None
    """The project's ``[workload]``; it says what ``right`` and ``buckets`` say, where those are not given."""
    guards: tuple[Item, ...] = ()
    """The baseline's never-regress items, which a result by a table may answer too."""

    @property
    def by_table(self) -> WorkloadTable | None:
        """The table, if it says when an item is right and nothing here says it otherwise."""
        return self.table if self.table is not None and self.table.label and not (self.right or self.buckets) else None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was made, and what could not be checked."""

    format: Format
    report: dict[str, Any]
    notes: tuple[str, ...] = ()


class _Set(msgspec.Struct, frozen=True):
    """The eval set's file: its place, its hashes and, where it can be read, its items."""

    path: str
    dvc_hash: str
    sha256: str
    rows: list[Row] | None


def import_result(raw: bytes, asked: Asked, *, name: str, root: Path) -> Imported:
    """A ``spine.eval/1`` report of a foreign result.

    Args:
        raw: the result's bytes.
        asked: what the caller says about it.
        name: the result's name, for messages.
        root: the project's folder, which holds the eval set.

    Raises:
        BadInput: the result cannot be read, does not say how many items were right, or does not fit the eval set.
    """
    shown = visible(name, 80)
    form = asked.format or guess_format(raw)
    if form is None:
        raise BadInput(
            f"{shown} is no result that can be recognised", "give --format: jsonl, csv, sklearn, lm-eval or hf"
        )
    chosen = _read_set(asked.eval_set, root) if asked.eval_set is not None else None
    counted, tasks = _counted(raw, form, asked, shown, chosen)
    eval_set, notes = _eval_set(counted, chosen, tasks, form)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        **({"entry_sha": asked.entry_sha} if asked.entry_sha is not None else {}),
        "eval_set": msgspec.to_builtins(eval_set),
        "decoding": counted.decoding,
        **({"total": msgspec.to_builtins(counted.total)} if counted.total is not None else {}),
        "buckets": msgspec.to_builtins(counted.buckets),
        **({"false_accept": msgspec.to_builtins(counted.false_accept)} if counted.false_accept is not None else {}),
        **({"scores": msgspec.to_builtins(counted.scores)} if counted.scores else {}),
        "failed": msgspec.to_builtins(counted.failed),
        **({"views": counted.views} if counted.views else {}),
        **({"never_regress": counted.never_regress} if counted.never_regress else {}),
        "runtime": {"imported": {"format": form, "sha256": hashlib.sha256(raw).hexdigest()}},
    }
    read_submission(report_bytes(report), what=f"the report of {shown}")
    return Imported(format=form, report=report, notes=notes)


def report_bytes(report: dict[str, Any]) -> bytes:
    """The bytes of a report's file, in ASCII, so that a reviewer sees every character."""
    return json.dumps(report, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _counted(raw: bytes, form: Format, asked: Asked, what: str, chosen: _Set | None) -> tuple[Counted, dict[str, Any]]:
    """The counts of a result, and what a harness says about its tasks."""
    if form in _ITEM_FORMATS or (form == "lm-eval" and not _is_one_object(raw)):
        return _count_rows(raw, form, asked, what, chosen), {}
    if asked.buckets or asked.id_column is not None:
        raise BadInput(
            f"{what} has measures and no items, so --id and --bucket say nothing",
            "leave them out, or give a file with a line for each item",
        )
    constants: list[str] = []  # a standard error may be NaN; a measure that is NaN is refused where it is used
    data = parse_json(raw, what=what, constants=constants)
    if not isinstance(data, dict):
        raise BadInput(f"{what} is no JSON object", "give the file that the tool wrote")
    choice = Choice(
        right=asked.right,
        higher=frozenset(asked.higher),
        lower=frozenset(asked.lower),
        without=frozenset(asked.without),
    )
    if form == "sklearn":
        return read_sklearn(data, choice, what), {}
    if form == "lm-eval":
        return read_harness(data, choice, what), harness_tasks(data)
    items = len(chosen.rows) if chosen is not None and chosen.rows is not None else None
    return read_huggingface(data, choice, what, items), {}


def _is_one_object(raw: bytes) -> bool:
    """Whether a file of lm-evaluation-harness is its results; its samples are one object a line."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "doc_id" not in data


def _count_rows(raw: bytes, form: Format, asked: Asked, what: str, chosen: _Set | None) -> Counted:
    if asked.without:
        raise BadInput(f"--without says nothing about {what}, which has items and no measures", "leave it out")
    rows = read_rows(raw, what=what, table=form == "csv")
    right = asked.right
    if form == "lm-eval":
        rows, right = _one_filter(rows, right, what)
    id_column = asked.id_column or (asked.table.id if asked.table is not None else None)
    id_column = id_column or next((name for name in _ID_COLUMNS if name in rows[0]), None)
    table = asked.by_table if form != "lm-eval" else None
    scores_alone = right is None and bool(asked.higher or asked.lower) and not asked.buckets
    if id_column is None or (table is None and right is None and not scores_alone):
        columns = ", ".join(visible(name, 40) for name in list(rows[0])[:12])
        missing = "which column names an item" if id_column is None else "when an item is right"
        hint = (
            "give --id COLUMN, or `id` in [workload]"
            if id_column is None
            else "give --right COLUMN, or --right PREDICTION=LABEL"
        )
        raise BadInput(f"nothing says {missing}; the columns of {what} are {columns}", hint)
    measures: list[Measure] = [
        *(measure_of(text, "higher") for text in asked.higher),
        *(measure_of(text, "lower") for text in asked.lower),
    ]
    if table is not None:
        items = chosen.rows if chosen is not None else None
        return count_described(
            rows, table, what=what, id_column=id_column, items=items, measures=measures, guards=asked.guards
        )
    return count_items(rows, what=what, id_column=id_column, right=right, buckets=asked.buckets, measures=measures)


def _one_filter(rows: list[Row], right: str | None, what: str) -> tuple[list[Row], str | None]:
    """The samples of one of the harness's filters, and the measure that says whether a sample is right.

    A task with several filters has a line for each of them and each item; ``--right exact_match,strict-match`` chooses.
    """
    if right is None:
        named = rows[0].get("metrics")
        right = str(named[0]) if isinstance(named, list) and named else None
    measure, comma, wanted = (right or "").partition(",")
    filters = sorted({str(row["filter"]) for row in rows if "filter" in row})
    if comma and wanted in filters:
        return [row for row in rows if str(row.get("filter")) == wanted], measure
    if len(filters) > 1:
        some = " or ".join(f"--right {visible(f'{measure},{name}', 60)}" for name in filters[:_NAMED])
        raise BadInput(f"{what} has each item once for each of {len(filters)} filters", f"choose one: {some}")
    return rows, right


def _read_set(file: Path, root: Path) -> _Set:
    """The eval set's file; its path in the report is relative to the project.

    Raises:
        BadInput: it cannot be read, or lies outside of the project.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadInput(
            f"the eval set {visible(str(file), 120)} cannot be read: {error.strerror}", "give --set the file of items"
        ) from error
    try:
        path = file.absolute().resolve().relative_to(root.resolve()).as_posix()
    except ValueError as error:
        raise BadInput(
            f"the eval set {visible(str(file), 120)} lies outside of the project {visible(str(root), 80)}",
            "put it into the project's folder, so that others find it under the same path",
        ) from error
    table = _SET_ROWS.get(file.suffix.lower())
    rows = read_rows(raw, what=visible(path, 80), table=table) if table is not None else None
    return _Set(path, _dvc_hash(raw, path, root), hashlib.sha256(raw).hexdigest(), rows)


def _dvc_hash(raw: bytes, path: str, root: Path) -> str:
    """The MD5 of the eval set's bytes, by the rule of DVC 2 where that is the one by which DVC tracks it."""
    try:
        tracked = [dvc_hash for _, dvc_hash in Corpora(root).named(path)]
    except SpineError:  # git or a listing cannot be read; the bytes are at hand all the same
        tracked = []
    legacy = next((each for each in tracked if legacy_md5(raw, each) == each), None)
    return legacy or hashlib.md5(raw, usedforsecurity=False).hexdigest()


def _eval_set(
    counted: Counted, chosen: _Set | None, tasks: dict[str, Any], form: Format
) -> tuple[EvalSet, tuple[str, ...]]:
    """The eval set of a report: the file's, or what a harness says about its tasks; and what was not checked."""
    n = counted.n
    if chosen is None:
        if not tasks:
            raise BadInput(
                "a report names the exact items that were evaluated, and nothing says which they are",
                "give --set FILE, the file of items",
            )
        raw = canonical(tasks)
        md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        named = ",".join(sorted(tasks.get("n-samples", tasks.get("versions", ()))))
        made = EvalSet(path=f"{form}:{named}", dvc_hash=md5, sha256=hashlib.sha256(raw).hexdigest(), n=n)
        return made, ("the items are known by the versions and sizes of their tasks alone, not by a file",)
    made = EvalSet(path=chosen.path, dvc_hash=chosen.dvc_hash, sha256=chosen.sha256, n=n)
    if chosen.rows is None:
        return made, (
            f"the items of {visible(chosen.path, 80)} were not counted: its ending is none of a known format",
        )
    column = counted.id_column
    unseen, file = "", visible(chosen.path, 80)
    if counted.ids is None:
        unseen = f"only the number of items was compared with {file}, as the result does not list them"
    elif column is not None and all(column in row for row in chosen.rows):
        _check_ids(counted.ids, {str(row[column]) for row in chosen.rows}, chosen.path)
    else:
        named = visible(column or "", 40)
        unseen = f"only the number of items was compared with {file}, which has no column “{named}” in each row"
    if len(chosen.rows) != n:
        raise BadInput(
            f"the result counts {n:,} items, but {visible(chosen.path, 80)} has {len(chosen.rows):,}",
            "give the file of exactly the items that were evaluated",
        )
    return made, (unseen,) if unseen else ()


def _check_ids(found: frozenset[str], wanted: set[str], path: str) -> None:
    """Check that a result has every item of the eval set and no other: a missing item would be a way to pass."""
    for ids, what in ((wanted - found, "has no result for"), (found - wanted, "has results that are no items of it:")):
        if ids:
            some = ", ".join(visible(name, 40) for name in sorted(ids)[:_NAMED])
            more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
            raise BadInput(
                f"the eval set {visible(path, 80)} does not fit: the file {what} {some}{more}",
                "evaluate every item of the set, and give --set the file of exactly those",
            )
