"""The eval set that a baseline names: locating it, verifying its bytes and fetching it through DVC.

A report on other items says nothing about a candidate, so the bytes are verified before an evaluation. It does not
know what an item is or who answers it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.files import write_file
from modelspine.gate.baseline import Baseline, read_baseline
from modelspine.gate.eval_report import EvalSet
from modelspine.lineage.corpora import Corpora
from modelspine.lineage.dvc_hash import Digest
from modelspine.text import visible

_FETCH = "fetch it through DVC with `spine evaluate --fetch`, or build it again if this project can"
_CHANGED = "restore the committed file; a new eval set needs a new, reviewed baseline"


def baseline_at(file: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        BadInput: it cannot be read, or is not a baseline.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise BadInput(
            f"there is no baseline at {visible(str(file), 120)}: {why}",
            "restore the committed eval_baseline.json, or create the first one as docs/WORKLOAD.md shows",
        ) from error
    return read_baseline(raw)


def checked(named: EvalSet, root: Path) -> Path:
    """Find the eval set's file in a project's folder and verify its bytes.

    Raises:
        BadInput: its path leads out of the project.
        Unavailable: the file does not exist.
        Damaged: the file does not match the hashes in the baseline.
    """
    file = _place(named, root)
    check_bytes(named, _read(file))
    return file


def fetched(named: EvalSet, root: Path, corpora: Corpora) -> Path:
    """Fetch the eval set through DVC unless its file exists, which is never replaced, then verify it.

    Raises:
        BadInput: its path leads out of the project.
        UnknownRef, Unavailable: DVC does not know it, or cannot fetch it.
        Damaged: the fetched or the existing file does not match the hashes in the baseline.
    """
    file = _place(named, root)
    if not file.exists():
        raw = _read(corpora.file(named.dvc_hash, pull=True))
        check_bytes(named, raw)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, raw)
    return checked(named, root)


def check_bytes(named: EvalSet, raw: bytes) -> None:
    """Compare bytes with the SHA-256 and the DVC hash (an MD5, by the rule of DVC 2 or 3) in a baseline.

    Raises:
        Damaged: one of them differs.
    """
    found = hashlib.sha256(raw).hexdigest()
    if found != named.sha256:
        where = visible(named.path, 80)
        raise Damaged(
            f"the eval set {where} has SHA-256 {found}, but the baseline says {visible(named.sha256, 64)}", _CHANGED
        )
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if named.dvc_hash not in (md5, legacy_md5(raw, named.dvc_hash)):
        raise Damaged(
            f"the eval set has the DVC hash {md5}, but the baseline says {visible(named.dvc_hash, 40)}", _CHANGED
        )


def legacy_md5(raw: bytes, expected: str) -> str:
    """The hash that DVC 2 gives to these bytes; of the two that it may give, the ``expected`` one."""
    digest = Digest(legacy=True)
    digest.update(raw)
    return digest.md5(expected)


def _place(named: EvalSet, root: Path) -> Path:
    path = PurePosixPath(named.path)
    if not named.path or path.is_absolute() or ".." in path.parts or "\0" in named.path:
        raise BadInput(
            f"the baseline's eval set has the path {visible(named.path, 80)!r}, which leads out of the project",
            "give a path relative to the project's folder",
        )
    return root / path


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unavailable(f"there is no eval set at {visible(str(file), 120)}", _FETCH) from error
