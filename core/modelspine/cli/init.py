"""``spine init``: make a project's ledger and its first settings, in a git repository or any other folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from miniobserve.sql.protocol import StorageError
from modelspine.cli.first_settings import Choice, ask, checked_service, ci_of, folder_name, on_terminal, write_settings
from modelspine.cli.output import Out, status_cell
from modelspine.cli.parser import Verbs
from modelspine.errors import Damaged, Exit, Unavailable
from modelspine.git import run_git
from modelspine.ledger.store import Ledger
from modelspine.projects import projects_file, remember
from modelspine.settings import Settings, masked, settings_file
from modelspine.spine import Spine, create_ledger


def command(verbs: Verbs) -> None:
    """Add ``init``."""
    init = verbs.add(
        "init", "create the ledger of this project, a git repository or folder", run,
        details="On a terminal it asks for what is not given, where nothing is set yet. It writes a commented "
        "spine.toml, and never changes one that exists. A project with a CI should have a prod ledger.",
        example="spine init --env prod --service tickets",
    )  # fmt: skip
    init.add_argument("--env", choices=("dev", "prod"), help="the permanent environment of the ledger (default: dev)")
    init.add_argument(
        "--remember", nargs="?", const="", metavar="NAME",
        help="add this project to your list, which the console switches between (default NAME: that of the service)",
    )  # fmt: skip
    init.add_argument("--service", metavar="NAME", help="the name of the service (default: that of the folder)")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Make what is missing, and change nothing that exists."""
    settings, out = spine.settings, Out.of(args)
    file = _file(settings)
    before, ci = _env_before(settings, file), ci_of(settings.root)
    choice = _choice(args, settings, before, ci)
    event, created = create_ledger(settings, choice.env)
    ignored = _ignore(settings)
    unset = settings_file(settings.root) is None and (created or args.service is not None)
    written = write_settings(settings.root, choice) if unset else None
    service = choice.service if written is not None else settings.service
    env = str(event.body.get("env"))
    answer: dict[str, Any] = {
        "root": str(settings.root),
        "home": str(settings.home),
        "ledger": masked(settings.ledger),
        "env": env,
        "seq": event.seq,
        "created": created,
        "gitignore": str(ignored) if ignored else None,
        "settings": str(written) if written else None,
        "service": service,
    }
    if args.remember is not None:
        name = args.remember or service or folder_name(settings.root)
        listed = remember(settings.root, name, os.environ)
        answer |= {"project": name, "projects": str(projects_file(os.environ)), "listed": listed is not None}
    if out.json:
        out.object(answer)
        return Exit.OK
    out.line(_opened(answer, file))
    if ignored:
        out.line(f"   added {settings.home.name}/ to {ignored}")
    if written:
        out.line(f"   wrote {written}, for the service {service or '(no name)'}: commit it")
    if args.remember is not None:
        done = f"added {answer['project']} to" if answer["listed"] else f"{answer['project']} is already in"
        out.line(f"   {done} {answer['projects']}: `spine console --project {answer['project']}`")
    if args.service is not None and args.service != service:
        name = settings_file(settings.root) or "spine.toml, which cannot be written,"
        out.line(status_cell("warn", f'{name} was not changed: add service = "{args.service}" to it'))
    if created and ci is not None and env == "dev":
        out.line(status_cell("warn", f"{ci} shows a CI, for which a prod ledger is recommended"))
        out.line(f"   to have one: remove {settings.home.name}/, then `spine init --env prod`")
    if created:
        out.line("   next: `spine register BUNDLE_DIR`")
    return Exit.OK


def _opened(answer: dict[str, Any], file: Path | None) -> str:
    where, env = file or answer["ledger"], answer["env"]
    if answer["created"]:
        return f"#{answer['seq']} opened {where} as {env}"
    return f"{where} already exists, opened as {env}"


def _choice(args: argparse.Namespace, settings: Settings, before: str | None, ci: str | None) -> Choice:
    """The environment and the service: as given, as set, or else as asked for on a terminal."""
    given = checked_service(args.service) if args.service is not None else None
    choice = Choice(args.env or before or settings.env, given or settings.service or folder_name(settings.root))
    new = before is None and settings_file(settings.root) is None
    if not new or getattr(args, "json", False) or not on_terminal():
        return choice
    env = args.env is None and "env" not in settings.origins
    service = given is None and not settings.service
    return ask(choice, ci, env=env, service=service, source=sys.stdin, prompt=sys.stderr)


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
