"""Weight-only INT8 quantisation: each output channel of a matrix becomes signed bytes and one float32 scale.

It is symmetric, so zero stays zero, and the error is at most half a scale. Vectors such as a norm's gain are not
quantised. This module does not know files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

VARIANT: Final = "int8"
_LARGEST: Final = 127
_WEIGHT: Final = ".weight"
_SCALE: Final = ".scale"


def quantise(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Quantise matrices [out, in] to int8, adding ``….scale`` [out] for each ``….weight``; keep other tensors."""
    found: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        found[name] = tensor
        if tensor.ndim == 2:
            largest = np.abs(tensor).max(axis=1)
            scale = np.where(largest > 0, largest / np.float32(_LARGEST), np.float32(1)).astype(np.float32)
            found[name] = np.clip(np.rint(tensor / scale[:, None]), -_LARGEST, _LARGEST).astype(np.int8)
            found[name.removesuffix(_WEIGHT) + _SCALE] = scale
    return found


def dequantise(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Return the float32 tensors of quantised ones; raises ValueError if a scale is missing or does not fit."""
    found: dict[str, NDArray[np.float32]] = {}
    scales = {name: tensor for name, tensor in tensors.items() if name.endswith(_SCALE)}
    for name, tensor in tensors.items():
        if name in scales:
            continue
        if tensor.dtype != np.int8:
            found[name] = tensor
            continue
        scale = scales.pop(name.removesuffix(_WEIGHT) + _SCALE, None)
        if scale is None or tensor.ndim != 2 or scale.dtype != np.float32 or scale.shape != tensor.shape[:1]:
            raise ValueError(f"tensor {name} is int8 but lacks a scale for each of its rows")
        found[name] = tensor.astype(np.float32) * scale[:, None]
    if scales:
        raise ValueError(f"scale {min(scales)} does not belong to an int8 tensor")
    return found
