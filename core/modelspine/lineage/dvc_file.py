"""Reading which outputs a ``.dvc`` file tracks. It does not know DVC's cache or git."""

from __future__ import annotations

import posixpath


def named_in(dvc_file: str, dvc_hash: str, *, folder: str) -> str | None:
    """The data path of a hash in a .dvc file's text; None where the text does not name the hash."""
    # The search for the plain string avoids parsing YAML for most files.
    if dvc_hash not in dvc_file:
        return None
    return next((path for path, found in outs(dvc_file, folder=folder) if found == dvc_hash), None)


def outs(dvc_file: str, *, folder: str, kind: str | None = None) -> list[tuple[str, str]]:
    """The (path, hash) pairs in a .dvc file's text, optionally of one type only; empty for invalid YAML.

    Paths are relative to the repository's root, as ``folder`` is. One that leads out of the repository is left out:
    whoever may write a .dvc file must not decide that another file of this machine is read.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(dvc_file)
    except (YAMLError, RecursionError, ValueError):  # a deep nesting, a date that does not exist
        return []
    listed = document.get("outs") if isinstance(document, dict) else None
    pairs = [
        (_inside(folder, out.get("path")), out.get("md5"))
        for out in (listed if isinstance(listed, list) else ())
        if isinstance(out, dict) and (kind is None or out.get("type") == kind)
    ]
    return [(path, str(found)) for path, found in pairs if path and found]


def _inside(folder: str, path: object) -> str | None:
    """A path in a folder, from the root of the repository; None where it is none, or is outside."""
    text = str(path) if isinstance(path, str | int | float) else ""
    whole = posixpath.normpath(posixpath.join(folder, text))
    outside = whole.startswith(("/", "../")) or whole in ("..", ".") or "\0" in whole
    return None if not text or outside else whole
