"""``spine init``: make a project's ledger, in a git repository or any other folder."""

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


def command(verbs: Verbs) -> None:
    """Add ``init``."""
    init = verbs.add("init", "create the ledger of this project, a git repository or folder", run, example="spine init")
    init.add_argument("--env", choices=("dev", "prod"), help="the permanent environment of the ledger (default: dev)")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Make what is missing, and change nothing that exists."""
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
    where = file or masked(settings.ledger)
    out.line(f"#{event.seq} opened {where} as {env}" if created else f"{where} already exists, opened as {env}")
    if ignored:
        out.line(f"   added {settings.home.name}/ to {ignored}")
    if created:
        out.line("   next: `spine register BUNDLE_DIR`")
    return Exit.OK


def _file(settings: Settings) -> Path | None:
    """The ledger's file; None where the ledger is on a database server."""
    url = settings.ledger
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def _env_before(settings: Settings, file: Path | None) -> str | None:
    """The environment of an existing ledger; None where there is none, or only one whose making was interrupted.

    Raises:
        Damaged: there was a ledger, and it can no longer be read.
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
    # A bundle enters the cache only after a ledger was opened, so a bundle there proves that there was a ledger.
    if settings.cache.is_dir() and any(settings.cache.iterdir()):
        raise Damaged(
            f"{file or masked(settings.ledger)} holds no ledger that can be read, and {settings.cache} has its bundles",
            f"restore it from a backup; to begin anew, move {settings.home} away first",
        )
    return None


def _ignore(settings: Settings) -> Path | None:
    """Keep the project's state out of git; returns the .gitignore it wrote, or None where it was not needed."""
    if settings.root not in settings.home.parents:
        return None
    name = f"{settings.home.relative_to(settings.root)}/"
    try:
        checked = run_git(settings.root, "check-ignore", "-q", name)
    except Unavailable:
        return None  # git is not installed
    if checked.returncode != 1:  # 0: ignored already; 128: no git repository
        return None
    file = settings.root / ".gitignore"
    before = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    gap = "" if not before or before.endswith("\n") else "\n"
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"{gap}{name}\n")
    return file
