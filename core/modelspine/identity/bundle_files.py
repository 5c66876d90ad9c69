"""Which files of a folder belong to a bundle, by name, and how large each may be.

Every other file and all subfolders are ignored and never stored. It opens no file.
"""

from __future__ import annotations

import re
from typing import NoReturn

from modelspine.errors import BundleRefused
from modelspine.identity.untrusted_files import MAX_BYTES
from modelspine.text import visible

CONFIG, TOKENIZER, TRAINING = "config.json", "tokenizer.json", "train_manifest.json"
LIMITS = {
    CONFIG: 2**20,
    TOKENIZER: 2**24,
    TRAINING: 2**20,
    "corpus_manifest.json": 2**23,
    "eval_report.json": 2**23,
}
"""Every file of a bundle except its shards, with its maximum size in bytes."""
EVIDENCE = (TRAINING, "corpus_manifest.json", "eval_report.json")
"""The files that are kept beside the model as evidence and do not enter its SHA, except for the parent's SHA."""
SUFFIX = ".safetensors"
MAX_SHARDS = 128

HINT = "a bundle is a folder with model.safetensors (or shards) and config.json; tokenizer.json is optional"

_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)


def select(names: list[str]) -> dict[str, int]:
    """The file names of a listing that belong to the bundle, each with its maximum size in bytes.

    Raises:
        BundleRefused: shards or config.json are missing, there are too many shards, or a name is ambiguous.
    """
    chosen: dict[str, int] = {}
    folded: dict[str, str] = {}
    for name in sorted(names):
        fold = name.casefold()
        if fold not in LIMITS and not fold.endswith(SUFFIX):
            continue
        # On a file system that ignores case, "Config.json" and "config.json" are one file: the bundle would have
        # another identity there, so such names are refused everywhere.
        if fold in folded or (name not in LIMITS and not name.endswith(SUFFIX)):
            _refuse(f"{visible(name)} and {visible(folded.get(fold, fold))} differ only in letter case")
        if name not in LIMITS and not _SHARD.fullmatch(name):
            _refuse(f"a file is named “{visible(name)}”, outside [A-Za-z0-9_.-]{{1,128}}")
        folded[fold] = name
        chosen[name] = LIMITS.get(name, MAX_BYTES)
    shards = len(chosen.keys() - LIMITS.keys())
    if not shards:
        _refuse("there is no *.safetensors file in the folder")
    if shards > MAX_SHARDS:
        _refuse(f"there are {shards:,} *.safetensors files in the folder, over {MAX_SHARDS}")
    if CONFIG not in chosen:
        _refuse(f"there is no {CONFIG} in the folder")
    return chosen


def _refuse(reason: str) -> NoReturn:
    raise BundleRefused(reason, HINT)
