"""Importing a file of labels: every row is checked first, then what they say is stored in batches.

Rows of the same request are joined before they are compared with what is stored, the last one counting over the others,
so that a file which corrects itself changes nothing when it is imported again.
A batch is stored whole or not at all. An import that was cut short can be repeated: what is there already is unchanged.
It does not know how answers are graded.
"""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from miniobserve.label_store import BATCH, LabelStore
from miniobserve.saying import MOST_NAMED, Saying, Stored
from modelspine.errors import BadInput
from modelspine.ledger.store import storage_errors
from modelspine.maintenance.label_rows import Columns, columns_of, names_of, rows_of, saying_of
from modelspine.text import visible

if TYPE_CHECKING:
    from modelspine.project import Project

_CLOSED = 50_000
"""Sayings about requests that the live store does not have, which are looked for in closed days together."""
Step = Callable[[str, int, int], None]


class LabelsImported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would have done."""

    rows: int
    """Rows that say something."""
    empty: int
    """Rows that say nothing."""
    stored: int
    corrected: int
    unchanged: int
    repeated: int = 0
    """Rows of a request that was found and has a later row in the file, which counts over them."""
    unknown: int
    """Rows whose id no request has, or several requests of one trace."""
    graded: int
    """Answers that what was said grades; ``right`` of them are right."""
    right: int
    unknown_ids: tuple[str, ...] = ()
    """The first of them."""
    dry_run: bool = False

    @property
    def matched(self) -> int:
        """Rows whose request was found."""
        return self.stored + self.corrected + self.unchanged + self.repeated


def import_labels(
    project: Project,
    file: Path,
    *,
    id_column: str | None = None,
    label_column: str | None = None,
    unknown: Path | None = None,
    dry_run: bool = False,
    step: Step = lambda *_: None,
) -> LabelsImported:
    """Import a file.

    Args:
        project: the project.
        file: the labels.
        id_column: the column that names the requests; by default the usual one that is there.
        label_column: the column of the labels; likewise.
        unknown: a file to write the ids to that no request has, one a line.
        dry_run: only say what would be done.
        step: called with the progress.

    Raises:
        BadInput: a row does not say what it should; nothing was stored.
        Unavailable, Damaged: the file or the store cannot be used; what was stored before is kept.
    """
    table = getattr(project.workload, "table", None)
    names = names_of(file)
    if not names:
        raise BadInput(f"{visible(file.name, 80)} has no rows", "give a file with a row for each answer")
    columns = columns_of(names, table, id_column=id_column, label_column=label_column)
    total, empty, several = counted_rows(file, columns, step)
    tally = _Tally(total)
    with storage_errors():
        settings = project.settings
        store = LabelStore(settings.traces, settings.parquet, project.labelling, dry_run=dry_run)
        try:
            tally.run(store, sayings_of(file, columns, several, tally.rows), step)
        finally:
            store.close()
    if unknown is not None:
        unknown.write_text("".join(f"{name}\n" for name in tally.unknown), encoding="utf-8")
    counts = tally.counts
    return LabelsImported(
        rows=total, empty=empty, stored=counts["stored"], corrected=counts["corrected"], unchanged=counts["unchanged"],
        repeated=counts["repeated"], unknown=tally.unknown_rows, graded=tally.graded, right=tally.right,
        unknown_ids=tuple(tally.unknown[:MOST_NAMED]), dry_run=dry_run,
    )  # fmt: skip


def counted_rows(file: Path, columns: Columns, step: Step = lambda *_: None) -> tuple[int, int, set[int]]:
    """Check every row of a file.

    Returns:
        How many rows say something, how many say nothing, and the hashes of the names that several rows have.

    Raises:
        BadInput: a row does not say what it should.
    """
    total = empty = 0
    # A hash of eight bytes a row and not its name, because a file may have millions of rows. Sorting them at the end
    # needs about 40 bytes more for each.
    names = array("q")
    for number, row in rows_of(file):
        said = saying_of(row, columns, number)
        total, empty = total + (said is not None), empty + (said is None)
        if said is not None:
            names.append(hash(said.name))
        step("checking", total + empty, 0)
    return total, empty, {one for one, other in itertools.pairwise(sorted(names)) if one == other}


def sayings_of(file: Path, columns: Columns, several: Collection[int], rows: Counter[str]) -> Iterator[Saying]:
    """Yield what a file says of each request; those with several rows last, with ``rows`` set to how many they have."""
    joined: dict[str, Saying] = {}
    for number, row in rows_of(file):
        said = saying_of(row, columns, number)
        if said is None:
            continue
        if hash(said.name) not in several:
            yield said
            continue
        rows[said.name] += 1
        earlier = joined.get(said.name)
        joined[said.name] = said if earlier is None else earlier.then(said)
    yield from joined.values()


class _Tally:
    """What became of the rows."""

    def __init__(self, total: int) -> None:
        self.counts: Counter[str] = Counter()
        self.unknown: list[str] = []
        self.unknown_rows = 0
        self.rows: Counter[str] = Counter()
        """The rows of each request that may have several."""
        self.graded = self.right = self._done = 0
        self._total = total

    def run(self, store: LabelStore, sayings: Iterator[Saying], step: Step) -> None:
        """Store what is said, what is about closed days last."""
        waiting: list[Saying] = []
        while batch := list(itertools.islice(sayings, BATCH)):
            results = store.say(batch)
            waiting += [said for said, result in zip(batch, results, strict=True) if result is None]
            self._count(batch, results)
            step("storing", self._done, self._total)
            if len(waiting) >= _CLOSED:
                self._count(waiting, store.say_closed(waiting))
                waiting = []
        if waiting:
            self._count(waiting, store.say_closed(waiting))
            step("storing", self._done, self._total)

    def _count(self, sayings: Sequence[Saying], results: Sequence[Stored | None]) -> None:
        for said, result in zip(sayings, results, strict=True):
            if result is None:
                continue
            rows = self.rows.get(said.name, 1)
            self._done += rows
            self.counts[result.status] += 1
            if result.status in ("unknown", "several"):
                self.unknown.append(said.name)
                self.unknown_rows += rows
                continue
            self.counts["repeated"] += rows - 1
            if result.graded is not None:
                self.graded += 1
                self.right += result.graded
