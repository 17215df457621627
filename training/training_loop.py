"""The loop of every training here: batches in, a log and a state out, and a checkpoint at the end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from blipvino.errors import InputError
from training.command_line import attribute_texts
from training.command_line import make_parser as empty_parser
from training.demo_model import export, parameters_of
from training.examples import make_batches
from training.interruption import Interruption
from training.plan import Schedule
from training.run_state import RunFolder, default_precision, mixed_precision
from training.training_step import Losses, TrainingStep, make_optimizers

LOG_EVERY = 50
TOLD_BEFORE = (1, 10)
"""Steps of a run after which a line on standard error tells how fast it goes; later ones are in the log."""


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

    def __post_init__(self) -> None:
        """Check the number of workers.

        Raises:
            InputError: it is negative.
        """
        if self.workers < 0:
            raise InputError(f"workers is {self.workers}, expected at least 0")


def train_task(
    task: Task, plan: Schedule, run: Run, device: torch.device, tokenizer: Tokenizer, **settings: Any
) -> PreTrainedModel:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout.

    Ctrl-C ends it after the step, or the validation, that it comes in: the state is saved then.

    Args:
        task: what is trained.
        plan: for how long and how fast.
        run: where and how.
        device: that the learner is on.
        tokenizer: for the checkpoint.
        settings: what the outcome depends on besides plan and precision.

    Raises:
        KeyboardInterrupt: it was stopped; the message says at which step.
    """
    folder = RunFolder(run.output, asdict(plan) | {"precision": run.precision} | settings)
    optimizers = make_optimizers(task.learner, plan, device)
    first = folder.resume(task.learner, optimizers, device)
    size = parameters_of(task.model)
    print(f"{size:,} parameters, {run.precision} on {device}, step {first} of {plan.steps}", flush=True)
    learn = TrainingStep(task.losses, task.learner, optimizers, device, run.precision)
    started = time.perf_counter()
    with Interruption() as interruption:
        for step, batch in enumerate(make_batches(first, plan.steps, task.batch_of, run.workers), start=first + 1):
            losses = learn(batch, plan.rate(step - 1))
            speed = (step - first) * plan.batch / (time.perf_counter() - started)
            if step - first in TOLD_BEFORE:
                print(f"step {step} of {plan.steps}, {speed:.1f} pictures a second", file=sys.stderr, flush=True)
            if step % LOG_EVERY == 0 or step == plan.steps:
                entry: dict[str, Any] = {"step": step}
                entry |= {name: loss.item() for name, loss in zip(task.loss_names, losses, strict=True)} | task.notes()
                entry["images_per_s"] = speed
                if step % task.validate_every == 0 or step == plan.steps:
                    with mixed_precision(device, run.precision):
                        entry["validation"] = task.validate()
                folder.log(entry)
                folder.save(task.learner, optimizers, step)
            if interruption.came and step < plan.steps:
                folder.save(task.learner, optimizers, step)
                raise KeyboardInterrupt(f"stopped at step {step} of {plan.steps}; the same command goes on from there")
    export(task.model, tokenizer, folder.checkpoint)
    return task.model


def make_parser(description: str | None, defaults: Schedule) -> argparse.ArgumentParser:
    """A parser of the output folder, the precision, the number of worker processes, and each field of a plan."""
    parser, of_run = empty_parser(description), attribute_texts(Run)
    parser.add_argument("output", type=Path, help=of_run["output"].replace("`", ""))
    kinds, of_precision = ("bfloat16", "float32"), "of matrix products; by default bfloat16 where it is native"
    parser.add_argument("--precision", choices=kinds, default=default_precision(), help=of_precision)
    workers = max(1, (os.cpu_count() or 2) - 1)
    parser.add_argument("--workers", type=int, default=workers, help=f"{of_run['workers']} (default: {workers})")
    hints, texts = get_type_hints(type(defaults)), attribute_texts(type(defaults))
    for each in fields(defaults):
        default, choices = getattr(defaults, each.name), get_args(hints[each.name]) or None
        name, text = "--" + each.name.replace("_", "-"), f"{texts[each.name]} (default: {default})"
        parser.add_argument(name, type=type(default), choices=choices, default=default, help=text)
    return parser


def take_run(options: dict[str, Any]) -> Run:
    """The run that parsed options ask for, taken out of them; what is left is the plan's."""
    return Run(**{each.name: options.pop(each.name) for each in fields(Run)})
