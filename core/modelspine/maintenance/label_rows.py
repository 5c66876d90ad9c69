"""The rows of a file of labels (CSV, TSV, JSON lines, Parquet) as what they say of answers, with their line numbers.

A row that does not say what it should is an error that names its line; nothing is guessed and nothing is skipped but
rows that say nothing. The file is read as a stream. It does not know where labels are stored.
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from miniobserve.saying import OUTCOMES, Saying, wrong_with
from modelspine.described.records import as_number, as_text
from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput, Unavailable
from modelspine.gate.foreign import delimiter_of
from modelspine.text import visible

_IDS = ("request_id", "trace_id", "id")
_SAYS = ("outcome", "score", "text", "taken_back")
_TABLES = {".csv": "", ".tsv": "\t", ".tab": "\t"}
_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_NAMED = 12
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no", "")
Row = Mapping[str, Any]


class Columns(NamedTuple):
    """Which columns say what; empty for none."""

    id: str
    label: str
    outcome: str = ""
    score: str = ""
    text: str = ""
    taken_back: str = ""
    number: bool = False
    """Whether a label must be a number."""


def rows_of(file: Path) -> Generator[tuple[int, Row], None, None]:
    """Yield the rows of a file with their numbers: of a line, or of a row of Parquet, counted from 1.

    Raises:
        BadInput: it is not a file of one of these kinds, or a line cannot be read.
        Unavailable: it cannot be opened, or DuckDB is not installed.
    """
    kind = file.suffix.lower()
    if kind in _PARQUET:
        return _parquet_rows(file)
    if kind in _TABLES or kind in _LINES:
        return _text_rows(file, kind)
    known = ", ".join((*_TABLES, *_LINES, *_PARQUET))
    raise BadInput(
        f"{visible(file.name, 80)} is of no kind that labels are read from", f"give a file that ends in {known}"
    )


def names_of(file: Path) -> list[str]:
    """The names of a file's columns, those of its first row first; empty if it has no rows.

    Lines of JSON need not all have the same members, so each of them is looked at.

    Raises:
        BadInput, Unavailable: as ``rows_of`` does.
    """
    names: dict[str, None] = {}
    rows = rows_of(file)
    for _, row in rows:
        names.update(dict.fromkeys(row))
        if file.suffix.lower() not in _LINES:
            break
    rows.close()
    return list(names)


def columns_of(
    names: Sequence[str], table: WorkloadTable | None, *, id_column: str | None = None, label_column: str | None = None
) -> Columns:
    """Which columns of a file say what: the named ones, else the usual ones and those of the table ``[workload]``.

    Raises:
        BadInput: there is no id, nothing that is said, or not a column that was named.
    """
    there = ", ".join(visible(name, 40) for name in names[:_NAMED])
    for option, name in (("--id-column", id_column), ("--label-column", label_column)):
        if name is not None and name not in names:
            raise BadInput(f"the file has no column {visible(name, 60)!r}", f"correct {option}; there are {there}")
    ids = (id_column,) if id_column else (*_IDS, *((table.id,) if table and table.id else ()))
    found_id = next((name for name in ids if name in names), None)
    if found_id is None:
        raise BadInput(
            "no column names the requests",
            f"name it by --id-column, or call it request_id or trace_id; there are {there}",
        )
    labels = (label_column,) if label_column else ((table.label if table and table.label else "label"), "label")
    label = next((name for name in labels if name in names), "")
    # A column of the service's own input is nothing that is said of an answer.
    taken = {found_id, label, *(table.inputs if table else ())}
    says = {name: name if name in names and name not in taken else "" for name in _SAYS}
    if not label and not any(says.values()):
        raise BadInput(
            "no column says anything of an answer",
            f"name that of the labels by --label-column, or call it label, score, outcome or text; there are {there}",
        )
    return Columns(found_id, label, **says, number=table is not None and table.kind == "regressor")


def saying_of(row: Row, columns: Columns, number: int) -> Saying | None:
    """What a row says; None where it says nothing.

    Raises:
        BadInput: a cell does not hold what it should; the message names the row.
    """
    where = f"row {number:,}"
    name = row.get(columns.id)
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise BadInput(f"{where} names no request: “{columns.id}” is {visible(repr(name), 40)}", "correct or remove it")
    label, score = _cell(row, columns.label), _cell(row, columns.score)
    outcome, text = _cell(row, columns.outcome), _cell(row, columns.text)
    if outcome is not None and outcome not in OUTCOMES:
        raise _wrong(where, columns.outcome, outcome, f"one of {', '.join(OUTCOMES)}")
    if text is not None and not isinstance(text, str):
        raise _wrong(where, columns.text, text, "a text")
    saying = Saying(
        name=str(name).strip(),
        is_trace=columns.id == "trace_id",
        outcome=outcome,
        label=_label(label, where, columns) if label is not None else None,
        score=_number(score, where, columns.score) if score is not None else None,
        text=text,
        taken_back=_flag(_cell(row, columns.taken_back), where, columns.taken_back),
    )
    if not saying.taken_back and all(each is None for each in (label, score, outcome, text)):
        return None
    if wrong := wrong_with(saying):
        raise BadInput(f"{where}: {wrong}", "correct it, then import the file again")
    return saying


def _cell(row: Row, column: str) -> Any:
    """The value of a column; None where it is empty."""
    found = row.get(column) if column else None
    return None if found == "" else found


def _label(cell: Any, where: str, columns: Columns) -> str:
    if (isinstance(cell, float) and not math.isfinite(cell)) or (isinstance(cell, str) and cell.lower() == "nan"):
        raise _wrong(where, columns.label, cell, "a label; leave it empty where there is none")
    if columns.number and as_number(cell) is None:
        raise _wrong(where, columns.label, cell, "a number")
    try:
        return as_text(cell)
    except BadInput as error:
        raise BadInput(f"{where}: {error.message}", error.hint) from error


def _number(cell: Any, where: str, column: str) -> float:
    try:
        found = math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise _wrong(where, column, cell, "a finite number")
    return found


def _flag(cell: Any, where: str, column: str) -> bool:
    said = str(cell).lower() if cell is not None else ""
    if said not in (*_YES, *_NO):
        raise _wrong(where, column, cell, "yes or no")
    return said in _YES


def _wrong(where: str, column: str, cell: Any, wanted: str) -> BadInput:
    return BadInput(
        f"{where} has {visible(repr(cell), 60)} in “{visible(column, 40)}”, not {wanted}",
        "correct it, then import the file again",
    )


def _text_rows(file: Path, kind: str) -> Generator[tuple[int, Row], None, None]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if kind in _LINES:
                yield from _json_rows(stream)
            else:
                yield from _table_rows(stream, _TABLES[kind])
    except UnicodeDecodeError as error:
        raise BadInput(f"{visible(file.name, 80)} is not UTF-8", "save it as UTF-8") from error
    except OSError as error:
        raise Unavailable(f"{visible(str(file), 120)} cannot be read: {error.strerror}", "check the path") from error


def _json_rows(stream: Any) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"row {number:,} is no JSON", "give one JSON object a line") from error
            if not isinstance(row, dict):
                raise BadInput(f"row {number:,} is no JSON object", "give one JSON object a line")
            yield number, row


def _table_rows(stream: Any, delimiter: str) -> Iterator[tuple[int, Row]]:
    start = stream.tell()
    delimiter = delimiter or delimiter_of(stream.readline())
    stream.seek(start)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        head = next(reader, [])
        if len(set(head)) < len(head):
            raise BadInput("two columns have the same name", "give each column a name of its own")
        for cells in reader:
            if cells and len(cells) != len(head):
                raise BadInput(
                    f"row {reader.line_num:,} has {len(cells)} cells, the first line {len(head)}", "correct the file"
                )
            if cells:
                yield reader.line_num, dict(zip(head, cells, strict=True))
    except csv.Error as error:
        raise BadInput(f"row {reader.line_num:,} is no CSV: {visible(str(error), 80)}", "correct the file") from error


def _parquet_rows(file: Path) -> Generator[tuple[int, Row], None, None]:
    from modelspine.lineage.parquet_rows import write_lines

    if not file.is_file():
        raise Unavailable(f"{visible(str(file), 120)} is no file", "check the path")
    with tempfile.TemporaryDirectory(prefix="labels-") as folder:
        lines = Path(folder) / "rows.jsonl"
        write_lines(file, lines)
        with lines.open(encoding="utf-8") as stream:
            yield from _json_rows(stream)
