"""``spine info``: every setting with its origin, the versions in use, and what each store is.

It works where stores are missing or damaged, and loads none of the libraries it names.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.cli.errors import as_spine_error
from modelspine.cli.info_stores import Facts, store_row, stores_of
from modelspine.cli.output import Cell, Out, status_cell
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.ledger.store import storage_errors
from modelspine.projects import Listed, projects_file, read_projects, settings_of
from modelspine.settings import Settings, masked
from modelspine.spine import Spine
from modelspine.words import words_of

if TYPE_CHECKING:
    from modelspine.overview.lines import Fact

_PACKAGES = (
    "modelspine",
    "msgspec",
    "rfc8785",
    "textual",
    "mlflow",
    "dvc",
    "torch",
    "numpy",
    "safetensors",
    "tokenizers",
    "psycopg",
    "duckdb",
    "obstore",
    "boto3",
)


def command(verbs: Verbs) -> None:
    """Add ``info``."""
    info = verbs.add(
        "info",
        "show the settings, the state of each store and the versions in use",
        run,
        example="spine info",
    )
    info.add_argument(
        "--reach",
        action="store_true",
        help="only check that ledger, MLflow and DVC answer; else exit 3",
    )

    info.add_argument(
        "--projects", action="store_true", help="only list the projects that `spine console` can switch to"
    )


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Show settings, stores and versions, or only ask whether the backends answer."""
    out = Out.of(args)
    if args.projects:
        return _projects(out)
    if args.reach:
        return _reach(out, spine)
    root, settings, stores = str(spine.settings.root), _settings(spine.settings), stores_of(spine)
    versions = _versions()
    overview, lines = _overview(spine)
    if out.json:
        out.object({
            "root": root, "overview": overview, "settings": settings, "stores": stores, "versions": versions
        })  # fmt: skip
        return Exit.OK
    out.line(f"project {root}")
    out.line()
    if lines:
        out.line(f"{overview['sentence']} Figures: {overview['span']}")
    out.pairs((fact.name, Cell(fact.text, "" if fact.state == "good" else fact.state)) for fact in lines)
    out.line()
    if (wrong := _unusable_words(spine)) is not None:
        out.line(status_cell("warn", f"{wrong}; texts use neutral words"))
    table = spine.settings.workload
    shown = {"collect": spine.settings.collect.summary}
    shown |= {} if isinstance(table, str) else {"workload": table.summary}
    rows = [
        (name, shown.get(name, str(setting["value"])), Cell(setting["origin"], "muted"))
        for name, setting in settings.items()
    ]
    out.table(("setting", "value", "from"), rows)
    out.line()
    kept = [store_row(*item) for item in stores.items()]
    out.table(("store", "state", "size", "holds", "where"), kept, right=("size",))
    out.line()
    out.pairs(versions.items())
    return Exit.OK


def _overview(spine: Spine) -> tuple[dict[str, Any], tuple[Fact, ...]]:
    """What the console's Home screen shows, as JSON and as lines; without a usable ledger, only why there is none."""
    from modelspine.overview.day import day_figures
    from modelspine.overview.glance import glance
    from modelspine.overview.lines import facts, sentence, span

    now = datetime.now(UTC)
    try:
        seen = glance(spine, now)
        day = day_figures(spine, seen, now)
    except Exception as error:  # noqa: BLE001  (a broken store must not hide the settings)
        return {"problem": as_spine_error(error).message}, ()
    lines = facts(seen, day, now)
    shown = {"now": seen, "day": day, "lines": lines, "sentence": sentence(lines), "span": span(day)}
    return msgspec.to_builtins(shown), lines


def _unusable_words(spine: Spine) -> str | None:
    """Why the words that the workload declares are not used; None where they are, or where it does not load."""
    try:
        words_of(spine.workload)
    except BadInput as error:
        return error.message if "declares words" in error.message else None
    except Exception:  # noqa: BLE001  (foreign code; that it does not load is said where it is needed)
        return None
    return None


def _reach(out: Out, spine: Spine) -> int:
    """Ask each backend a deployment needs; the first that does not answer is the command's error."""
    backends: dict[str, Callable[[], object]] = {
        "ledger": spine.ledger.head, "mlflow": spine.artifacts.reach, "dvc": spine.corpora.reach
    }  # fmt: skip
    places = {"parquet": spine.settings.parquet, "files": spine.settings.files}
    backends |= {name: partial(_probe, place) for name, place in places.items() if "://" in place}
    with working("asking the backends"):
        for ask in backends.values():
            ask()
    if out.json:
        out.object({"reached": list(backends)})
    else:
        out.line(status_cell("ok", f"{', '.join(backends)} answer"))
    return Exit.OK


def _probe(url: str) -> None:
    """Check that a bucket can be written, and that an object in it is never replaced."""
    from miniobserve.objects import open_objects

    with storage_errors():
        open_objects(url).probe()


def _projects(out: Out) -> int:
    """List the projects of the operator's list; each ledger is asked, and one that does not answer hides no other."""
    file = projects_file(os.environ)
    found = [_project(each) for each in read_projects(os.environ)]
    if out.json:
        out.object({"file": str(file) if file else None, "projects": found})
        return Exit.OK
    if not found:
        out.line(f"{file or 'no folder for settings'} lists no project; `spine init --remember` adds the one here")
        return Exit.OK
    rows = [
        (each["name"], status_cell(each["state"]), each["env"], each["service"], Cell(each["says"], "muted"))
        for each in found
    ]
    out.table(("project", "state", "env", "service", "folder"), rows, optional=("service",))
    return Exit.OK


def _project(listed: Listed) -> dict[str, str]:
    """What is known of a listed project; its ledger is read."""
    answer = {"name": listed.name, "folder": str(listed.folder or ""), "state": "unusable", "env": "", "service": ""}
    if listed.problem:
        return answer | {"says": listed.problem}
    try:
        settings = settings_of(listed.name, os.environ)
        with Spine(settings, readonly=True) as spine:
            env = spine.registry.state().env
    except Exception as error:  # noqa: BLE001  (one broken project must not hide the others)
        return answer | {"says": as_spine_error(error).message}
    return answer | {"state": "ok", "env": env, "service": settings.service_name, "says": str(listed.folder)}


def _settings(settings: Settings) -> Facts:
    names = [name for name in Settings.__struct_fields__ if name not in ("root", "origins")]
    return {
        name: {"value": _presentable(getattr(settings, name)), "origin": settings.origins.get(name, "default")}
        for name in names
    }


def _presentable(value: Any) -> Any:
    """A setting without the password that a URL may hold."""
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    return masked(str(value)) if isinstance(value, str | Path) else value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    if found["mlflow"] == "not installed":  # the extra installs MLflow's client, a distribution of its own
        with contextlib.suppress(PackageNotFoundError):
            found["mlflow"] = version("mlflow-skinny")
    return found
