"""What each file of a folder is to its identity, by path alone.

Only top-level safetensors, ``config.json`` and ``tokenizer.json`` have a canonical form, only top-level evidence is
evidence, and a short, exact list of by-products is left out. Every other file, in sub-folders too, is an asset: it is
identified by its path and its bytes. The module opens no file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from modelspine.errors import BundleRefused
from modelspine.text import visible

CONFIG, TOKENIZER, TRAINING = "config.json", "tokenizer.json", "train_manifest.json"
LIMITS = {
    CONFIG: 2**22,
    TOKENIZER: 2**26,
    TRAINING: 2**20,
    "corpus_manifest.json": 2**23,
    "eval_report.json": 2**23,
}
"""The top-level files that are read as JSON or as evidence, with their maximum size in bytes."""
EVIDENCE = (TRAINING, "corpus_manifest.json", "eval_report.json")
"""The files that are kept beside the model as evidence and do not enter its SHA, except for the parent's SHA."""
PROJECT = ("spine.toml", ".spine")
"""Names that are at the top of a project and never at that of a model."""
SUFFIX = ".safetensors"
INDEX = ".safetensors.index.json"
MAX_INDEX = 2**24
MAX_SHARDS = 128

HINT = "a bundle is a folder with config.json and model.safetensors (or shards), or with a model file of another kind"

_BY_PRODUCT = re.compile(
    r"README.*|LICENSE.*|\.gitattributes|optimizer\.(pt|bin)|scheduler\.pt|scaler\.pt|rng_state.*\.pth"
    r"|trainer_state\.json|training_args\.bin",
    re.DOTALL,
)
_BY_PRODUCT_FOLDERS = (".git", ".cache", "__pycache__")
_SHARD_OF = re.compile(r"(.*)-(\d{1,9})-of-(\d{1,9})\.safetensors", re.ASCII | re.DOTALL)
_WHOLE = "fetch or save the model again, so that every shard is there"
_STRAY = "remove the file; if the model reads it, put it into a sub-folder, where it is hashed and stored as it is"
_TWINS = "rename one of the two: some file systems cannot hold both"


class Layout(msgspec.Struct, frozen=True):
    """The files of a bundle by what they are, each in ascending order; together they are all that is stored."""

    texts: tuple[str, ...]
    """Those of ``LIMITS`` that exist."""
    indexes: tuple[str, ...]
    shards: tuple[str, ...]
    assets: tuple[str, ...]


def is_by_product(path: str, is_folder: bool) -> bool:
    """Whether a file or folder is a by-product, which is neither hashed nor stored."""
    if is_folder:
        return path.rpartition("/")[2] in _BY_PRODUCT_FOLDERS
    # A pattern such as README* also fits names that end in .safetensors; weights are never left out.
    return "/" not in path and _BY_PRODUCT.fullmatch(path) is not None and not path.endswith((SUFFIX, INDEX))


def layout_of(paths: Iterable[str]) -> Layout:
    """Sort the files of a folder, by-products excluded, by what they are.

    Raises:
        BundleRefused: two paths are the same name on some file systems, there are too many shards, or too few files
            to be a model.
    """
    paths = sorted(paths)
    _check_twins(paths)
    texts = tuple(path for path in paths if path in LIMITS)
    shards = tuple(path for path in paths if "/" not in path and path.endswith(SUFFIX))
    indexes = tuple(path for path in paths if "/" not in path and path.endswith(INDEX))
    assets = tuple(path for path in paths if path not in {*texts, *shards, *indexes})
    if len(shards) > MAX_SHARDS:
        _refuse(f"there are {len(shards):,} *.safetensors files in the folder, over {MAX_SHARDS}", _FEWER_SHARDS)
    if not assets and not shards:
        _refuse("there is no *.safetensors file in the folder, and no model file of another kind")
    if not assets and CONFIG not in texts:
        _refuse(f"there is no {CONFIG} in the folder, and weights alone do not say what answers", _NO_CONFIG)
    return Layout(texts, indexes, shards, assets)


def check_numbering(shards: Iterable[str]) -> None:
    """Check that shards whose names say "-00001-of-00002" are all there, and that no other shard is.

    Raises:
        BundleRefused: one is missing, or does not belong to the others; the message names it.
    """
    shards = tuple(shards)
    numbered = [(name, found) for name in shards if (found := _SHARD_OF.fullmatch(name)) is not None]
    if not numbered:
        return
    first, found = numbered[0]
    stem, digits, count = found.groups()
    have = {match[2]: name for name, match in numbered if (match[1], match[3]) == (stem, count)}
    if stray := sorted({*shards} - {*have.values()}):
        _refuse(f"{visible(stray[0])} does not belong to the shards of {visible(first)}", _STRAY)
    numbers = sorted(map(int, have))
    start = 0 if 0 in numbers else 1  # some tools count from 0
    for number in range(start, start + min(int(count), MAX_SHARDS + 1)):
        if number not in numbers:
            missing = f"{stem}-{number:0{len(digits)}}-of-{count}{SUFFIX}"
            _refuse(f"{visible(missing)} is missing: the names of the shards say that there are {int(count):,}", _WHOLE)
    if len(have) != int(count):
        _refuse(f"there are {len(have):,} shards, but their names say {int(count):,}", _WHOLE)


def check_index(name: str, index: object, owners: dict[str, str], shards: Iterable[str]) -> None:
    """Check that an index of shards maps exactly the tensors that exist to exactly the files that exist.

    Args:
        name: the index file.
        index: its JSON value.
        owners: each tensor's name and the shard it is in.
        shards: every shard.

    Raises:
        BundleRefused: they differ; the message names the file or tensor.
    """
    found = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict) or not all(isinstance(file, str) for file in found.values()):
        _refuse(f"{visible(name)} has no weight_map from tensors to files", _INDEX)
    shown = visible(name, 120)
    if missing := sorted({*found.values()} - {*shards}):
        _refuse(f"{visible(missing[0])} is missing: {shown} names it", _WHOLE)
    if stray := sorted({*shards} - {*found.values()}):
        _refuse(f"{visible(stray[0])} is not named by {shown}", _STRAY)
    for tensor in sorted({*found, *owners}):
        if found.get(tensor) != owners.get(tensor):
            what = visible(tensor, 120)
            where = f"is in {visible(owners[tensor])}" if tensor in owners else "is in no file"
            said = f"in {visible(found[tensor])}" if tensor in found else "nowhere"
            _refuse(f"the tensor {what} {where}, but {shown} has it {said}", _INDEX)


def _check_twins(paths: Iterable[str]) -> None:
    # On a file system that ignores case or normalises names, the two would be one file and the bundle another one.
    folded: dict[str, str] = {}
    for path in paths:
        key = unicodedata.normalize("NFC", path).casefold()
        if key in folded:
            both = f"{visible(folded[key])} and {visible(path)}"
            _refuse(f"{both} differ only in letter case or in how their letters are composed", _TWINS)
        folded[key] = path


def _refuse(reason: str, hint: str = HINT) -> NoReturn:
    raise BundleRefused(reason, hint)


_FEWER_SHARDS = "save the model in larger shards, or put the files into a sub-folder, where each is hashed as it is"
_NO_CONFIG = "add the configuration as config.json; `{}` is enough where the program that loads the model needs none"
_INDEX = "remove the index, or write it again with the tool that wrote the shards"
