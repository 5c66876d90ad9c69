"""The reference of an entry: every corpus that went into it, counted once and kept by its hashes.

An adapter's weights stand on its parent's, so its reference is its own corpora and those of every parent. The
counts kept in ``.spine/drift`` are derived: deleting them costs the seconds of counting again. It does not
know live traffic.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.drift.bins import Tally, fix
from modelspine.drift.report import Reference
from modelspine.drift.values import Values
from modelspine.errors import BadInput
from modelspine.text import short

if TYPE_CHECKING:
    from modelspine.lineage.corpora import Corpora
    from modelspine.spine import Spine

_BATCH = 5_000


def reference_of(spine: Spine, sha: str, values: Values) -> Reference:
    """The reference of an entry, by its full SHA.

    Raises:
        BadInput: its lineage names no corpus, or no row of them has a text.
        Unavailable: the rows are not on this machine.
        Damaged: the rows do not have their hash.
    """
    hops = [hop for hop in spine.lineage(sha).hops if hop.kind == "corpus"]
    corpora = tuple(dict.fromkeys(str(h.evidence["dvc_hash"]) for h in hops if h.evidence.get("dvc_hash")))
    if not corpora:
        raise BadInput(
            f"the lineage of {short(sha)} names no corpus to compare with",
            "compare with another entry: `--against REF`",
        )
    key = hashlib.sha256("\n".join((*corpora, spine.workload.name, values.digest())).encode()).hexdigest()
    kept = spine.settings.home / "drift" / f"{key}.json"
    found = _read(kept)
    if found is None:
        found = count(spine.corpora, corpora, values)
        if not spine.readonly:
            _write(kept, found)
    return found


def count(corpora: Corpora, hashes: tuple[str, ...], values: Values) -> Reference:
    """Count every row of some corpora, each file's hash checked on the way."""
    tally, buckets, rows = Tally(keep_rows=True), Counter[str](), 0
    for dvc_hash in hashes:
        left = _rows(corpora, dvc_hash)
        while part := list(islice(left, _BATCH)):
            named = [values.of_row(row) for row in part]
            tally.add([value for value, _ in named if value])
            buckets.update(bucket for _, several in named for bucket in several)
            rows += len(part)
    features = fix(tally)
    if not features:
        raise BadInput(
            f"none of {rows:,} rows of {', '.join(h[:12] for h in hashes)} holds a text the workload has features of",
            "compare with another entry: `--against REF`",
        )
    return Reference(corpora=hashes, n=rows, features=features, buckets=dict(buckets))


def _rows(corpora: Corpora, dvc_hash: str) -> Iterator[dict[str, Any]]:
    """The rows that are JSON objects."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for line in corpora.read(dvc_hash):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield decode(line)


def _read(file: Path) -> Reference | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Reference)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _write(file: Path, reference: Reference) -> None:
    """Keep it for the next day; a folder that cannot be written only costs time."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_suffix(".new")
        made.write_bytes(msgspec.json.encode(reference))
        made.replace(file)
