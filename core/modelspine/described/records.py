"""Reading rows, requests and answers by the table ``[workload]``: the input, the label, features and numbers.

A record is a JSON object or a row of a table, in which every cell may be a text. What is absent or of another type is
left out and never guessed. It does not know where records come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Literal

import msgspec

from modelspine.canonical_json import canonical
from modelspine.described.plain_text import plain
from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput
from modelspine.text import visible
from modelspine.workload import OF_ANSWER

LABEL: Final = "label"
"""The feature that holds the right answer, once somebody has told it."""
ANSWER: Final = "answer"
"""The feature in which a probe gets the output of the answer."""
ANSWER_LABEL: Final = f"{OF_ANSWER}{LABEL}"
"""The feature, or the number of a regressor, by which the mix of answers is measured for drift."""
ANSWERED: Final = "right_of_answered"
"""The view of a classifier's report that says of each label how many of the items that got it were right."""
_OUTPUTS = ("output", "prediction", "predicted", "answer", "completion", "response")
"""Usual names of the column that holds an answer, the first one that is there."""
_LONGEST = 200
"""Characters of a category; a longer text is no category."""
_MOST = 64
"""Numbers that are taken from one answer."""
_DEPTH = 4
_MOST_DIMENSIONS = 4_096
_LARGE = 1e38
EMBEDDING: Final = "embedding"
"""The field of an answer, or the feature of a report, that is a vector."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a table reads from an answer and its request, for a trace; the input is read by itself."""

    output: str
    accepted: bool | None
    """Whether the answer lets the input pass; None where the table names no such label."""
    features: dict[str, str]
    values: dict[str, float]


def cell(record: Any, column: str) -> Any:
    """The value of a column; ``meta.topic`` is a member of a member where no column has that name. None if absent."""
    if isinstance(record, Mapping) and column in record:
        return record[column]
    found = record
    for part in column.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def as_text(value: Any) -> str:
    """A value as Spine keeps and compares it: a text as it is, any other JSON in its canonical form (RFC 8785).

    So an object or a list has one text, one hash and one place in the traces, in whatever order its keys were sent.

    Raises:
        BadInput: it is no JSON that every program reads the same way, such as NaN or an integer beyond 2^53.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    try:
        return canonical(value).decode()
    except (ValueError, RecursionError, TypeError) as error:
        raise BadInput(
            f"an input or answer cannot be kept: {visible(str(error), 120)}",
            "send text, or JSON without NaN, infinities and integers beyond 2^53",
        ) from error


def as_number(value: Any) -> Fraction | None:
    """A number, or a text that is one, as the exact fraction of its decimal form; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 60:
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    # The exponent is limited before the fraction is built, which would have as many digits.
    return Fraction(number) if number.is_finite() and abs(number.adjusted()) <= 300 else None


def input_of(table: WorkloadTable, record: Mapping[str, Any]) -> str:
    """The input of a record: that of its one column, or an object of its columns in canonical form.

    Raises:
        BadInput: a column is absent, or its value cannot be kept.
    """
    found = {column: cell(record, column) for column in table.inputs}
    for column, value in found.items():
        if value is None:
            raise BadInput(
                f"the request has no {visible(column, 60)!r}, which `input` of [workload] names",
                "send it, or correct `input` in spine.toml",
            )
    return as_text(found if len(found) > 1 else next(iter(found.values())))


def output_of(table: WorkloadTable, answer: Any) -> Any:
    """The answer itself: the column that the table names, or the usual one, of an object; else the value as it is.

    A list of one element is that element for a classifier or regressor, whose models answer one row with such a list.

    Raises:
        BadInput: an object has none of these columns, or the answer of a classifier or regressor is itself an object.
    """
    found = _answer_of(table, answer) if isinstance(answer, Mapping) else answer
    while table.kind != "generator" and isinstance(found, list) and len(found) == 1:
        found = found[0]
    within = found if isinstance(found, list) else [found]
    # Not a digest, which is a type of its own and stands for bytes.
    if table.kind != "generator" and any(type(each) is dict for each in within):
        raise BadInput(
            f"the answer is an object and no {'label' if table.kind == 'classifier' else 'number'}",
            "name its member: `output` in the table [workload] of spine.toml, such as `output.label`",
        )
    return found


def _answer_of(table: WorkloadTable, answer: Mapping[str, Any]) -> Any:
    name = output_column(table, answer)
    found = cell(answer, name) if name is not None else None
    if found is None:
        raise BadInput(
            f"nothing says which column holds the answer; there are {visible(', '.join(map(str, answer)), 120)}",
            "name it: `output` in the table [workload] of spine.toml",
        )
    return found


def output_column(table: WorkloadTable, record: Mapping[str, Any]) -> str | None:
    """The column of the answer: the one that the table names, or the first usual one that is there."""
    return table.output or next((name for name in _OUTPUTS if name in record), None)


def categories(table: WorkloadTable, record: Any, of: Literal["input", "answer"] = "input") -> dict[str, str]:
    """The declared categories of a record; those of an answer have the prefix ``answer_``."""
    found: dict[str, str] = {}
    for name, each in table.declared.items():
        if each.of == of and each.kind == "category" and (text := category(cell(record, each.column))) is not None:
            found[_named(name, of)] = text
    return found


