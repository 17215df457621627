"""Training examples in batches, made ahead by worker processes in an order that the plan alone decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.demo_model import PREPROCESSING
from training.interruption import leave_to_the_parent
from training.packing import PackedExample, packed_example
from training.plan import TrainingPlan

BatchT = TypeVar("BatchT")


@dataclass
class TensorBatch:
    """A batch whose fields are tensors, but for those that say what its rows are."""

    def to(self: BatchT, device: torch.device) -> BatchT:
        """The same batch on another device."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        moved = {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in values.items()}
        return type(self)(**moved)


@dataclass
class Batch(TensorBatch):
    """Stacked examples: uint8 ``images`` ``[B, H, W, 3]``, and the rest as in `PackedExample`."""

    images: Tensor
    question_ids: Tensor
    question_positions: Tensor
    question_segments: Tensor
    decoder_ids: Tensor
    decoder_positions: Tensor
    decoder_segments: Tensor
    labels: Tensor
    kinds: list[dict[int, str]]


def collate(examples: Sequence[PackedExample]) -> Batch:
    """Stack examples into a batch."""

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(example, name) for example in examples]))

    names = [each.name for each in fields(Batch) if each.name not in ("images", "kinds")]
    return Batch(stack("image"), **{name: stack(name) for name in names}, kinds=[each.kinds for each in examples])


def normalized(images: Tensor) -> Tensor:
    """Pixel values ``[B, 3, H, W]`` of uint8 images ``[B, H, W, 3]``, as `BlipImageProcessor` makes them."""
    channels = zip(images.unbind(dim=3), PREPROCESSING.image_mean, PREPROCESSING.image_std, strict=True)
    return torch.stack([(channel.float() / 255 - mean) / std for channel, mean, std in channels], dim=1)


class BatchStream(Dataset[BatchT]):
    """Training batches by step."""

    def __init__(self, first: int, last: int, make: Callable[[int], BatchT]) -> None:
        self.first, self.last, self.make = first, last, make

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, number: int) -> BatchT:
        return self.make(self.first + number)


def make_batches(first: int, last: int, make: Callable[[int], BatchT], workers: int) -> Iterator[BatchT]:
    """The batches of the steps from ``first`` to before ``last``, made ahead by worker processes, or by none."""
    ahead = 4 if workers else None
    yield from DataLoader(
        BatchStream(first, last, make),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=ahead,
        worker_init_fn=leave_to_the_parent,
    )


class PackedBatches:
    """Makes the demo model's batches; the step decides the scenes, their questions, and the curriculum's stage."""

    def __init__(self, plan: TrainingPlan, tokenizer: Tokenizer) -> None:
        self.plan, self.tokenizer = plan, tokenizer

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        indices = range(step * self.plan.batch, (step + 1) * self.plan.batch)
        objects = self.plan.max_objects(step)
        return collate([packed_example("train", index, self.tokenizer, objects) for index in indices])
