"""The eval set that a baseline names: where it stands, that its bytes are those, and how it gets here.

A report over other items says nothing about a candidate, so the bytes are hashed before and not after. It
does not know what an item is or who answers it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.files import write_file
from modelspine.gate.baseline import Baseline, read_baseline
from modelspine.gate.eval_report import EvalSet
from modelspine.lineage.corpora import Corpora
from modelspine.text import visible

_FETCH = "fetch it through DVC: `spine evaluate --fetch`; or make it again, where this project can"
_CHANGED = "take the committed file again; a new eval set needs a new, reviewed baseline"


def baseline_at(file: Path) -> Baseline:
    """The baseline of a file.

    Raises:
        BadInput: there is none, or it is not one.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise BadInput(
            f"there is no baseline at {visible(str(file), 120)}: {why}",
            "restore the committed eval_baseline.json, or make the first one: docs/WORKLOAD.md shows how",
        ) from error
    return read_baseline(raw)


def checked(named: EvalSet, root: Path) -> Path:
    """The eval set's file in a project's folder, its bytes hashed just now.

    Raises:
        Unavailable: it is not there.
        Damaged: it has another hash than the one named, with both.
    """
    file = _place(named, root)
    check_bytes(named, _read(file))
    return file


def fetched(named: EvalSet, root: Path, corpora: Corpora) -> Path:
    """The same, fetched through DVC first where the file is not there; one that is there is never replaced.

    Raises:
        UnknownRef, Unavailable: DVC does not know or does not have it.
        Damaged: what DVC gave, or what was there, has another hash.
    """
    file = _place(named, root)
    if not file.exists():
        raw = _read(corpora.file(named.dvc_hash, pull=True))
        check_bytes(named, raw)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, raw)
    return checked(named, root)


def check_bytes(named: EvalSet, raw: bytes) -> None:
    """Hold bytes against the hashes a baseline names.

    Raises:
        Damaged: one differs, with both.
    """
    found = hashlib.sha256(raw).hexdigest()
    if found != named.sha256:
        where = visible(named.path, 80)
        raise Damaged(
            f"the eval set {where} has SHA-256 {found}, and the baseline names {visible(named.sha256, 64)}", _CHANGED
        )
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if md5 != named.dvc_hash:
        raise Damaged(
            f"the eval set has the DVC hash {md5}, and the baseline names {visible(named.dvc_hash, 40)}", _CHANGED
        )


def _place(named: EvalSet, root: Path) -> Path:
    path = PurePosixPath(named.path)
    if not named.path or path.is_absolute() or ".." in path.parts or "\0" in named.path:
        raise BadInput(
            f"the baseline's eval set has the path {visible(named.path, 80)!r}, which leads out of the project",
            "give it from the project's folder",
        )
    return root / path


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unavailable(f"there is no eval set at {visible(str(file), 120)}", _FETCH) from error
