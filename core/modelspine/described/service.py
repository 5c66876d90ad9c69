"""The workload that the table ``[workload]`` describes: features, grades and what to search for, by columns alone.

It loads no model and answers nothing: another server does, and tells Spine. So whatever would have to ask a model again
ends in ``CannotAnswer``, which names the way out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelspine.described import records
from modelspine.described.label_names import label_name
from modelspine.described.plain_text import plain
from modelspine.described.records import ANSWER, ANSWER_LABEL, LABEL
from modelspine.described.row_patterns import has_cell, has_list, has_text, has_words, row_with
from modelspine.described.table import WorkloadTable
from modelspine.text import visible
from modelspine.workload import Model, Probe, Progress, cannot_answer

DIGEST = {"sha256", "bytes"}
"""The members of an input that is kept by its digest."""
_SHOWN = 60
_MOST_CELLS = 4
"""Cells of an input of several columns that a row must share."""


class Described:
    """A workload without a class. ``label`` below is the right answer, known once somebody has told it."""

    http_path = ""
    max_chars = 0
    can_answer = False

    def __init__(self, table: WorkloadTable, name: str = "") -> None:
        self.table = table
        self.name = table.name or name or table.kind
        self.values_code = hashlib.sha256(table.code.encode()).hexdigest()[:16]
        """What ``Trace.values_by`` says of values that this table made."""
        self.words = table.words
        self.has_labels = bool(table.label)
        self.text_field = table.text_column or table.inputs[0]
        """The column of a corpus in which the text is looked for first."""

    def load(self, bundle: Path, parent: Path | None) -> Model:  # noqa: ARG002  (the protocol's)
        """Refuse: there is nothing to load."""
        raise cannot_answer()

    def evaluate(
        self, bundle: Path, parent: Path | None, eval_set: Path, progress: Progress  # noqa: ARG002  (the protocol's)
    ) -> dict[str, Any]:  # fmt: skip
        """Refuse: the answers to the eval set are imported."""
        raise cannot_answer()

    def features(self, text: str) -> dict[str, str]:
        """The declared categories of an input of several columns; those of a plain text are in other columns."""
        return records.categories(self.table, self._fields(text))

    def input_of(self, request: Mapping[str, Any]) -> str:
        """The input of a request as text; see ``described.records.input_of``."""
        return records.input_of(self.table, request)

    def told(self, request: Mapping[str, Any], answer: Any) -> records.Told:
        """What a trace keeps of an answer, and of the columns of its request; see ``described.records.told``."""
        return records.told(self.table, request, answer)

    def has_input(self, request: Any, features: Mapping[str, Any]) -> bool:
        """Whether an object has every column of the input, those included that were told apart from it."""
        known = {**features, **request} if isinstance(request, Mapping) else {}
        return all(records.cell(known, column) is not None for column in self.table.inputs)

    def has_output(self, answer: Any) -> bool:
        """Whether an object has the column of the answer that the table names."""
        return bool(self.table.output) and records.cell(answer, self.table.output) is not None

    @property
    def takes_any_text(self) -> bool:
        """Whether a text that is a JSON object may be an answer as it is: one that a generator wrote."""
        return self.table.kind == "generator" and not self.table.output

    def field_numbers(self, fields: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of an answer's fields that the table does not declare; see ``described.records``."""
        return records.field_numbers(self.table, fields)

    def right(self, output: Any, label: Any) -> bool | None:
        """Grade an answer by its label: exactly, whatever the case, or within the tolerance."""
        return records.right(self.table, output, label)

    def row_features(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The features of a corpus row that a request has too, so that the two are in the same buckets."""
        return records.categories(self.table, row)

    @property
    def axes(self) -> int | None:
        """Of how many directions of the vectors drift is measured; None where corpora have no column of vectors."""
        return None if self.table.embedding is None else self.table.embedding.axes

    def vector_of(self, record: Mapping[str, Any]) -> tuple[float, ...] | None:
        """The vector of a request or corpus row; None where it has none."""
        return records.vector(self.table, record)

    def drift_row(self, row: Mapping[str, Any]) -> dict[str, str | float | tuple[str, ...]]:
        """The values of a corpus row in which drift is measured; its label stands for the answer."""
        found: dict[str, str | float | tuple[str, ...]] = {**records.categories(self.table, row)}
        found |= records.numbers(self.table, row)
        label = records.cell(row, self.table.label) if self.table.label else None
        number = records.as_number(label) if self.table.kind == "regressor" else None
        if number is not None:
            found[ANSWER_LABEL] = float(number)
        elif self.table.kind == "classifier" and (named := records.category(label)) is not None:
            found[ANSWER_LABEL] = named
        return found

    def measured(
        self, features: Mapping[str, str], values: Mapping[str, float]
    ) -> dict[str, str | float | tuple[str, ...]]:
        """The values of a request in which drift is measured: what its trace keeps but for the label.

        A corpus has no value of an answer but the label; the others are compared with those of another day.
        """
        kept: Mapping[str, str | float | tuple[str, ...]] = {**features, **values}
        return {name: value for name, value in kept.items() if name != LABEL}

    def drift_values(
        self,
        text: str | None,  # noqa: ARG002  (the protocol's)
        features: Mapping[str, str],
        accepted: bool | None,  # noqa: ARG002
    ) -> dict[str, str | float | tuple[str, ...]]:
        """``measured`` of a request of which only features are at hand."""
        return self.measured(features, {})

    def probe(self, text: str | None, features: Mapping[str, str]) -> Probe | None:
        """Rows that hold the label, else the answer; without either, rows that hold the same input.

        ``features`` are those of the trace, its numbers as text, the answer under ``answer``, and the label under
        ``label`` once it is known. Without an answer, as where drift asks, no bucket of a label is named.
        """
        label, answer = features.get(LABEL), features.get(ANSWER)
        parts, name, needed = self._same(text, features)
        same = row_with(parts)
        columns = {same: needed}
        buckets = [f"{each}/{plain(features[each])}" for each in self._categories() if each in features]
        pattern, called = same, name
        if self.table.kind == "classifier" and (subject := label or answer):
            subject = plain(subject)
            buckets.insert(0, f"{LABEL}/{label_name(self.table, subject)}")
            pattern = row_with([has_cell(self.table.label, subject, self._casefold)])
            columns[pattern] = (self.table.label,)
            called = f"the label “{subject}”"
        amounts = self._amounts(features)
        if not pattern and not buckets and not amounts:
            return None
        against = None
        if label and answer and parts and self.table.kind == "classifier" and not self.right(answer, label):
            against = row_with([*parts, has_cell(self.table.label, plain(answer), self._casefold)]) or None
        return Probe(
            label=visible(called, _SHOWN) or "this case",
            pattern=pattern,
            expected=label,
            buckets=tuple(buckets),
            mark=re.escape(label) if label else "",
            against=against,
            against_label=visible(f"{name} as “{answer}”", _SHOWN) if against else "",
            same=same if same != pattern else "",
            same_label=name,
            amounts=amounts,
            words=self._words(text),
            columns={each: needed for each, needed in columns.items() if each and needed},
        )

    def _same(self, text: str | None, features: Mapping[str, str]) -> tuple[list[str], str, tuple[str, ...]]:
        """Patterns that a row with the same input matches all of, what they share, and the columns that it needs."""
        if text is None:
            wanted = {each: features[each] for each in self._categories() if each in features}
            kept = {self.table.declared[each].column: value for each, value in list(wanted.items())[:_MOST_CELLS]}
            cells = [has_cell(column, value) for column, value in kept.items()]
            return cells, f"the same {', '.join(list(wanted)[:_MOST_CELLS])}", tuple(kept)
        kept = self._kept(text)
        if isinstance(kept, list):
            given = [each for each in kept if isinstance(each, int | float)]
            whole = len(given) == len(kept) and bool(kept)
            column = self.table.inputs[0]
            return ([has_list(column, given)] if whole else []), "the same numbers", (column,)
        fields = kept if isinstance(kept, dict) else {}
        if fields.keys() == DIGEST:
            return [has_cell("sha256", str(fields["sha256"]))], "the same bytes", ("sha256",)
        body = fields.get(self.table.text) if fields else text
        if self.table.text_column and isinstance(body, str):
            return [has_text(self.table.text_column, body)], "the same text", (self.table.text_column,)
        # Hardly a row has the very number of a declared one; `_amounts` compares those by ranges.
        numbers = {each.column for each in self.table.declared.values() if each.kind == "number"}
        known = {
            name: named
            for name, value in fields.items()
            if name not in numbers and (named := records.category(value)) is not None
        }
        names = tuple(known)[:_MOST_CELLS]
        return [has_cell(name, known[name]) for name in names], f"the same {', '.join(names)}", names

    def _amounts(self, features: Mapping[str, str]) -> dict[str, float]:
        """The numbers of a case: the declared ones, and of a regressor the label, else the answer."""
        names = {name: features.get(name) for name, each in self.table.declared.items() if each.kind == "number"}
        if self.table.kind == "regressor":
            names = {LABEL: features.get(LABEL) or features.get(ANSWER), **names}
        found = {name: records.as_number(value) for name, value in names.items() if value is not None}
        return {name: float(number) for name, number in found.items() if number is not None}

    def _words(self, text: str | None) -> str:
        """A pattern of rows that hold the longest words of a text; empty for an input that is none."""
        kept = self._kept(text) if text is not None else None
        body: Any = text
        if kept is not None:
            body = kept.get(self.table.text) if isinstance(kept, dict) else None
        return (has_words(body) or "") if isinstance(body, str) and self.table.text_column else ""

    def _kept(self, text: str) -> Any:
        """An input that was kept as an object or a list; None for a plain text."""
        if not text.startswith(("{", "[")):
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None

    def _fields(self, text: str) -> dict[str, Any]:
        """The columns of an input that was kept as an object; empty for any other."""
        found = self._kept(text)
        return found if isinstance(found, dict) else {}

    def _categories(self) -> list[str]:
        return [name for name, each in self.table.declared.items() if each.kind == "category" and each.of == "input"]

    @property
    def _casefold(self) -> bool:
        return self.table.compare == "casefold"
