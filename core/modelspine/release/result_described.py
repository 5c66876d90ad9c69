"""Counting a result by the table ``[workload]``: the label, the features and the rule, without any mapping by hand.

The label and the features are those of the eval set where its file has them, joined by the items' ids: a result that
brought its own would choose what it is measured by. It does not know where the result came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from modelspine.described.label_names import NONE, label_name
from modelspine.described.number_ranges import edges_of, range_of
from modelspine.described.plain_text import plain
from modelspine.described.records import ANSWERED, LABEL, as_number, as_text, category, cell, output_column, right
from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput
from modelspine.gate.baseline import Item as Guard
from modelspine.gate.eval_report import Count, Failed, Score
from modelspine.release.result_items import ALL, Counted, Measure, Row, item_cell, item_id, summed
from modelspine.release.result_numbers import exact, fraction_score
from modelspine.text import visible

"""The value of an item that lacks a feature."""
_MOST_VALUES = 1_000
"""Values of one category; more of them are no buckets that anybody compares."""


class _Item(NamedTuple):
    """One item with its answer."""

    id: str
    label: Any
    output: Any
    known: tuple[Row, ...]
    """Where its features are looked for, the eval set's row first."""
    by_set: bool
    """Whether the label is that of the eval set."""


def count_described(
    rows: Sequence[Row],
    table: WorkloadTable,
    *,
    what: str,
    id_column: str,
    items: Sequence[Row] | None,
    measures: Sequence[Measure] = (),
    guards: Sequence[Guard] = (),
) -> Counted:
    """Count the items of a result.

    Args:
        rows: the result's items.
        table: says which columns hold what, and when an answer is right.
        what: names the result in messages.
        id_column: the column that names each item.
        items: the rows of the eval set; None where its file cannot be read as rows.
        measures: further scores to add up.
        guards: the baseline's never-regress items; a row with the id of one, and no item of the set, answers it.

    Raises:
        BadInput: a column is missing, an id occurs twice, the result's label is not the eval set's, or a label or
            answer of a regressor is no number.
    """
    known = _by_id(items, id_column, what)
    wanted = {guard.id: guard for guard in guards if guard.id not in known}
    kept = {str(row[id_column]): row for row in rows if str(row.get(id_column)) in wanted}
    rows = [row for row in rows if str(row.get(id_column)) not in wanted]
    if not rows:
        raise BadInput(f"{what} answers never-regress items alone", "give a result with the items of the eval set too")
    found = [_item(row, table, known, id_column, f"item {number:,} of {what}") for number, row in enumerate(rows, 1)]
    _check_unique(found, what)
    named = _buckets(found, table, what)
    failed: list[Failed] = []
    counts: dict[str, list[int]] = {}
    for item, own in zip(found, named, strict=True):
        correct = bool(right(table, item.output, item.label))
        for bucket in own:
            count = counts.setdefault(bucket, [0, 0])
            count[0] += correct
            count[1] += 1
        if not correct:
            failed.append(Failed(id=item.id, buckets=own))
    scores = {each.name: summed(each, rows, what) for each in measures}
    return Counted(
        n=len(found),
        total=Count(len(found) - len(failed), len(found)),
        buckets={name: Count(k, n) for name, (k, n) in sorted(counts.items())},
        scores={**_errors(found, table), **scores},
        false_accept=_false_accepts(found, table),
        views=_views(found, table),
        never_regress={name: _keeps(wanted[name], row, table) for name, row in sorted(kept.items())},
        failed=tuple(sorted(failed, key=lambda item: item.id)),
        # A result under its own labels is comparable only with others of that kind.
        decoding={"right": table.rule, **({} if all(item.by_set for item in found) else {"labels": "of the result"})},
        ids=frozenset(item.id for item in found),
        id_column=id_column,
    )


def _by_id(items: Sequence[Row] | None, id_column: str, what: str) -> dict[str, Row]:
    """The eval set's rows by their ids; empty where its file cannot be read as rows."""
    known = {str(item[id_column]): item for item in items or () if id_column in item}
    if items and not known:
        raise BadInput(
            f"the eval set has no column “{visible(id_column, 60)}”, so its labels belong to no item of {what}",
            "name a column that both have: `id` in the table [workload], or --id",
        )
    return known


