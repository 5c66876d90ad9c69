"""The table ``[workload]`` of ``spine.toml``: a model service described by its columns, without a class.

It says what kind of service it is and which columns hold the input, the right answer, the id and the features, so that
answers which another server gave can be traced, graded, evaluated and searched for. ``service`` makes a
workload of it, ``records`` reads rows by it. This module only checks what was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from modelspine.words import NEUTRAL, Words

if TYPE_CHECKING:
    from fractions import Fraction

Column = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
"""The name of a column; ``meta.topic`` is the member of a member where no column has that name."""
_LONGEST_NAME = 40
_RESERVED = ("label", "answer", "text", "total", "all", "task", "class")
"""Names that buckets and evidence have already."""


class Feature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feature of an input or of an answer."""

    column: str = ""
    """The column that holds it; empty for the one with the feature's name."""
    kind: Literal["category", "number"] = "category"
    of: Literal["input", "answer"] = "input"
    """What it describes. A feature of an answer has no value in a corpus."""


class Embedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The column that holds the input's vector, a list of numbers."""

    column: Column
    axes: Annotated[int, msgspec.Meta(ge=1, le=16)] = 3
    """How many of the reference's main directions are measured for drift."""


class WorkloadTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A described workload; every column may be one of a request, a corpus, an eval set or a result."""

    kind: Literal["classifier", "generator", "regressor"]
    input: Column | Annotated[list[Column], msgspec.Meta(min_length=1, max_length=200)]
    """The column that holds the input, or the columns that make it."""
    name: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,39})?$")] = ""
    label: str = ""
    """The column of the right answer; a generator need not have one."""
    output: str = ""
    """The column of the answer in a result; empty for the usual name that is there."""
    id: str = ""
    """The column that names each item; empty for the usual name that is there."""
    text: str = ""
    """The column that is searched as text; empty for the input if that is one column."""
    features: list[Column] | dict[str, Feature] = []
    embedding: Embedding | None = None
    compare: Literal["exact", "casefold"] = "exact"
    """How the answer of a classifier or generator is compared with the label, both as text."""
    tolerance: Annotated[float, msgspec.Meta(ge=0, lt=1e15)] | None = None
    """By how much a regressor's answer may differ from the label."""
    relative_tolerance: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None
    """The same as a share of the label's size; the larger one of the two counts."""
    accept: str = ""
    """The label that lets an input pass, such as ``legitimate``; it makes the count of false accepts possible."""
    eval_set: str = ""
    """The file of the items that results are about, relative to the project."""
    words: Words = NEUTRAL
    """What its users, inputs and outputs are called in texts for people."""

    def __post_init__(self) -> None:
        """Check what the types cannot say; msgspec reports a ``ValueError`` with the place in the file."""
        regressor = self.kind == "regressor"
        if self.kind != "generator" and not self.label:
            raise ValueError(f"a {self.kind} needs `label`, the column that holds the right answer")
        if regressor and self.tolerance is None and self.relative_tolerance is None:
            raise ValueError("a regressor needs `tolerance` or `relative_tolerance`, which say when an answer is right")
        if not regressor and (self.tolerance is not None or self.relative_tolerance is not None):
            raise ValueError(f"a {self.kind} has no tolerance: its answers are compared as text")
        if regressor and self.compare != "exact":
            raise ValueError("a regressor's answers are compared as numbers, so `compare` says nothing")
        if self.accept and self.kind != "classifier":
            raise ValueError(f"a {self.kind} has no label to accept by")
        for name in self.declared:
            if not 0 < len(name) <= _LONGEST_NAME or "/" in name or not name.isprintable() or name in _RESERVED:
                raise ValueError(f"{name[:60]!r} cannot name a feature: 1 to 40 printable characters, no `/`, and none "
                                 f"of {', '.join(_RESERVED)}")  # fmt: skip
        if self.label and self.label in self.inputs:
            raise ValueError("`label` names a column of the input, so that the input would give the answer away")

    @property
    def code(self) -> str:
        """Everything that decides a value of a request, as text; words do not."""
        return repr(self).replace(f", words={self.words!r})", ")")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of the input."""
        return (self.input,) if isinstance(self.input, str) else tuple(self.input)

    @property
    def text_column(self) -> str:
        """The column that is searched as text; empty where there is none."""
        return self.text or (self.input if isinstance(self.input, str) else "")

    @property
    def declared(self) -> dict[str, Feature]:
        """Every feature by name, each with its column; a plain list names categories of the input."""
        given = self.features
        named = given if isinstance(given, dict) else {name: Feature(column=name) for name in given}
        return {
            name: each if each.column else msgspec.structs.replace(each, column=name) for name, each in named.items()
        }

    def within(self, found: Fraction, wanted: Fraction) -> bool:
        """Whether a regressor's answer is near enough to the label."""
        from fractions import Fraction  # every command reads the settings, and few compare numbers

        absolute = Fraction(str(self.tolerance or 0))
        relative = Fraction(str(self.relative_tolerance or 0)) * abs(wanted)
        return abs(found - wanted) <= max(absolute, relative)

    @property
    def rule(self) -> str:
        """When an answer is right, in one line: a part of each report, as two rules are not comparable."""
        if self.kind != "regressor":
            return f"the answer equals {self.label}" + ("" if self.compare == "exact" else ", whatever the case")
        parts = [f"{self.tolerance:.15g}"] if self.tolerance is not None else []
        if self.relative_tolerance is not None:
            parts.append(f"{self.relative_tolerance * 100:.15g} % of it")
        return f"the answer differs from {self.label} by at most {' or '.join(parts)}"

    @property
    def summary(self) -> str:
        """What the table says, in one line for people."""
        parts = [f"input {', '.join(self.inputs)}"]
        parts += [f"label {self.label}"] if self.label else []
        parts += [f"features {', '.join(self.declared)}"] if self.declared else []
        parts += [f"embedding {self.embedding.column}"] if self.embedding else []
        return f"{self.kind}: {'; '.join(parts)}"
