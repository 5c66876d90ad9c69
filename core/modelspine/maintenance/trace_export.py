"""Closing days: which days of traces may leave the live store, and their export, one after the other.

A day is closed once it is over everywhere (UTC). It does not know how a day is written or read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.errors import BadInput
from modelspine.ledger.store import storage_errors
from modelspine.project import Project

if TYPE_CHECKING:
    from miniobserve.export import Exported

Progress = Callable[[str, int, int], None]


def closed_before(day: str | None, before: str | None, today: date) -> str:
    """The day before which every day asked for lies.

    Raises:
        BadInput: a day that is asked for is not over.
    """
    if day is not None and before is not None:
        raise BadInput("a day and an end were given", "give --day or --before, not both")
    if day is not None and date.fromisoformat(day) >= today:
        raise BadInput(f"{day} is not over (UTC), and only closed days are exported", f"wait, or export up to {today}")
    if before is not None and date.fromisoformat(before) > today:
        raise BadInput(f"before {before} lies {today}, which is not over (UTC)", f"give --before {today} or earlier")
    if day is not None:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    return before or today.isoformat()


def export_days(
    project: Project,
    *,
    day: str | None,
    before: str | None,
    today: date,
    out: Path | None,
    prune: bool,
    progress: Progress,
) -> Iterator[Exported]:
    """Export what was asked for, oldest day first, each as it is done; without a day or an end every closed day.

    Raises:
        BadInput: a day that is not over, or pruning into a folder no walk looks in.
        Unavailable, Damaged: the store or the folder cannot be used, or a day did not read back as it was.
    """
    from miniobserve.archive import Archive
    from miniobserve.export import export_day

    end = closed_before(day, before, today)
    folder = project.settings.parquet if out is None else out.absolute()
    if prune and folder.resolve() != project.settings.parquet.resolve():
        raise BadInput(
            "--prune deletes only what a walk still finds, and it looks in one folder",
            f"leave --out away, or set `parquet` (now {project.settings.parquet}) to that folder",
        )
    with storage_errors():
        days = [day] if day is not None else project.traces.days(end)
        archive = Archive(folder)
        try:
            for number, one in enumerate(days):
                progress("days", number, len(days))
                done = export_day(project.settings.traces, archive, one, prune=prune)
                if done is not None:
                    yield done
        finally:
            archive.close()
