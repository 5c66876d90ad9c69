"""Results with a line for each item (JSON lines, CSV): read, and counted into buckets.

The reader says which column holds the item's id, and when an item is right. Nothing is guessed: a cell that is neither
right nor wrong, an item without an id and an id that occurs twice are errors, because each would be a way to a better
count. It does not know where the file came from or what the eval set holds.
"""

from __future__ import annotations

import csv
import io
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Literal

import msgspec

from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BadInput
from modelspine.gate.eval_report import Count, Failed, Score
from modelspine.gate.foreign import delimiter_of
from modelspine.release.result_numbers import exact, fraction_score
from modelspine.text import visible

Row = dict[str, Any]
ALL = "all"
"""The one bucket of a result that is not divided into any."""
_TRUE = frozenset({"1", "1.0", "true", "yes", "right", "correct"})
_FALSE = frozenset({"0", "0.0", "false", "no", "wrong", "incorrect"})
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_CONDITION = re.compile(r"(.+?)(==|>=|<=|=|>|<)(.*)", re.DOTALL)
_RIGHT_HINT = (
    "compare columns (--right prediction=label), a text (--right verdict==pass) or a number (--right edits<=0)"
)
_NUMBER = re.compile(r"[0-9]{1,9}")
_NAMED = 12
"""Columns that a message names."""


class Measure(msgspec.Struct, frozen=True):
    """A score to add up over the items: the sum of ``num`` over the sum of ``den``, or the mean of ``num``.

    ``den`` may be a number, which counts for each item: ``toxic/1`` is the share of items that are toxic.
    """

    name: str
    num: str
    den: str | None
    better: Literal["higher", "lower"]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A result in the terms of a report."""

    n: int
    """The number of items."""
    total: Count | None
    buckets: dict[str, Count]
    scores: dict[str, Score] = {}
    false_accept: Count | None = None
    views: dict[str, Any] = {}
    never_regress: dict[str, bool] = {}
    failed: tuple[Failed, ...] = ()
    decoding: dict[str, Any]
    """What decides whether an item is right; reports that differ in it are not comparable."""
    ids: frozenset[str] | None = None
    """The ids of the items; None where the result does not list them."""
    id_column: str | None = None
    """The column that they stand in."""


def read_rows(raw: bytes, *, what: str, table: bool) -> list[Row]:
    """The items of a file with a line for each; a ``table`` has its columns' names in the first line.

    Raises:
        BadInput: it is not UTF-8, a line is no JSON object, or a line of a table has another number of columns.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{what} is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    rows = list(_table_rows(text, what) if table else _json_rows(text, what))
    if not rows:
        raise BadInput(f"{what} has no items", "give a file with a line for each item")
    return rows


def count_items(
    rows: Sequence[Row],
    *,
    what: str,
    id_column: str,
    right: str | None,
    buckets: Sequence[str],
    measures: Sequence[Measure],
) -> Counted:
    """Count the items of a result.

    Args:
        rows: the items.
        what: names the result in messages.
        id_column: the column that names each item.
        right: when an item is right: a column of yes and no, or a condition such as ``prediction=label``; None where
            the measures alone say how good the answers are.
        buckets: the columns whose values divide the items into buckets.
        measures: the scores to add up.

    Raises:
        BadInput: a column is missing, an id occurs twice, or a cell does not say what it should.
    """
    is_right = _rule(right, rows[0], what) if right is not None else None
    failed, ids = [], set()
    counts: dict[str, list[int]] = {}
    for number, row in enumerate(rows, 1):
        where = f"item {number:,} of {what}"
        name = item_id(item_cell(row, id_column, where), where)
        if name in ids:
            raise BadInput(f"{where} has the id “{visible(name, 60)}”, as an item before it", _ID_HINT)
        ids.add(name)
        if is_right is None:
            continue
        own = [f"{column}/{_label(item_cell(row, column, where), where)}" for column in buckets] or [ALL]
        kept = is_right(row, where)
        for bucket in own:
            count = counts.setdefault(bucket, [0, 0])
            count[0] += kept
            count[1] += 1
        if not kept:
            failed.append(Failed(id=name, buckets=tuple(own)))
    return Counted(
        n=len(rows),
        total=Count(len(rows) - len(failed), len(rows)) if is_right is not None else None,
        buckets={name: Count(k, n) for name, (k, n) in sorted(counts.items())},
        scores={each.name: summed(each, rows, what) for each in measures},
        failed=tuple(sorted(failed, key=lambda item: item.id)),
        decoding={"right": right} if right is not None else {},
        ids=frozenset(ids),
        id_column=id_column,
    )


def measure_of(text: str, better: Literal["higher", "lower"]) -> Measure:
    """A score from the command line: ``wer=edits/words``, or ``loss=loss`` for a mean.

    Raises:
        BadInput: it has another form.
    """
    name, equals, formula = text.partition("=")
    num, slash, den = formula.partition("/")
    if not (name.strip() and equals and num.strip() and bool(slash) == bool(den.strip())):
        raise BadInput(
            f"{visible(text, 80)!r} is no score",
            f"write --{better} NAME=COLUMN/COLUMN for a quotient of sums, or --{better} NAME=COLUMN for a mean",
        )
    return Measure(name.strip(), num.strip(), den.strip() or None, better)


