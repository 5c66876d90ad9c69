"""Ledger heads that were recorded outside the ledger: checkpoints, and the witness file that collects them.

A witness is worth as much as its own history: whoever rewrites the ledger and can write to the file removes the lines
that contradict him. If the file is in git, every line that it ever had must still be in it. This module does not know
the ledger.
"""

from __future__ import annotations

import re
from pathlib import Path

from modelspine.errors import BadInput, Unavailable
from modelspine.git import git_output, is_shallow
from modelspine.git_files import file_at
from modelspine.ledger.event import Head
from modelspine.text import visible

_CHECKPOINT = re.compile(r"([0-9]{1,12}):([0-9a-f]{64})")
_REMOVED = re.compile(rb"^-([0-9]{1,12}:[0-9a-f]{64})\r?$", re.MULTILINE)
_LINE = re.compile(rb"^([0-9]{1,12}:[0-9a-f]{64})\r?$", re.MULTILINE)
_FOR_EXAMPLE = "give it as `spine verify` printed it: SEQ:HASH, with all 64 digits of the hash"
_NAMED = 3
"""Most removed lines that are named."""


def parse_checkpoint(text: str) -> Head:
    """Parse a ledger head that was recorded outside the ledger.

    Raises:
        BadInput: it is not ``SEQ:HASH``.
    """
    match = _CHECKPOINT.fullmatch(text)
    if match is None:
        raise BadInput(f"{visible(text, 90)!r} is not a checkpoint", _FOR_EXAMPLE)
    return Head(int(match[1]), match[2])


def read_witness(file: Path, *, absent: bool = False) -> list[Head]:
    """Read the heads in a witness file, one per line; with ``absent`` a missing file is an empty one.

    Raises:
        BadInput: it cannot be read, or a line is not ``SEQ:HASH``.
    """
    try:
        text = file.read_text(encoding="ascii")
    except FileNotFoundError as error:
        if absent:
            return []
        raise BadInput(
            f"there is no witness at {visible(str(file), 120)}", "create one: `spine verify --witness F --keep`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the witness {visible(str(file), 120)} cannot be read", "restore the committed file") from error
    return [parse_checkpoint(line) for line in text.split()]


def witness_faults(file: Path, known: list[Head]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is wrong with a witness file as such, and notes about what could not be looked at.

    ``known`` is what it holds now. An existing file without a line is a fault, unless git shows that it never had one:
    it was emptied, or nobody can say that it was not.
    """
    try:
        past, unseen = _removed_lines(file)
    except Unavailable as error:
        past, unseen = None, f"whether lines were removed from the witness ({error.message})"
    problems: list[str] = []
    if not known and file.exists() and (past is None or unseen):
        problems.append("the witness file is empty: restore its lines, or remove it to begin a new one with --keep")
    lost = sorted(set(past or ()) - set(known), key=lambda head: head.seq)
    if lost:
        named = ", ".join(f"#{head.seq}:{head.hash[:12]}" for head in lost[:_NAMED])
        problems.append(
            f"the witness file was {'rewritten' if known else 'emptied'}: {len(lost)} of the lines in its git history "
            f"are gone ({named}{'' if len(lost) <= _NAMED else ', …'}); restore them"
        )
    return tuple(problems), (unseen,) if unseen else ()


def _removed_lines(file: Path) -> tuple[list[Head] | None, str]:
    """Every line that a commit removed from a file, and those of the newest; None if the file is in no git history.

    The second value says what of the history could not be seen; it is empty if all of it was.

    Raises:
        Unavailable: git refuses to read the repository, is not installed, or exceeds its timeout.
    """
    folder, name = file.absolute().parent, file.name
    if not folder.is_dir():
        return None, ""
    words = ("--no-color", "--no-ext-diff", "--no-textconv", "--text", "--no-renames", "--unified=0")
    # Every merge is compared with each of its parents: a merge can drop a line too.
    history = git_output(folder, "log", "--full-history", "-m", "--format=%H", "--patch", *words, "--", f"./{name}")
    if not history.strip():
        return None, "whether lines were removed from the witness, which is not in git"
    # git does not compare the work tree, because a program that the repository names could filter it first.
    committed = file_at(folder, folder / name) or b""
    found = [parse_checkpoint(line.decode()) for line in _REMOVED.findall(history) + _LINE.findall(committed)]
    older = "whether older commits removed lines from the witness; fetch its whole history: `git fetch --unshallow`"
    return found, older if is_shallow(folder) else ""
