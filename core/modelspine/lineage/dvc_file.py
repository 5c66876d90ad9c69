"""Reading which outputs a ``.dvc`` file tracks. It does not know DVC's cache or git."""

from __future__ import annotations


def named_in(dvc_file: str, dvc_hash: str) -> str | None:
    """The data path of a hash in a .dvc file's text; None where the text does not name the hash."""
    # The search for the plain string avoids parsing YAML for most files.
    return next((path for path, found in outs(dvc_file) if found == dvc_hash), None) if dvc_hash in dvc_file else None


def outs(dvc_file: str, kind: str | None = None) -> list[tuple[str, str]]:
    """The (path, hash) pairs in a .dvc file's text, optionally of one type only; empty for invalid YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(dvc_file)
    except YAMLError:
        return []
    outs = document.get("outs") if isinstance(document, dict) else None
    pairs = [
        (out.get("path"), out.get("md5"))
        for out in outs or ()
        if isinstance(out, dict) and (kind is None or out.get("type") == kind)
    ]
    return [(str(path), str(found)) for path, found in pairs if path and found]
