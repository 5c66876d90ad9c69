"""A comparison of two entries as the aligned rows that the command line and the console both draw.

Each part of the entries is one section. The largest change of a section comes first, and what is the same in both is
listed only on request. It computes no difference itself and does not know how a row is drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from modelspine.gate.eval_report import Count
from modelspine.identity.tensors import Tensor
from modelspine.registry.diff import Comparison, Delta
from modelspine.text import counted, short
from modelspine.text import size as bytes_of

_OVERALL = ("total", "false_accept")
"""Measures over the whole evaluation; the other ones are buckets of it."""
_FEWER_IS_BETTER = "false_accept"
ABSENT = "–"
"""What stands on the side that lacks a part."""
UNCHANGED = "unchanged"
"""What stands in the column of changes where there is none."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One part of both entries, as text."""

    name: str
    a: str
    b: str
    change: str
    """What became of it; empty if it is the same in both."""
    better: bool | None = None
    """Whether B is better; None where that cannot be said."""
    size: float = 0.0
    """How large the change is, comparable within its section."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one kind of part."""

    title: str
    rows: tuple[Row, ...]
    """Those that differ, the largest change first; then those that are the same, if they were asked for."""
    same: int
    """How many are the same in both."""
    unit: str = "change"
    """The heading of the column of changes."""
    note: str = ""
    """What the rows do not show."""


def sections(found: Comparison, *, everything: bool = False) -> tuple[Section, ...]:
    """The sections of a comparison; ``everything`` also lists what is the same in both entries."""
    content = found.content
    overall = [_delta(delta) for delta in found.deltas if delta.name in _OVERALL]
    buckets = [_delta(delta) for delta in found.deltas if delta.name not in _OVERALL]
    never = "" if found.deltas else "neither entry was ever evaluated"
    from_a, from_b = (short(parent) if parent else None for parent in content.parents)
    unclear = "tokenizer: unknown; it is not recorded separately from the config"
    kinds: tuple[tuple[str, Iterable[Row], str, str], ...] = (
        ("evaluation", overall, "Δ pp", never),
        ("buckets", buckets, "Δ pp", ""),
        ("corpora", _corpora(found), "change", ""),
        ("config", (_row(path, a, b, size=_step(a, b)) for path, a, b in content.settings), "change", ""),
        ("tokenizer", _tokenizer(found), "change", unclear if found.tokenizer_changed is None else ""),
        ("parent", [_row("parent", from_a, from_b)], "change", ""),
        ("tensors", (_tensor(a, b) for a, b in content.tensors), "change", ""),
        ("other files", _files(found), "change", ""),
    )
    return tuple(_section(title, rows, unit, note, everything=everything) for title, rows, unit, note in kinds)


def unchanged(found: Iterable[Section]) -> str:
    """One sentence on the sections that are the same in both entries; empty if there are none."""
    titles = [f"{each.title}{f' ({each.same:,})' if each.same > 1 else ''}" for each in found if _is_same(each)]
    return f"unchanged: {', '.join(titles)}" if titles else ""


def heading(section: Section) -> str:
    """The title of a section, with how many of its rows differ."""
    differ = sum(bool(row.change) for row in section.rows)
    same = f", {section.same:,} unchanged" if section.same else ""
    return f"{section.title}: {counted(differ, 'change')}{same}"


def shown(found: Iterable[Section]) -> list[Section]:
    """The sections that have something to list."""
    return [each for each in found if each.rows or each.note]


def _is_same(section: Section) -> bool:
    return not section.rows and bool(section.same)


def _section(title: str, rows: Iterable[Row], unit: str, note: str, *, everything: bool) -> Section:
    listed = list(rows)
    same = [row for row in listed if not row.change]
    differing = sorted((row for row in listed if row.change), key=lambda row: (-row.size, row.name))
    kept = (*differing, *same) if everything else tuple(differing)
    return Section(title=title, rows=kept, same=len(same), unit=unit, note=note)


