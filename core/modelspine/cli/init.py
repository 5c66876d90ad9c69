"""``spine init``: make a project's ledger, in any folder, and say what was made."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from miniobserve.sql.protocol import StorageError
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.errors import Damaged, Exit, Unavailable
from modelspine.git import run_git
from modelspine.ledger.store import Ledger
from modelspine.settings import Settings, masked
from modelspine.spine import Spine, create_ledger
from modelspine.text import visible


def command(verbs: Verbs) -> None:
    """Add ``init``."""
    init = verbs.add("init", "create the ledger of this project, a git repository or folder", run, example="spine init")
    init.add_argument("--env", choices=("dev", "prod"), help="the permanent environment of the ledger (default: dev)")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Make what is missing; what is there stays as it is."""
    settings, out = spine.settings, Out.of(args)
    file = _file(settings)
    before = _env_before(settings, file)
    event, created = create_ledger(settings, args.env or before or settings.env)
    ignored = _ignore(settings)
    env = str(event.body.get("env"))
    answer: dict[str, Any] = {
        "root": str(settings.root),
        "home": str(settings.home),
        "ledger": masked(settings.ledger),
        "env": env,
        "seq": event.seq,
        "created": created,
        "gitignore": str(ignored) if ignored else None,
    }
    if out.json:
        out.object(answer)
        return Exit.OK
    where = visible(str(file or masked(settings.ledger)), 200)
    out.line(f"#{event.seq} opened {where} as {env}" if created else f"{where} was there already, opened as {env}")
    if ignored:
        out.line(f"   added {settings.home.name}/ to {visible(str(ignored), 200)}")
    if created:
        out.line("   next: `spine register BUNDLE_DIR`")
    return Exit.OK


def _file(settings: Settings) -> Path | None:
    """The ledger's file, where it is one."""
    url = settings.ledger
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def _env_before(settings: Settings, file: Path | None) -> str | None:
    """The environment of the ledger that is there; None where none is, or one whose making was cut short.

    Raises:
        Damaged: there was one, and it cannot be read any more.
    """
    try:
        ledger = Ledger(settings.ledger, actor=settings.actor, readonly=True)
        try:
            events = ledger.events()
        finally:
            ledger.close()
    except Damaged:
        events = []
    except Unavailable as error:
        absent = isinstance(error.__cause__, StorageError) and error.__cause__.kind == "absent"
        if not absent and (file is None or file.exists()):
            raise
        events = []
    if events:
        return str(events[0].body.get("env"))
    # A bundle gets into the cache only after a ledger was opened, so one there says that there was a ledger.
    if settings.cache.is_dir() and any(settings.cache.iterdir()):
        raise Damaged(
            f"{file or masked(settings.ledger)} holds no ledger that can be read, and {settings.cache} has its bundles",
            f"restore it from a backup; to begin anew, move {settings.home} away first",
        )
    return None


def _ignore(settings: Settings) -> Path | None:
    """Keep the state out of git: the .gitignore that was written, or None where nothing had to be."""
    if settings.root not in settings.home.parents:
        return None
    name = f"{settings.home.relative_to(settings.root)}/"
    try:
        checked = run_git(settings.root, "check-ignore", "-q", name)
    except Unavailable:
        return None  # without git there is nothing to keep it out of
    if checked.returncode != 1:  # 0: ignored already; 128: no git repository
        return None
    file = settings.root / ".gitignore"
    before = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    gap = "" if not before or before.endswith("\n") else "\n"
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"{gap}{name}\n")
    return file
