"""AdamW with gradient clipping (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization").

The update rule is a few lines. ``torch.optim`` would import torch's compiler, which takes seconds, longer than a tiny
training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_BETAS = (0.9, 0.98)
_EPSILON = 1e-8


class AdamW:
    """AdamW with weight decay on matrices only, not on vectors such as a norm's gain.

    ``kept`` is not decayed either: decay would shrink the embeddings of tokens that the corpus does not use, which a
    later adapter may need.
    """

    def __init__(
        self, parameters: Sequence[Tensor], *, weight_decay: float, clip: float, kept: Sequence[Tensor] = ()
    ) -> None:
        self._parameters = list(parameters)
        keep = {id(tensor) for tensor in kept}
        self._matrices = [tensor for tensor in self._parameters if tensor.dim() > 1 and id(tensor) not in keep]
        self._weight_decay = weight_decay
        self._clip = clip
        self._steps = 0
        self._mean = [torch.zeros_like(tensor) for tensor in self._parameters]
        self._square = [torch.zeros_like(tensor) for tensor in self._parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every parameter and clear the gradients."""
        gradients = [tensor.grad for tensor in self._parameters if tensor.grad is not None]
        if len(gradients) != len(self._parameters):
            raise RuntimeError("a parameter has no gradient: the loss does not depend on it")
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        torch._foreach_mul_(gradients, (self._clip / (norm + 1e-6)).clamp(max=1.0))
        self._steps += 1
        first, second = _BETAS
        torch._foreach_lerp_(self._mean, gradients, 1 - first)
        torch._foreach_mul_(self._square, second)
        torch._foreach_addcmul_(self._square, gradients, gradients, 1 - second)
        below = [square.sqrt() for square in self._square]
        torch._foreach_div_(below, (1 - second**self._steps) ** 0.5)
        torch._foreach_add_(below, _EPSILON)
        torch._foreach_mul_(self._matrices, 1 - rate * self._weight_decay)
        torch._foreach_addcdiv_(self._parameters, self._mean, below, -rate / (1 - first**self._steps))
        for tensor in self._parameters:
            tensor.grad = None
