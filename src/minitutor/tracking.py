"""The corpora on disk and in DVC: regenerates them, compares them with the committed ``.dvc`` files, fills the cache.

DVC is imported only if its cache or the local remote lacks something, so a repeated run is quick. This module does not
know the content of rows.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from minitutor import bundles, corpus, sets, validate
from minitutor.problems import BadInput, Damaged, Unavailable

MANIFEST: Final = Path("data/corpus_manifest.json")
_MD5: Final = re.compile(r"^- md5: ([0-9a-f]{32})$", re.MULTILINE)


class Made(msgspec.Struct, frozen=True):
    """One generated corpus."""

    path: str
    data: bytes
    manifest: dict[str, Any]
    held_out: bool
    """If set, the ``.dvc`` file says ``type: eval``, so that lineage does not take it for a training corpus."""

    @property
    def pointer(self) -> str:
        """The content of the ``.dvc`` file."""
        digest, size = self.manifest["dvc_hash"], len(self.data)
        kind = "  type: eval\n" if self.held_out else ""
        return f"outs:\n- md5: {digest}\n  size: {size}\n  hash: md5\n  path: {Path(self.path).name}\n{kind}"


def make() -> list[Made]:
    """Generate every corpus with its manifest."""
    made = []
    for source in sets.SOURCES:
        rows = source.make()
        data = corpus.canonical(rows)
        made.append(Made(source.path, data, corpus.manifest(source.path, data, rows), source.is_eval_set))
    return made


def check(made: Sequence[Made]) -> None:
    """Validate every row; needed only before accepting new hashes, since committed hashes are of valid rows.

    Raises:
        Damaged: a row breaks a rule.

    """
    rows = {source.name: corpus.decode(one.data) for source, one in zip(sets.SOURCES, made, strict=True)}
    broken = validate.problems(rows)
    if broken:
        raise Damaged(
            f"the generator made an invalid corpus: {broken[0]}", "fix minitutor.corpus or minitutor.templates"
        )


def compare(root: Path, made: Sequence[Made]) -> None:
    """Compare the generated corpora with the committed ``.dvc`` files and manifest.

    Raises:
        BadInput: a ``.dvc`` file is missing.
        Damaged: a hash differs.

    """
    for one in made:
        pointer = root / f"{one.path}.dvc"
        committed = _MD5.search(pointer.read_text(encoding="utf-8")) if pointer.is_file() else None
        if committed is None:
            raise BadInput(
                f"{one.path}.dvc is missing or contains no MD5", "write it: `python -m minitutor corpus --write`"
            )
        if committed[1] != one.manifest["dvc_hash"]:
            raise Damaged(
                f"{one.path} has the MD5 {one.manifest['dvc_hash']}, but its .dvc file says {committed[1]}",
                "undo the change to the generator, or accept the new corpus with --write",
            )
    if not (root / MANIFEST).is_file() or (root / MANIFEST).read_bytes() != _described(made):
        raise Damaged(f"{MANIFEST} does not describe these corpora", "write it: `python -m minitutor corpus --write`")


def write_pointers(root: Path, made: Sequence[Made]) -> None:
    """Accept the generated corpora: write their ``.dvc`` files and the manifest."""
    for one in made:
        _replace(root / f"{one.path}.dvc", one.pointer.encode())
    _replace(root / MANIFEST, _described(made))


def store(root: Path, made: Sequence[Made]) -> bool:
    """Write the corpora to their paths, DVC's cache and the local remote; returns False if all were there."""
    for one in made:
        path = root / one.path
        if not path.is_file() or path.read_bytes() != one.data:
            _replace(path, one.data)
    lacking = [one for one in made if not all(_holds(place, one) for place in _places(root, one))]
    if lacking:
        _push(root, lacking)
    return bool(lacking)


def _described(made: Sequence[Made]) -> bytes:
    whole = {"schema": "minitutor.corpora/1", "corpora": [one.manifest for one in made]}
    return bundles.json_bytes(whole)


def _places(root: Path, one: Made) -> tuple[Path, Path]:
    """Return where DVC stores a file: in the cache and in the remote of ``.dvc/config``."""
    digest = one.manifest["dvc_hash"]
    tail = Path("files", "md5", digest[:2], digest[2:])
    return root / ".dvc" / "cache" / tail, root / ".spine" / "dvc-remote" / tail


def _holds(place: Path, one: Made) -> bool:
    """Whether a file has these bytes; DVC does not notice a damaged file in its cache."""
    return place.is_file() and hashlib.md5(place.read_bytes(), usedforsecurity=False).digest() == bytes.fromhex(
        one.manifest["dvc_hash"]
    )


def _push(root: Path, made: Sequence[Made]) -> None:
    """Run ``dvc add`` and ``dvc push``, with DVC's state and settings inside the checkout."""
    if not (root / ".dvc" / "config").is_file():
        raise BadInput(f"{root} is not a DVC repository", "run this in the checkout, or `dvc init` there first")
    for one in made:
        for place in _places(root, one):
            if place.exists() and not _holds(place, one):
                place.unlink()
    own = root.resolve() / ".spine" / "dvc"
    for name in ("GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR", "SITE_CACHE_DIR"):
        os.environ[f"DVC_{name}"] = str(own / name.lower())
    os.environ["DVC_NO_ANALYTICS"] = "1"
    try:
        import logging

        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)
        with Repo(str(root)) as repo:
            repo.add([str(root / one.path) for one in made])
            repo.push(targets=[str(root / f"{one.path}.dvc") for one in made])
    except Exception as error:
        raise Unavailable(
            f"DVC could not add the corpora: {error}".split("\n", 1)[0],
            "see `dvc status`; remove .dvc/tmp/lock if an earlier run was killed",
        ) from error


def _replace(path: Path, data: bytes) -> None:
    """Write a file atomically: if the process dies, the old or the new content is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
