"""The loop of every training here: batches in, a log and a state out, and a checkpoint at the end."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from training.demo_model import export, parameters_of
from training.examples import make_batches
from training.plan import Schedule
from training.run_state import RunFolder, default_precision, mixed_precision
from training.training_step import Losses, TrainingStep, make_optimizers

LOG_EVERY = 50


@dataclass(frozen=True)
class Task:
    """What one training is about.

    Attributes:
        model: what the checkpoint is of.
        learner: the model, and what only training needs.
        losses: both losses of a batch.
        loss_names: what to call them in the log.
        batch_of: the batch of a step.
        validate: accuracies by name.
        validate_every: steps between two validations.
        notes: what else to log.
    """

    model: PreTrainedModel
    learner: nn.Module
    losses: Callable[[Any], Losses]
    loss_names: tuple[str, str]
    batch_of: Callable[[int], Any]
    validate: Callable[[], Mapping[str, float]]
    validate_every: int
    notes: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True)
class Run:
    """Where and how a training runs.

    Attributes:
        output: folder for ``state.pt``, ``log.jsonl`` and ``checkpoint/``.
        precision: "bfloat16" or "float32".
        workers: processes that make batches ahead; 0 makes them in place.
    """

    output: Path
    precision: str
    workers: int


def train_task(
    task: Task, plan: Schedule, run: Run, device: torch.device, tokenizer: Tokenizer, **settings: Any
) -> PreTrainedModel:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout.

    Args:
        task: what is trained.
        plan: for how long and how fast.
        run: where and how.
        device: that the learner is on.
        tokenizer: for the checkpoint.
        settings: what the outcome depends on besides plan and precision.
    """
    folder = RunFolder(run.output, asdict(plan) | {"precision": run.precision} | settings)
    optimizers = make_optimizers(task.learner, plan, device)
    first = folder.resume(task.learner, optimizers, device)
    size = parameters_of(task.model)
    print(f"{size:,} parameters, {run.precision} on {device}, step {first} of {plan.steps}", flush=True)
    learn = TrainingStep(task.losses, task.learner, optimizers, device, run.precision)
    started = time.perf_counter()
    for step, batch in enumerate(make_batches(first, plan.steps, task.batch_of, run.workers), start=first + 1):
        losses = learn(batch, plan.rate(step - 1))
        if step % LOG_EVERY and step < plan.steps:
            continue
        entry: dict[str, Any] = {"step": step}
        entry |= {name: loss.item() for name, loss in zip(task.loss_names, losses, strict=True)} | task.notes()
        entry["images_per_s"] = (step - first) * plan.batch / (time.perf_counter() - started)
        if step % task.validate_every == 0 or step == plan.steps:
            with mixed_precision(device, run.precision):
                entry["validation"] = task.validate()
        folder.log(entry)
        folder.save(task.learner, optimizers, step)
    export(task.model, tokenizer, folder.checkpoint)
    return task.model


def make_parser(description: str | None, defaults: Schedule) -> argparse.ArgumentParser:
    """A parser of the output folder, the precision, the number of worker processes, and each field of a plan."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for state.pt, log.jsonl and checkpoint/")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default=default_precision())
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="that make batches")
    hints = get_type_hints(type(defaults))
    for each in fields(defaults):
        default, choices = getattr(defaults, each.name), get_args(hints[each.name]) or None
        name = "--" + each.name.replace("_", "-")
        parser.add_argument(name, type=type(default), choices=choices, default=default, help=f"(default: {default})")
    return parser


def take_run(options: dict[str, Any]) -> Run:
    """The run that parsed options ask for, taken out of them; what is left is the plan's."""
    return Run(**{each.name: options.pop(each.name) for each in fields(Run)})
