"""``spine workload``: begin a workload of one's own, a package with a class, a toy model and a test."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.errors import BadInput, Exit, Unavailable
from modelspine.spine import Spine
from modelspine.text import argument, visible
from modelspine.workload_package import package_files


def command(verbs: Verbs) -> None:
    """Add ``workload`` with its verb."""
    nested = verbs.add("workload", "begin a model service of your own").add_verbs()
    new = nested.add(
        "new", "write a package with a workload that works, and its test", run_new,
        details="The package has a class with every method that Spine asks for, a toy model and a test that passes. A "
        "service whose answers come from another server needs no class: a table [workload] in spine.toml describes it.",
        example="spine workload new tickets",
    )  # fmt: skip
    new.add_argument("name", metavar="NAME", help="its name: small letters, digits, - and _")
    new.add_argument("--dir", type=Path, metavar="DIR", help="the new folder (default: the name)")


def run_new(args: argparse.Namespace, _spine: Spine) -> int:
    """Write the package; a folder that holds anything is left alone."""
    files = package_files(args.name)
    folder = args.dir if args.dir is not None else Path(args.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadInput(
                f"the folder {visible(str(folder), 120)} holds files already", "give --dir the path of a new folder"
            )
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise BadInput(f"{visible(str(folder), 120)} is a file", "give --dir the path of a new folder") from error
    except OSError as error:
        raise Unavailable(f"{visible(str(folder), 120)}: {error.strerror}", "check the path and the disk") from error
    out = Out.of(args)
    if out.json:
        out.object({"name": args.name, "folder": str(folder), "files": list(files)})
        return Exit.OK
    out.line(f"wrote {', '.join(files)} into {visible(str(folder), 120)}")
    out.line(f"   next: `cd {argument(str(folder))} && pip install -e '.[test]' && pytest`")
    out.line(f'   then: `workload = "{args.name}"` in spine.toml')
    return Exit.OK
