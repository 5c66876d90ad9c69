"""Reads a bundle of any variant: its shape, float32 tensors and tokenizer.

An adapter is merged into its parent, which must be the bundle it was trained on. Verifying a folder's SHA is the
caller's responsibility. This module does not know how tensors are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from minitutor import adapter, quantise
from minitutor.adapter import Adapter
from minitutor.model_shape import Shape
from minitutor.problems import BadInput

FULL: Final = "fp32"


class Weights(msgspec.Struct, frozen=True):
    """The shape and tensors of a bundle; ``source`` is the folder with its tokenizer."""

    shape: Shape
    tensors: dict[str, NDArray[np.float32]]
    source: Path


class _Kind(msgspec.Struct, frozen=True):
    """The field of ``config.json`` that says how the tensors are stored."""

    variant: str = FULL


def read(bundle: Path, parent: Path | None = None) -> Weights:
    """Read a bundle, for an adapter with its parent's folder; raises BadInput if the files do not fit together."""
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
            raise ValueError(f"unknown variant {variant!r}")
        return Weights(shape, stored, bundle)
    except (OSError, ValueError, msgspec.MsgspecError, SafetensorError) as error:
        raise BadInput(
            f"{bundle} cannot be loaded as a minitutor bundle: {error}",
            "give a directory written by `python -m minitutor train`",
        ) from error


def digest(bundle: Path) -> str:
    """Return the digest by which an adapter names its parent.

    Raises:
        OSError, ValueError, SafetensorError: the folder is not a bundle.
    """
    texts = [(bundle / name).read_bytes() for name in ("config.json", "tokenizer.json")]
    return adapter.digest(texts[0], texts[1], _stored(bundle))


def _merged(bundle: Path, config: Adapter, parent: Path | None) -> Weights:
    if parent is None:
        raise BadInput(
            f"{bundle} is an adapter, but its parent's bundle was not given",
            "register the parent it was trained on, or give its directory with --parent",
        )
    found = digest(parent)
    if found != config.parent_digest:
        raise BadInput(
            f"{parent} is not the parent this adapter was trained on: digest {found[:12]}, not "
            f"{config.parent_digest[:12]}",
            "give the bundle that its train_manifest.json names as parent_sha",
        )
    base = read(parent)
    return Weights(base.shape, adapter.merge(config, base.tensors, _stored(bundle)), base.source)


def _stored(bundle: Path) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    return dict(load_file(bundle / "model.safetensors"))
