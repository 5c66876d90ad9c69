"""Reading a bundle of any variant: its shape, the float32 tensors it answers with, and its tokenizer.

An adapter is merged into its parent's folder, which must be the very bundle it was trained on. What of a
folder was verified is the caller's business. It does not know how tensors are multiplied.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from minitutor import adapter, quantise
from minitutor.adapter import Adapter
from minitutor.problems import BadInput
from minitutor.shape import Shape

FULL: Final = "fp32"


class Weights(msgspec.Struct, frozen=True):
    """What a bundle answers with; ``source`` is the folder its tokenizer stands in."""

    shape: Shape
    tensors: dict[str, NDArray[np.float32]]
    source: Path


class _Kind(msgspec.Struct, frozen=True):
    """The field of ``config.json`` that says how its tensors are stored."""

    variant: str = FULL


def read(bundle: Path, parent: Path | None = None) -> Weights:
    """Read a bundle, an adapter with its parent's folder; raises BadInput where files do not fit each other."""
    from safetensors import SafetensorError

    try:
        config = (bundle / "config.json").read_bytes()
        variant = msgspec.json.decode(config, type=_Kind).variant
        if variant == adapter.VARIANT:
            return _merged(bundle, msgspec.json.decode(config, type=Adapter), parent)
        shape, stored = msgspec.json.decode(config, type=Shape), _stored(bundle)
        if variant == quantise.VARIANT:
            return Weights(shape, quantise.dequantise(stored), bundle)
        if variant != FULL:
            raise ValueError(f"there is no variant {variant!r}")
        return Weights(shape, stored, bundle)
    except (OSError, ValueError, msgspec.MsgspecError, SafetensorError) as error:
        raise BadInput(
            f"{bundle} cannot be loaded as a minitutor bundle: {error}",
            "give a directory that `python -m minitutor train` wrote",
        ) from error


def digest(bundle: Path) -> str:
    """What an adapter knows its parent by; raises OSError, ValueError or SafetensorError where it is no bundle."""
    texts = [(bundle / name).read_bytes() for name in ("config.json", "tokenizer.json")]
    return adapter.digest(texts[0], texts[1], _stored(bundle))


def _merged(bundle: Path, config: Adapter, parent: Path | None) -> Weights:
    if parent is None:
        raise BadInput(
            f"{bundle} is an adapter, and its parent's bundle is not here",
            "register the parent it was trained on, or give its directory with --parent",
        )
    found = digest(parent)
    if found != config.parent_digest:
        raise BadInput(
            f"{parent} is not the parent this adapter was trained on: digest {found[:12]}, not "
            f"{config.parent_digest[:12]}",
            "give the bundle its train_manifest.json names as parent_sha",
        )
    base = read(parent)
    return Weights(base.shape, adapter.merge(config, base.tensors, _stored(bundle)), base.source)


def _stored(bundle: Path) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    return dict(load_file(bundle / "model.safetensors"))