def _json_rows(text: str, what: str) -> Iterator[Row]:
    if text.lstrip().startswith("["):
        listed = parse_json(text.encode(), what=what, constants=[])
    else:
        lines = enumerate(text.split("\n"), 1)  # not splitlines, which also divides at characters inside of a string
        listed = (
            parse_json(line.encode(), what=f"line {number:,} of {what}", constants=[])
            for number, line in lines
            if line.strip()
        )
    for number, row in enumerate(listed, 1):
        if not isinstance(row, dict):
            raise BadInput(f"item {number:,} of {what} is no JSON object", "write one object a line")
        yield row


def _table_rows(text: str, what: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text.partition("\n")[0]), strict=True)
    try:
        names = [name.strip() for name in next(lines, [])]
        if len(set(names)) != len(names) or not all(names):
            raise BadInput(f"{what} has a column without a name, or two of one name", "name each column once")
        for cells in lines:
            if cells and len(cells) != len(names):
                raise BadInput(
                    f"line {lines.line_num:,} of {what} has {len(cells):,} columns, the first line has {len(names):,}",
                    "put cells that hold the separator or a line break in quotation marks",
                )
            if cells:
                yield dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise BadInput(f"line {lines.line_num:,} of {what} is no CSV: {error}", "save it as CSV in UTF-8") from error


def item_cell(row: Row, column: str, where: str) -> Any:
    """A column of an item; in JSON, ``doc.question`` is the member of a member where no column has that name."""
    if column in row:
        return row[column]
    found: Any = row
    for part in column.split("."):
        if not isinstance(found, dict) or part not in found:
            raise BadInput(f"{where} has no column “{visible(column, 60)}”", _columns(row))
        found = found[part]
    return found


def _has(row: Row, column: str) -> bool:
    try:
        item_cell(row, column, "")
    except BadInput:
        return False
    return True


def _columns(row: Row) -> str:
    some = ", ".join(visible(name, 40) for name in list(row)[:_NAMED])
    return f"its columns are {some}{', …' if len(row) > _NAMED else ''}"


def _rule(right: str, row: Row, what: str) -> Callable[[Row, str], bool]:
    """When an item is right; ``row`` is the first item, whose columns decide how the condition is read."""
    condition = _CONDITION.fullmatch(right)
    if _has(row, right) or condition is None:
        return lambda row, where: _yes(item_cell(row, right, where), where, right)
    column, sign, other = (part.strip() for part in condition.groups())
    if sign == "==":
        return lambda row, where: _text(item_cell(row, column, where)) == other
    if sign == "=":
        item_cell(row, other, f"the first item of {what}")
        return lambda row, where: _equal(item_cell(row, column, where), item_cell(row, other, where))
    compare, limit = _COMPARED[sign], exact(other, "--right")
    return lambda row, where: compare(exact(item_cell(row, column, where), f"{column} of {where}"), limit)


def _yes(cell: Any, where: str, column: str) -> bool:
    said = _text(cell).strip().lower()
    if said not in _TRUE | _FALSE:
        raise BadInput(
            f"{where} has {visible(said, 40)!r} in “{visible(column, 40)}”, neither right nor wrong", _RIGHT_HINT
        )
    return said in _TRUE


def _equal(one: Any, other: Any) -> bool:
    """Whether two cells are the same: as JSON, or as text where one of them is a text."""
    if isinstance(one, str) or isinstance(other, str):
        return _text(one) == _text(other)
    try:
        return canonical(one) == canonical(other)
    except ValueError:  # a NaN, which equals nothing
        return False


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell if isinstance(cell, str) else "" if cell is None else str(cell)


def item_id(cell: Any, where: str) -> str:
    """The id of an item, or ``BadInput`` for a cell that is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int) or not str(cell).strip():
        raise BadInput(f"{where} has no id: {visible(repr(cell), 40)} is neither a text nor a whole number", _ID_HINT)
    return str(cell)


def _label(cell: Any, where: str) -> str:
    """The value of an item that names its bucket."""
    if isinstance(cell, list | dict):
        raise BadInput(f"{where} has a list or an object where a bucket's name should be", "choose another --bucket")
    return _text(cell).strip() or "(empty)"


def summed(measure: Measure, rows: Sequence[Row], what: str) -> Score:
    """A score over all items: a quotient of two sums, or a mean."""
    per_item = Fraction(1)
    column = measure.den
    if column is not None and _NUMBER.fullmatch(column) and not _has(rows[0], column):
        per_item, column = exact(column, f"the divisor of {measure.name}"), None
    num, den = Fraction(0), Fraction(0)
    for number, row in enumerate(rows, 1):
        where = f"item {number:,} of {what}"
        num += _amount(row, measure.num, where)
        den += _amount(row, column, where) if column is not None else per_item
    if den <= 0:
        raise BadInput(f"the sum of {visible(str(measure.den), 40)} in {what} is {float(den):g}", "divide by another")
    scale: Literal["rate", "value"] = "rate" if measure.den is not None else "value"
    return fraction_score(num, den, better=measure.better, scale=scale)


def _amount(row: Row, column: str, where: str) -> Fraction:
    """A number of an item; yes counts as 1 and no as 0."""
    cell = item_cell(row, column, where)
    text = _text(cell).strip().lower()
    return Fraction(text == "true") if text in ("true", "false") else exact(cell, f"{column} of {where}")


_ID_HINT = "give --id the column that names each item once"
