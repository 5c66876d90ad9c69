"""Exporting closed days of traces: deciding which days are closed, and exporting them one after the other.

A day is closed once it is over in UTC. It does not know how a day is written or read back.
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
    """The exclusive end of the requested days, by default ``today``.

    Raises:
        BadInput: both were given, or a requested day is not over.
    """
    if day is not None and before is not None:
        raise BadInput(f"both --day {day} and --before {before} were given", "give only one of them")
    if day is not None and date.fromisoformat(day) >= today:
        raise BadInput(f"{day} is not over (UTC), and only closed days are exported", f"wait, or give --before {today}")
    if before is not None and date.fromisoformat(before) > today:
        raise BadInput(
            f"--before {before} includes {today}, which is not over (UTC)", f"give --before {today} or earlier"
        )
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
    """Export one day, the days ``before`` another or all closed days, oldest first, yielding each when it is done.

    Raises:
        BadInput: a day is not over, or ``prune`` was combined with a folder from which traces are not read back.
        Unavailable, Damaged: the store or the folder cannot be used, or an exported day did not read back unchanged.
    """
    from miniobserve.archive import Archive
    from miniobserve.export import export_day

    end = closed_before(day, before, today)
    folder = project.settings.parquet if out is None else out.absolute()
    if prune and folder.resolve() != project.settings.parquet.resolve():
        raise BadInput(
            f"--prune cannot be used with --out {folder}: traces are read back only from {project.settings.parquet}",
            "omit --out, or set `parquet` to that folder",
        )
    with storage_errors():
        days = [day] if day is not None else project.traces.days(end)
        archive = Archive(folder)
        try:
            for number, each in enumerate(days):
                progress("days", number, len(days))
                done = export_day(project.settings.traces, archive, each, prune=prune)
                if done is not None:
                    yield done
        finally:
            archive.close()