def numbers(table: WorkloadTable, record: Any, of: Literal["input", "answer"] = "input") -> dict[str, float]:
    """The declared numbers of a record, a text that is one included; those of an answer have the prefix ``answer_``."""
    found: dict[str, float] = {}
    for name, each in table.declared.items():
        if each.of == of and each.kind == "number" and (number := as_number(cell(record, each.column))) is not None:
            found[_named(name, of)] = float(number)
    return found


def vector(table: WorkloadTable, record: Any) -> tuple[float, ...] | None:
    """The declared vector of a record; None where there is none, or one with a value that is no finite number."""
    return as_vector(cell(record, table.embedding.column)) if table.embedding is not None else None


def as_vector(value: Any) -> tuple[float, ...] | None:
    """A list or array of numbers as a vector of six significant digits; None for anything else.

    None also for one of more than 4,096 numbers, and where a number is not finite or too large for a 32-bit float.
    """
    found = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(found, list | tuple) or not 0 < len(found) <= _MOST_DIMENSIONS:
        return None
    if not all(isinstance(each, int | float) and not isinstance(each, bool) and abs(each) < _LARGE for each in found):
        return None
    return tuple(float(f"{each:.6g}") for each in found)


def right(table: WorkloadTable, output: Any, label: Any) -> bool | None:
    """Whether an answer is right, by the table's rule; None where a regressor's answer or label is no number."""
    if table.kind == "regressor":
        found, wanted = as_number(output), as_number(label)
        return None if found is None or wanted is None else table.within(found, wanted)
    one, other = as_text(output), as_text(label)
    if table.kind == "classifier":  # a generator's text is the product itself, to the letter
        one, other = plain(one), plain(other)
    return one == other or (table.compare == "casefold" and one.casefold() == other.casefold())


def told(table: WorkloadTable, request: Mapping[str, Any], answer: Any) -> Told:
    """What a trace keeps of an answer, and of the columns of its request.

    Raises:
        BadInput: the answer cannot be found or kept.
    """
    output = output_of(table, answer)
    values = {**numbers(table, request), **numbers(table, answer, "answer")}
    features = {**categories(table, request), **categories(table, answer, "answer")}
    number = as_number(output)
    if table.kind == "regressor" and number is not None:
        values[ANSWER_LABEL] = float(number)
    elif table.kind == "classifier" and (named := category(output)) is not None:
        features[ANSWER_LABEL] = named
    text = as_text(output)
    return Told(
        output=text,
        accepted=(right(table, text, table.accept) if table.accept else None),
        features=features,
        values=values,
    )


def numbers_of(fields: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among an answer's ``fields``, those of an object or list as ``probabilities.refund``; at most 64.

    This is what a trace keeps of a score or of class probabilities; texts and yes or no are no numbers. The field
    ``embedding`` is a vector and no numbers.
    """
    found: dict[str, float] = {}
    for name, number in _flat({name: value for name, value in fields.items() if name != EMBEDDING}, "", _DEPTH):
        if len(found) == _MOST:
            break
        found[name] = number
    return found


def field_numbers(table: WorkloadTable, fields: Mapping[str, Any]) -> dict[str, float]:
    """``numbers_of`` the fields that no declared feature reads; one named like a feature is called ``answer_…``."""
    read = {each.column for each in table.declared.values() if each.of == "answer"} | {table.output}
    read |= {table.embedding.column} if table.embedding is not None else set()
    found = numbers_of({name: value for name, value in fields.items() if name not in read})
    return {f"{OF_ANSWER}{name}" if name in table.declared else name: number for name, number in found.items()}


def category(value: Any) -> str | None:
    """A single value as a category; None for a list, an object, nothing, or a text too long to be one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    text = plain(str(value).strip())
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    return text if 0 < len(text) <= _LONGEST else None


def _named(name: str, of: str) -> str:
    return name if of == "input" or name.startswith(OF_ANSWER) else f"{OF_ANSWER}{name}"


def _flat(value: Any, before: str, depth: int) -> Iterator[tuple[str, float]]:
    """The numbers in a value, each with its path."""
    members: Iterator[tuple[Any, Any]]
    if isinstance(value, Mapping):
        members = iter(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        members = iter(enumerate(value))
    else:
        members = iter(())
    for key, member in members:
        path = f"{before}{key}"
        if isinstance(member, int | float) and not isinstance(member, bool):
            if len(path) <= _LONGEST and abs(member) < 2**1000 and math.isfinite(member):
                yield path, float(member)
        elif depth > 1:
            yield from _flat(member, f"{path}.", depth - 1)


def member(attributes: Mapping[str, Any], name: str) -> Any:
    """The value of an attribute; ``app.out#label`` is a member of one that is an object or JSON."""
    key, _, path = name.partition("#")
    found = attributes.get(key)
    if not path:
        return found
    if isinstance(found, str):
        try:
            found = msgspec.json.decode(found)
        except (msgspec.DecodeError, RecursionError):
            return None
    return cell(found, path)


def is_emptied(value: Any, columns: Iterable[str]) -> bool:
    """Whether a value of which something was lost is None itself, or has a None for one of these columns."""
    if not isinstance(value, Mapping):
        return value is None
    return any(name.partition(".")[0] in value and cell(value, name) is None for name in columns)
