"""Exporting closed days of traces: deciding which days are closed, and exporting them one after the other.

A day is closed once it is over in UTC. It does not know how a day is written or read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.errors import BadInput
from modelspine.ledger.store import storage_errors
from modelspine.project import DAYS, Project
from modelspine.settings import masked

if TYPE_CHECKING:
    from miniobserve.archive import Archive
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
    out: str | None,
    prune: bool,
    progress: Progress,
) -> Iterator[Exported]:
    """Export one day, the days ``before`` another or all closed days, oldest first, yielding each when it is done.

    Raises:
        BadInput: a day is not over, or ``prune`` was combined with a place from which traces are not read back.
        Unavailable, Damaged: the store or the place cannot be used, or an exported day did not read back unchanged.
    """
    from miniobserve.export import export_day

    end, settings = closed_before(day, before, today), project.settings
    place = _place(out) if out is not None else settings.parquet
    if prune and place != settings.parquet and _resolved(place) != _resolved(settings.parquet):
        raise BadInput(
            f"--prune cannot be used with --out {place}: traces are read back only from {masked(settings.parquet)}",
            "omit --out, or set `parquet` to that place",
        )
    with storage_errors():
        days = [day] if day is not None else project.traces.days(end)
        with opened(project, place) as archive:
            spoken = project.traces.days_spoken_of(end) if day is None else []
            late = [one for one in spoken if one not in days and archive.index.manifest(one) is not None]
            days = sorted([*days, *late])
            if days:
                archive.objects.probe()  # a bucket that replaces objects would lose a day to a second export
            for number, each in enumerate(days, 1):
                step = partial(progress, f"{each} ({number} of {len(days)})")
                done = export_day(settings.traces, archive, each, prune=prune, service=settings.service, progress=step)
                # Of a day that left the store, only what was said since is of interest.
                if done is not None and (done.written or each not in late):
                    yield done


def sweep_days(project: Project) -> list[str]:
    """Delete the files of closed days that no manifest lists, as killed exports leave them; returns their keys.

    Raises:
        Unavailable, Damaged: the place of closed days cannot be used.
    """
    from miniobserve.export import sweep

    with storage_errors(), opened(project, project.settings.parquet) as archive:
        return sweep(archive)


@contextmanager
def opened(project: Project, place: str) -> Iterator[Archive]:
    """Yield the closed days at a folder or URL."""
    from miniobserve.archive import Archive

    archive = Archive(place, project.settings.cache / DAYS)
    try:
        yield archive
    finally:
        archive.close()


def _place(out: str) -> str:
    """The place that was asked for: a URL as it is, and a folder with its full path."""
    return out if "://" in out else str(Path.cwd() / out)


def _resolved(place: str) -> str:
    return place.rstrip("/") if "://" in place else str(Path(place).resolve())