def _row(name: str, a: str | None, b: str | None, *, size: float = 0.0) -> Row:
    """A row of two texts; what only one side has comes after what differs."""
    if a is None or b is None:
        change = "" if a == b else "added" if a is None else "removed"
        return Row(name=name, a=ABSENT if a is None else a, b=ABSENT if b is None else b, change=change)
    return Row(name=name, a=a, b=b, change="" if a == b else "changed", size=size)


# evaluation ---------------------------------------------------------------------------------------------


def _delta(delta: Delta) -> Row:
    a, b, points = _count(delta.a), _count(delta.b), delta.pp
    if points is None:
        return _row(delta.name, a, b)
    if delta.a == delta.b:
        return Row(name=delta.name, a=a or "", b=b or "", change="")
    better = None if points == 0 else (points > 0) != (delta.name == _FEWER_IS_BETTER)
    change = f"{points:+.2f}".replace("-", "−")
    return Row(name=delta.name, a=a or "", b=b or "", change=change, better=better, size=abs(points))


def _count(count: Count | None) -> str | None:
    if count is None:
        return None
    return f"{count.k:,}/{count.n:,}" + (f" {100 * count.k / count.n:5.1f} %" if count.n else "")


# content ------------------------------------------------------------------------------------------------


def _step(a: str | None, b: str | None) -> float:
    """How far a setting moved: for two numbers the logarithm of their ratio, for anything else 1."""
    try:
        numbers = [json.loads(side) for side in (a or "", b or "")]
    except ValueError:
        return 1.0
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        return 1.0
    if any(number <= 0 for number in numbers):
        return 1.0
    return abs(math.log(numbers[1]) - math.log(numbers[0]))


def _tokenizer(found: Comparison) -> Iterator[Row]:
    if found.tokenizer_changed is not None:
        yield Row(name="tokenizer", a="", b="", change="changed" if found.tokenizer_changed else "")


def _tensor(a: Tensor | None, b: Tensor | None) -> Row:
    """One tensor; the largest ones come first, because only their digests are known and not how far they moved."""
    before, after = _shape(a), _shape(b)
    name = next(side.name for side in (a, b) if side is not None)
    if a is None or b is None:
        return _row(name, before, after)
    weight = float(max(a.size, b.size))
    if a.digest == b.digest:
        change = ""
    elif a.dtype != b.dtype:
        change = "type"
    else:
        change = "shape" if a.shape != b.shape else "values"
    return Row(name=name, a=before or "", b=after or "", change=change, size=weight)


def _shape(tensor: Tensor | None) -> str | None:
    return None if tensor is None else f"{tensor.dtype} {'×'.join(map(str, tensor.shape)) or 'scalar'}"


def _files(found: Comparison) -> Iterator[Row]:
    for a, b in found.content.assets:
        name = next(side.name for side in (a, b) if side is not None)
        weight = float(max(side.size for side in (a, b) if side is not None))
        before, after = (f"{short(side.sha256 or '')} {bytes_of(side.size)}" if side else None for side in (a, b))
        yield _row(name, before, after, size=weight)


def _corpora(found: Comparison) -> Iterator[Row]:
    """Corpora by path: another version of the same path is one row."""
    removed = [a for a, b in found.corpora if a is not None and b is None]
    for a, b in found.corpora:
        if a is not None and b is not None:
            yield _row(str(a.get("path", "corpus")), _corpus(a), _corpus(b))
        elif b is not None:
            before = next((each for each in removed if each.get("path") == b.get("path")), None)
            if before is not None:
                removed.remove(before)
            yield _row(str(b.get("path", "corpus")), _corpus(before), _corpus(b))
    for each in removed:
        yield _row(str(each.get("path", "corpus")), _corpus(each), None)


def _corpus(corpus: dict[str, object] | None) -> str | None:
    if corpus is None:
        return None
    rows = corpus.get("rows")
    return f"md5 {short(str(corpus.get('dvc_hash', '')))}" + (f" {rows:,} rows" if isinstance(rows, int) else "")


def cut_rows(rows: Sequence[Row], most: int) -> tuple[Sequence[Row], str]:
    """The first rows, and a remark on those that are left out."""
    left_out = len(rows) - most
    return (rows[:most], f"and {left_out:,} more; `--json` names them all") if left_out > 0 else (rows, "")
