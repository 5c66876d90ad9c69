"""``spine corpus``: the rows of a corpus that match a pattern, or the whole corpus of a DVC hash as a file.

Every byte that is read is hashed and compared.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, count
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, Unavailable, UnknownRef
from modelspine.files import replacing
from modelspine.lineage.corpora import Search
from modelspine.registry.entries import manifest_corpora
from modelspine.spine import Spine
from modelspine.text import short, visible

_DVC_HASH = re.compile(r"[0-9a-f]{32}", re.ASCII)

_AROUND = 88
"""Characters of a row that are shown around its match."""


def command(verbs: Verbs) -> None:
    """Add ``corpus`` with its verb."""
    nested = verbs.add("corpus", "search or fetch the corpora that an entry was trained on").add_verbs()
    get = nested.add(
        "get", "put the corpus of a DVC hash on this machine and print its path", run_get,
        details="It is looked up in every revision of the repository, fetched through DVC if it is not here, and "
        "verified against its hash.",
        example="spine corpus get 91ac0f2e6b1d4b7f8d2c0e5a6f7b8c9d --out corpus.jsonl",
    )  # fmt: skip
    get.add_argument("dvc_hash", metavar="HASH", help="all 32 digits of its DVC hash, as `spine show REF` prints them")
    get.add_argument("--out", type=Path, metavar="F", help="write it to this file, in place of one that is there")
    grep = nested.add(
        "grep", "show the rows that match a Python regular expression", run,
        details="No match is not an error.",
        example="spine corpus grep production went",
    )  # fmt: skip
    grep.add_argument("ref", metavar="REF", help="an entry, a DVC hash, or the path of a tracked corpus")
    grep.add_argument("pattern", metavar="PATTERN")
    grep.add_argument("--limit", type=count, default=20, metavar="N", help="rows to show of each corpus (default: 20)")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Search the corpora that a REF names."""
    out = Out.of(args)
    searches = []
    with working("reading the corpora"):
        for path, dvc_hash in _corpora(args.ref, spine):
            searches.append((path, spine.corpora.search(dvc_hash, args.pattern, limit=args.limit)))
    if out.json:
        out.object({"ref": args.ref, "pattern": args.pattern, "corpora": [_object(*item) for item in searches]})
        return Exit.OK
    for path, search in searches:
        out.line(f"{path}  md5 {short(search.dvc_hash)}: {search.matched:,} of {search.rows:,} rows match")
        rows = [(f"{row.number:,}", row.around(_AROUND)) for row in search.shown]
        if rows:
            out.table(("row", "text"), rows, right=("row",))
        if search.matched > len(search.shown):
            out.line(f"   {search.matched - len(search.shown):,} more; raise --limit to see them")
    return Exit.OK


def run_get(args: argparse.Namespace, spine: Spine) -> int:
    """Put a corpus on this machine."""
    out = Out.of(args)
    place = spine.corpora.resolve(args.dvc_hash)
    with working("fetching the corpus"):
        read = spine.corpora.verify(args.dvc_hash, pull=True)
        file: Path = args.out if args.out is not None else spine.corpora.file(args.dvc_hash)
        if args.out is not None:
            _copy(spine, args.dvc_hash, file)
    if out.json:
        found = {"dvc_hash": args.dvc_hash, "path": place.path, "revision": place.revision, "file": str(file)}
        out.object({**found, "rows": read.rows, "sha256": read.sha256})
    else:
        out.line(str(file))
    return Exit.OK


def _copy(spine: Spine, dvc_hash: str, file: Path) -> None:
    """Write a corpus to a file that exists only if every byte of it was verified."""
    try:
        with replacing(file) as stream:
            for line in spine.corpora.read(dvc_hash):
                stream.write(line)
    except OSError as error:
        raise Unavailable(f"{visible(str(file), 120)}: {error.strerror}", "check the path and the disk") from error


def _object(path: str, search: Search) -> dict[str, object]:
    return {
        "path": path,
        "dvc_hash": search.dvc_hash,
        "sha256": search.sha256,
        "rows": search.rows,
        "matched": search.matched,
        "shown": [{"row": row.number, "text": row.text} for row in search.shown],
    }


def _corpora(ref: str, spine: Spine) -> list[tuple[str, str]]:
    """The (path, DVC hash) of every corpus a REF means: an entry's, or one named by its hash or path."""
    try:
        detail = spine.registry.get(ref)
    except UnknownRef:
        if _DVC_HASH.fullmatch(ref):
            return [(spine.corpora.resolve(ref).path, ref)]
        named = [(path, dvc_hash) for path, dvc_hash in spine.corpora.tracked() if path == ref]
        if named:
            return named
        raise
    corpora = [(str(c.get("path", "corpus")), str(c.get("dvc_hash"))) for c in manifest_corpora(detail)]
    if not corpora:
        raise BadInput(
            f"the manifest of {visible(ref, 80)} names no corpus", "name a corpus by its DVC hash or path instead"
        )
    return corpora
