"""The files that a request names, as ``spine traces show`` draws them and ``--save`` copies them.

It does not know how bytes are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from miniobserve.traces import Trace
from modelspine.cli.errors import fail
from modelspine.cli.output import Cell, Out, status_cell
from modelspine.errors import BadInput, Damaged, Exit, Unavailable, UnknownRef
from modelspine.kept_files.digests import digests_in
from modelspine.settings import masked
from modelspine.spine import Spine
from modelspine.text import short, size

if TYPE_CHECKING:
    from modelspine.kept_files.reading import KeptFile


def files_of(spine: Spine, trace: Trace, folder: Path | None) -> tuple[KeptFile, ...]:
    """The files that a trace names, checked now; with a folder, those that are kept are copied into it.

    Raises:
        BadInput: there is nothing to copy, or the folder has another file of that name.
        Unavailable: the store cannot be reached, and files were to be copied; or the folder cannot be written.
    """
    digests = digests_in(trace)
    if not digests:
        if folder is not None:
            raise BadInput("this request names no file", "leave out --save")
        return ()
    from modelspine.kept_files.reading import looked_up  # only where there are files: it opens their store

    found = tuple(looked_up(spine.settings.files, digests, folder))
    if folder is not None and not any(each.state in ("kept", "damaged") for each in found):
        unseen = next((each for each in found if each.state == "not_checked"), None)
        if unseen is not None:
            raise Unavailable(f"the bytes cannot be read: {unseen.why}", "`spine info --reach` asks the store")
        raise UnknownRef("no file of this request is kept", "the setting `files` keeps those of later requests")
    return found


def save_code(files: tuple[KeptFile, ...], folder: Path | None) -> int:
    """The exit code after copying; what is damaged or could not be read is an error, once the others are copied."""
    for each in files if folder is not None else ():
        if each.state == "damaged":
            hint = "restore the object from a backup, or from the bucket's versions"
            return fail(Damaged(f"kept bytes are damaged: {each.why}", hint), as_json=False)
        if each.state == "not_checked":
            return fail(Unavailable(f"not every file was copied: {each.why}", "repeat the command"), as_json=False)
    return Exit.OK


def draw_files(out: Out, files: tuple[KeptFile, ...]) -> None:
    """Write a table of the files."""
    if not files:
        return
    out.line("files:")
    out.table(
        ("sha256", "size", "bytes", "where"),
        [
            (short(each.sha256), size(each.bytes), status_cell(each.state), Cell(_where(each), "muted"))
            for each in files
        ],
        right=("size",),
    )
    for each in files:
        if each.saved:
            out.line(f"saved {each.saved}")


def _where(file: KeptFile) -> str:
    if file.state in ("damaged", "not_checked"):
        return file.why
    return masked(file.where) or file.why
