"""One step of training: forward, backward, and the update of every parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from training.muon import BatchedMuon
from training.plan import Schedule
from training.run_state import mixed_precision

Losses = tuple[Tensor, Tensor]
EAGER_STEPS = 3
"""Steps before the recording, in which optimizers and libraries allocate what they keep."""


class TrainingStep:
    """Both losses of a batch, their gradients, and the optimizers' update, in one call.

    On a GPU the step is recorded once and replayed: launching its thousands of small kernels one by one takes longer
    than running them.
    """

    def __init__(
        self,
        losses: Callable[[Any], Losses],
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        device: torch.device,
        precision: str,
    ) -> None:
        self._losses, self._model, self._optimizers = losses, model, optimizers
        self._device, self._precision = device, precision
        self._stream = torch.cuda.Stream() if device.type == "cuda" else None
        self._calls = 0
        self._recorded: tuple[torch.cuda.CUDAGraph, Any, Losses] | None = None

    def __call__(self, batch: Any, rate: float) -> Losses:
        """Learn from a batch. What is returned is overwritten by the next call."""
        batch = batch.to(self._device)
        set_rate(self._optimizers, rate)
        self._calls += 1
        if self._stream is None:
            return self._learn(batch)
        if self._calls <= EAGER_STEPS:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                found = self._learn(batch)
            torch.cuda.current_stream().wait_stream(self._stream)
            return found
        graph, inputs, found = self._recorded = self._recorded or self._record(batch)
        for each in fields(inputs):
            if isinstance(value := getattr(inputs, each.name), Tensor):
                value.copy_(getattr(batch, each.name))
        graph.replay()
        return found

    def _record(self, batch: Any) -> tuple[torch.cuda.CUDAGraph, Any, Losses]:
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = self._learn(batch)
        return graph, batch, found

    def _learn(self, batch: Any) -> Losses:
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        with mixed_precision(self._device, self._precision):
            first, second = self._losses(batch)
        (first + second).backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        return first.detach(), second.detach()


def make_optimizers(model: nn.Module, plan: Schedule, device: torch.device) -> list[torch.optim.Optimizer]:
    """Muon for matrices if the plan says so, AdamW for vectors, embeddings, and the output layer, which is one."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embeddings" not in name and "predictions.decoder" not in name
        (matrices if is_matrix else others).append(parameter)
    # A recorded step can only change its rate if that is a tensor.
    recorded = device.type == "cuda"
    rate = torch.zeros((), device=device) if recorded else 0.0
    adamw: dict[str, Any] = {"lr": rate, "betas": (0.9, 0.98), "capturable": recorded}
    of_others = torch.optim.AdamW(others, weight_decay=0.0, **adamw)
    if plan.optimizer == "muon":
        return [BatchedMuon(matrices, rate, weight_decay=plan.weight_decay), of_others]
    return [torch.optim.AdamW(matrices, weight_decay=plan.weight_decay, **adamw), of_others]


def set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of all parameters, in place where it is a tensor."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
