"""The first settings of a project: what ``spine init`` asks, and the commented ``spine.toml`` that it writes.

It decides nothing for the operator that costs money or answers users: there is no workload and no price in the file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import msgspec

from modelspine.errors import BadInput
from modelspine.settings import SERVICE
from modelspine.text import visible

_CI = (
    ".github/workflows", ".gitlab-ci.yml", "Jenkinsfile", ".circleci", "azure-pipelines.yml", "bitbucket-pipelines.yml",
    ".travis.yml", ".woodpecker.yml", ".woodpecker", ".drone.yml", ".buildkite",
)  # fmt: skip
"""Where the known CI systems keep their pipelines, from the project's root."""
_TRIES = 3
_TEXT = """\
# Settings of this project. `spine info` shows which are in force; commit this file, as servers and CI read it too.
# Whether the ledger is dev or prod is not set here: `spine init` made it one of the two for good.

# The service that this project deploys. Each entry records it, and a route refuses an entry of another one.
{service}

# The model service: the name that a package registers in the entry-point group spine.workloads. A service whose answers
# come from another server needs no package: describe it by a table [workload] instead, at the end of this file.
# workload = "NAME"

# Rent of the machine that serves, per hour in USD. Without it, answers have no price.
# rate_per_hour = 0.40

# Where runs and models are: an MLflow server, or leave it out for a store of this project's own.
# mlflow = "http://mlflow.example:5000"

# Ledger and traces on a database server, so that several machines share them.
# ledger = "postgresql://spine@db.example/ops?schema=NAME"
# traces = "postgresql://spine@db.example/ops?schema=NAME"

# The committed baseline that the gate compares a candidate with.
# eval_baseline = "eval_baseline.json"
"""


class Choice(msgspec.Struct, frozen=True):
    """What a new project is."""

    env: str
    service: str


def ci_of(root: Path) -> str | None:
    """Where a project keeps the pipeline of its CI, relative to the root; None where no CI is found."""
    for name in _CI:
        path = root / name
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            return name
    return None


def folder_name(root: Path) -> str:
    """The name of a folder as the name of a service; empty where nothing of it can be one."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._")[:40].rstrip("-._")


def checked_service(name: str) -> str:
    """The given name of a service.

    Raises:
        BadInput: it cannot be one.
    """
    if not name or re.fullmatch(SERVICE, name) is None:
        raise BadInput(
            f"{visible(name, 60)!r} cannot be the name of a service",
            "use at most 40 letters, digits, `.`, `_` and `-`, and begin with a letter or digit",
        )
    return name


def ask(choice: Choice, ci: str | None, *, env: bool, service: bool, source: TextIO, prompt: TextIO) -> Choice:
    """The choice after asking for the parts that are named; an empty answer keeps what is there.

    Raises:
        BadInput: three answers in a row cannot be used.
    """
    if env:
        if ci is not None:
            prompt.write(f"{ci} shows a CI, which can sign verdicts: prod is recommended\n")
        question = f"environment of the ledger, permanent: dev or prod [{choice.env}]: "
        choice = msgspec.structs.replace(choice, env=_answer(question, choice.env, _environment, source, prompt))
    if service:
        question = f"name of the service [{choice.service or 'none'}]: "
        name = _answer(question, choice.service, checked_service, source, prompt)
        choice = msgspec.structs.replace(choice, service=name)
    return choice


def _answer(question: str, default: str, check: Callable[[str], str], source: TextIO, prompt: TextIO) -> str:
    for left in reversed(range(_TRIES)):
        prompt.write(question)
        prompt.flush()
        line = source.readline().strip()
        if not line:
            return default
        try:
            return check(line)
        except BadInput as error:
            if not left:
                raise
            prompt.write(f"{error.message}: {error.hint}\n")
    return default


def _environment(line: str) -> str:
    if line not in ("dev", "prod"):
        raise BadInput(f"{visible(line, 40)!r} is neither dev nor prod", "write one of the two")
    return line


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def settings_text(choice: Choice) -> str:
    """The content of the first ``spine.toml``."""
    service = f'service = "{choice.service}"' if choice.service else '# service = "NAME"'
    return _TEXT.format(service=service)


def write_settings(root: Path, choice: Choice) -> Path | None:
    """Write ``spine.toml``; None where the folder cannot be written, as in a deployment that is read-only.

    An existing file is never changed.
    """
    file = root / "spine.toml"
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(settings_text(choice))
    except OSError:
        return None
    return file
