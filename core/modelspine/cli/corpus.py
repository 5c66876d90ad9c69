"""``spine corpus``: the rows of a corpus that match a pattern, or the whole corpus of a DVC hash as a file.

Every byte that is read is hashed and compared.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from modelspine.cli.empty_variables import naming_empty_variables
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, count
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, Unavailable, UnknownRef
from modelspine.files import replacing
from modelspine.lineage.corpora import Search
from modelspine.lineage.corpus_files import verified_pieces
from modelspine.lineage.dvc_lookup import Part
from modelspine.registry.entries import manifest_corpora
from modelspine.spine import Spine
from modelspine.text import short, visible

_DVC_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?", re.ASCII)

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
    get.add_argument("dvc_hash", metavar="HASH", help="its whole DVC hash, as `spine show REF` prints it")
    get.add_argument("--out", type=Path, metavar="F", help="write it to this file, or a directory to this new folder")
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
            searches.append((path, spine.corpora.search(dvc_hash, args.pattern, limit=args.limit, path=path)))
    if out.json:
        out.object({"ref": args.ref, "pattern": args.pattern, "corpora": [_object(*item) for item in searches]})
        return Exit.OK
    for path, search in searches:
        out.line(f"{path}  md5 {short(search.dvc_hash)}: {search.matched:,} of {search.rows or 0:,} rows match")
        if any(row.file for row in search.shown):
            rows = [(visible(row.file, 40), f"{row.number:,}", row.around(_AROUND)) for row in search.shown]
            out.table(("file", "row", "text"), rows, right=("row",))
        elif search.shown:
            plain = [(f"{row.number:,}", row.around(_AROUND)) for row in search.shown]
            out.table(("row", "text"), plain, right=("row",))
        if search.matched > len(search.shown):
            out.line(f"   {search.matched - len(search.shown):,} more; raise --limit to see them")
        if search.skipped:
            out.line(f"   not searched, as they have no rows: {visible(', '.join(search.skipped), 200)}")
    return Exit.OK


def run_get(args: argparse.Namespace, spine: Spine) -> int:
    """Put a corpus on this machine."""
    out = Out.of(args)
    with working("fetching the corpus"), naming_empty_variables("SPINE_DVC_REMOTE"):
        read = spine.corpora.verify(args.dvc_hash, pull=True)
        place = spine.corpora.resolve(args.dvc_hash)
        parts = spine.corpora.parts(args.dvc_hash)
        directory = args.dvc_hash.endswith(".dir")
        file: Path | None = args.out
        if file is not None:
            _copy(parts, file, directory=directory)
        elif not directory:
            file = parts[0].file
    if out.json:
        found = {"dvc_hash": args.dvc_hash, "path": place.path, "revision": place.revision}
        names = {"file": str(file) if file is not None else None, "files": [str(part.file) for part in parts]}
        out.object({**found, **names, "rows": read.rows, "sha256": read.sha256})
    elif file is not None:
        out.line(str(file))
    else:
        for part in parts:
            out.line(str(part.file))
    return Exit.OK


def _copy(parts: Sequence[Part], target: Path, *, directory: bool) -> None:
    """Write a corpus's files; each exists only if every byte of it was verified."""
    try:
        if directory:
            target.mkdir(parents=True)
        for part in parts:
            file = target / part.name if directory else target
            if directory:
                file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as stream:
                for piece in verified_pieces(part):
                    stream.write(piece)
    except OSError as error:
        raise Unavailable(f"{visible(str(target), 120)}: {error.strerror}", "check the path and the disk") from error


def _object(path: str, search: Search) -> dict[str, object]:
    return {
        "path": path,
        "dvc_hash": search.dvc_hash,
        "sha256": search.sha256,
        "rows": search.rows,
        "matched": search.matched,
        "shown": [{"row": r.number, "text": r.text, **({"file": r.file} if r.file else {})} for r in search.shown],
        **({"skipped": search.skipped} if search.skipped else {}),
    }


def _corpora(ref: str, spine: Spine) -> list[tuple[str, str]]:
    """The (path, DVC hash) of every corpus a REF means: an entry's, or one named by its hash or path."""
    try:
        detail = spine.registry.get(ref)
    except UnknownRef:
        if _DVC_HASH.fullmatch(ref):
            return [(spine.corpora.resolve(ref).path, ref)]
        named = spine.corpora.named(ref)
        if named:
            return named
        raise
    corpora = [(str(c.get("path", "corpus")), str(c.get("dvc_hash"))) for c in manifest_corpora(detail)]
    if not corpora:
        raise BadInput(
            f"the manifest of {visible(ref, 80)} names no corpus", "name a corpus by its DVC hash or path instead"
        )
    return corpora
