"""The stores of a project as ``spine info`` shows them; it works where they are missing or damaged.

It does not know what else the command shows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from miniobserve.sql.protocol import StorageError
from modelspine.cli.errors import as_spine_error
from modelspine.cli.output import Cell, Piece, status_cell
from modelspine.ledger.clocks import jumps
from modelspine.registry.rules import ledger_service
from modelspine.settings import Settings, masked
from modelspine.spine import Spine
from modelspine.text import counted, size, visible
from modelspine.times import FORMAT

_NAMED = 3
"""Most events of one kind that the row of the ledger names."""
Facts = dict[str, dict[str, Any]]
"""Name of a setting or store → what is known about it, as the JSON has it."""


def stores_of(spine: Spine) -> Facts:
    """What each store is: where, how large, and whether it can be used."""
    settings = spine.settings
    return {
        "ledger": _store(settings.ledger, lambda: _events(spine)),
        "traces": _store(settings.traces, lambda: _traces(spine)),
        "mlflow": _store(settings.mlflow, lambda: ""),
        "cache": _folder(settings.cache, "bundle"),
        "artifacts": _folder(settings.artifacts, "folder"),
        "parquet": _objects(settings.parquet, "day"),
        **({"files": _files(settings)} if settings.files else {}),
    }


def _events(spine: Spine) -> str:
    """How many events the ledger holds, and which of them cannot be read or have a time that jumped."""
    events = spine.registry.events()
    now = datetime.now(UTC).strftime(FORMAT)
    found = [counted(len(events), "event")]
    if owner := ledger_service(spine.registry.state()):
        other = f", and this project is {spine.settings.service}" if spine.settings.service not in ("", owner) else ""
        found.append(f"of the service {visible(owner, 60)}{other}")
    found += [f"#{each.seq} cannot be read" for each in spine.registry.history.unreadable[:_NAMED]]
    found += [f"the time of #{each.seq} jumped" for each in islice(jumps(events, now), _NAMED)]
    return ", ".join(found)


def _traces(spine: Spine) -> str:
    matched = spine.traces.list(limit=1).matched
    return "over 10,000 traces" if matched is None else counted(matched, "trace")


def _store(url: str, ask: Callable[[], str]) -> dict[str, Any]:
    """A database: whether it exists, whether it answers, and how much it holds."""
    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    answer: dict[str, Any] = {"where": masked(url), "state": "ok", "bytes": None, "holds": ""}
    if path is not None and not path.is_file():
        return answer | {"state": "missing"}
    if path is not None:
        answer["bytes"] = path.stat().st_size
    try:
        return answer | {"holds": ask()}
    except Exception as error:  # noqa: BLE001  (one broken store must not hide the others)
        cause = error if isinstance(error, StorageError) else error.__cause__
        if isinstance(cause, StorageError) and cause.kind == "absent":
            return answer | {"state": "missing"}
        return answer | {"state": "unusable", "holds": as_spine_error(error).message}


def _objects(place: str, noun: str) -> dict[str, Any]:
    """A folder or a bucket; a bucket is not asked, because that takes a network and credentials."""
    if "://" not in place:
        return _folder(Path(place), noun)
    holds = "not asked; `spine info --reach` asks"
    return {"where": masked(place), "state": "not_checked", "bytes": None, "holds": holds}


def _files(settings: Settings) -> dict[str, Any]:
    """The kept files of requests, or why the setting keeps none."""
    if not settings.keeps_files:
        why = f"keeps nothing, as text_policy is {settings.text_policy}: an image is a text in another form"
        return {"where": masked(settings.files), "state": "warn", "bytes": None, "holds": why}
    return _objects(settings.files, "folder")


def _folder(path: Path, noun: str) -> dict[str, Any]:
    if not path.is_dir():
        return {"where": str(path), "state": "missing", "bytes": None, "holds": ""}
    try:
        count = sum(1 for child in path.iterdir() if not child.name.startswith("."))
    except OSError as error:
        return {"where": str(path), "state": "unusable", "bytes": None, "holds": error.strerror or ""}
    return {"where": str(path), "state": "ok", "bytes": None, "holds": counted(count, noun)}


def store_row(name: str, store: dict[str, Any]) -> tuple[Piece, ...]:
    """A store as a row of the table."""
    amount = size(store["bytes"]) if store["bytes"] is not None else ""
    return name, status_cell(store["state"]), amount, store["holds"], Cell(store["where"], "muted")
