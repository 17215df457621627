"""Muon in float32, all matrices of one shape at a time: `torch.optim.Muon` computes in bfloat16, which crawls on
CPUs without native support, and one matrix after the other.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the scaling of the step
that lets it share AdamW's learning rate is Moonshot's, "Muon is Scalable for LLM Training" (2025), section 2.2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class BatchedMuon(torch.optim.Optimizer):
    """Nesterov momentum whose update of each matrix is replaced by its nearest semi-orthogonal matrix."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Tensor = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Update every matrix that has a gradient. ``closure`` is not supported."""
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                directions = orthogonalize(torch.stack(self._momenta(parameters, group["momentum"])))
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, (directions * (-0.2 * max(shape) ** 0.5 * group["lr"])).unbind())

    def _momenta(self, parameters: list[Tensor], momentum: float) -> tuple[Tensor, ...]:
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        buffers: list[Any] = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        found: tuple[Tensor, ...] = torch._foreach_lerp(gradients, buffers, momentum)
        return found


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """The approximate polar factor of each of ``[N, rows, columns]``, by Newton-Schulz iteration."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