def _item(row: Row, table: WorkloadTable, known: Mapping[str, Row], id_column: str, where: str) -> _Item:
    name = item_id(item_cell(row, id_column, where), where)
    own = known.get(name)
    records = (row,) if own is None else (own, row)
    labels = [label for record in records if (label := cell(record, table.label)) is not None]
    if not labels:
        raise BadInput(
            f"{where} has no label in “{visible(table.label, 60)}”, and the eval set has none for it",
            "give --set the file of items with their labels, or correct `label` in the table [workload]",
        )
    if len(labels) == 2 and not _same(labels[0], labels[1], table):
        raise BadInput(
            f"{where} has the label {visible(as_text(labels[1]), 40)!r}, and the eval set says "
            f"{visible(as_text(labels[0]), 40)!r}",
            "evaluate the items of the eval set as they are, or give --set the set that was evaluated",
        )
    column = output_column(table, row)
    if column is None:
        raise BadInput(
            f"nothing says which column of {where} holds the answer; there are "
            f"{visible(', '.join(map(str, list(row)[:12])), 160)}",
            "name it: `output` in the table [workload] of spine.toml",
        )
    output = item_cell(row, column, where)
    if table.kind == "regressor":
        exact(labels[0], f"the label of {where}")
        exact(output, f"the answer of {where}")
    by_set = own is not None and cell(own, table.label) is not None
    return _Item(name, labels[0], output, records, by_set)


def _keeps(guard: Guard, row: Row, table: WorkloadTable) -> bool:
    """Whether a never-regress item is still answered correctly; a generator's answer may hold more than that."""
    column = output_column(table, row)
    output = cell(row, column) if column is not None else None
    if table.kind == "generator":
        return guard.kept(as_text(output))
    return bool(right(table, output, guard.correct_form))


def _same(one: Any, other: Any, table: WorkloadTable) -> bool:
    """Whether two labels are the same; a number may be written in two ways."""
    if table.kind == "regressor":
        return as_number(one) is not None and as_number(one) == as_number(other)
    return plain(as_text(one)) == plain(as_text(other))


def _check_unique(found: Sequence[_Item], what: str) -> None:
    seen: set[str] = set()
    for number, item in enumerate(found, 1):
        if item.id in seen:
            raise BadInput(
                f"item {number:,} of {what} has the id “{visible(item.id, 60)}”, as an item before it",
                "give --id the column that names each item once",
            )
        seen.add(item.id)


def _buckets(found: Sequence[_Item], table: WorkloadTable, what: str) -> list[tuple[str, ...]]:
    """The buckets of every item: its label, and each declared feature of the input."""
    columns: list[list[str]] = []
    if table.kind == "classifier":
        columns.append([f"{LABEL}/{label_name(table, item.label)}" for item in found])
    elif table.kind == "regressor":
        columns.append(_ranges(LABEL, [as_number(item.label) for item in found]))
    for name, each in table.declared.items():
        if each.of == "answer":
            continue  # another model's answer would put the item into another bucket
        cells = [_first(item.known, each.column) for item in found]
        if each.kind == "number":
            columns.append(_ranges(name, [as_number(value) for value in cells]))
        else:
            columns.append([f"{name}/{category(value) or NONE}" for value in cells])
    for column in columns:
        if len(set(column)) > _MOST_VALUES:
            name = column[0].partition("/")[0]
            raise BadInput(
                f"“{visible(name, 40)}” has {len(set(column)):,} values in {what}, too many for buckets",
                'leave it out of `features` in [workload], or give it kind = "number"',
            )
    return list(zip(*columns, strict=True)) if columns else [(ALL,)] * len(found)


def _ranges(name: str, values: Sequence[Fraction | None]) -> list[str]:
    """The decile of each number as a bucket; its edges are those of all items, which no model can change."""
    edges = edges_of(float(value) for value in values if value is not None)
    return [f"{name}/{NONE if value is None else range_of(edges, float(value))}" for value in values]


def _first(records: Sequence[Row], column: str) -> Any:
    return next((value for record in records if (value := cell(record, column)) is not None), None)


def _errors(found: Sequence[_Item], table: WorkloadTable) -> dict[str, Score]:
    """The mean absolute error of a regressor: within the tolerance, a model may still have become worse."""
    if table.kind != "regressor":
        return {}
    total = sum((abs(exact(item.output, "") - exact(item.label, "")) for item in found), Fraction(0))
    return {"mae": fraction_score(total, Fraction(len(found)), better="lower", scale="value")}


def _views(found: Sequence[_Item], table: WorkloadTable) -> dict[str, Any]:
    """Of the items that a classifier gave a label to, how many were right: what an answer alone is worth."""
    if table.kind != "classifier":
        return {}
    counts: dict[str, dict[str, int]] = {}
    for item in found:
        count = counts.setdefault(label_name(table, item.output), {"k": 0, "n": 0})
        count["k"] += bool(right(table, item.output, item.label))
        count["n"] += 1
    return {ANSWERED: dict(sorted(counts.items())[:_MOST_VALUES])}


def _false_accepts(found: Sequence[_Item], table: WorkloadTable) -> Count | None:
    """Items that should not pass and did; None where no label means passing, or every item should pass."""
    if not table.accept:
        return None
    refused = [item for item in found if not right(table, item.label, table.accept)]
    if not refused:
        return None
    return Count(sum(bool(right(table, item.output, table.accept)) for item in refused), len(refused))
