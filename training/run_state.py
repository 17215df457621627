"""What a training run keeps in its folder, and what it computes with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from blipvino.errors import InputError
from blipvino.machine.host import this_host


def choose_device() -> torch.device:
    """A GPU where there is one, else the CPU; with kernels that always add up in one order, where there are any."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which deterministic products need
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a help for debugging that launches many kernels
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_precision() -> str:
    """bfloat16 where it is native; other CPUs emulate it, and crawl."""
    return "bfloat16" if torch.cuda.is_available() or this_host().bf16 else "float32"


@contextmanager
def mixed_precision(device: torch.device, precision: str) -> Iterator[None]:
    """Matrix products in bfloat16, or everything in float32; parameters are float32 in both."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        yield


class RunFolder:
    """``state.pt``, from which training goes on, and ``log.jsonl``.

    Args:
        path: the folder, made if need be.
        settings: all that the training's outcome depends on; a run goes on under the same alone.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.checkpoint, self._state, self._log = path / "checkpoint", path / "state.pt", path / "log.jsonl"
        self._settings = settings

    def save(self, model: nn.Module, optimizers: list[torch.optim.Optimizer], step: int) -> None:
        """Write the state, whole or not at all."""
        state = {
            "step": step,
            "settings": self._settings,
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        torch.save(state, self._state.with_suffix(".tmp"))
        self._state.with_suffix(".tmp").replace(self._state)

    def resume(self, model: nn.Module, optimizers: list[torch.optim.Optimizer], device: torch.device) -> int:
        """Load the state, if there is one; the step to go on from.

        Raises:
            InputError: it is a state of other settings.
        """
        if not self._state.exists():
            return 0
        state = torch.load(self._state, map_location=device)
        for name, value in self._settings.items():
            if state["settings"].get(name) != value:
                before = state["settings"].get(name)
                raise InputError(
                    f"{self._state}: began with {name} {before!r}, not {value!r}; train into another folder"
                )
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            of_this_device = [
                {name: group[name] for name in ("lr", "capturable") if name in group}
                for group in optimizer.param_groups
            ]
            optimizer.load_state_dict(saved)
            for group, kept in zip(optimizer.param_groups, of_this_device, strict=True):
                group.update(kept)
        return int(state["step"])

    def log(self, entry: dict[str, Any]) -> None:
        """Append a line to the log, and print it."""
        line = json.dumps(entry)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, flush=True)
