"""Train the retrieval checkpoint: ``python -m training.train_retrieval OUTPUT DEMO`` (needs the ``train`` extra).

A `BlipForImageTextRetrieval` that begins as the demo checkpoint ``DEMO``. It resumes from ``OUTPUT/state.pt`` as the
demo model's training does.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers import BlipForImageTextRetrieval

from blipvino.demo.vocabulary import build_tokenizer
from training.demo_model import export, parameters_of
from training.examples import make_batches
from training.plan import RetrievalPlan
from training.retrieval_accuracy import distinct_scenes, retrieval_accuracy
from training.retrieval_examples import RetrievalBatches
from training.retrieval_model import RetrievalLearner, new_retrieval_model
from training.run_state import RunFolder, add_plan_options, choose_device, mixed_precision
from training.training_step import TrainingStep, make_optimizers

LOG_EVERY = 50
VALIDATE_EVERY = 400
VALIDATION_SCENES = 200


def train(plan: RetrievalPlan, demo: Path, output: Path, precision: str, workers: int) -> BlipForImageTextRetrieval:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout."""
    torch.manual_seed(plan.seed)
    device, tokenizer = choose_device(), build_tokenizer()
    begun_as = sha256((demo / "model.safetensors").read_bytes()).hexdigest()
    folder = RunFolder(output, asdict(plan) | {"precision": precision, "demo": begun_as})
    learner = RetrievalLearner(new_retrieval_model(demo)).to(device)
    optimizers = make_optimizers(learner, plan, device)
    first = folder.resume(learner, optimizers, device)
    size = parameters_of(learner.model)
    print(f"{size:,} parameters, {precision} on {device}, step {first} of {plan.steps}", flush=True)
    validation = distinct_scenes("validation", VALIDATION_SCENES)
    learn = TrainingStep(learner.losses, learner, optimizers, device, precision)
    started = time.perf_counter()
    batches = make_batches(first, plan.steps, RetrievalBatches(plan, tokenizer), workers)
    for step, batch in enumerate(batches, start=first + 1):
        contrastive, matching = learn(batch, plan.rate(step - 1))
        if step % LOG_EVERY and step < plan.steps:
            continue
        entry: dict[str, Any] = {
            "step": step,
            "contrastive_loss": contrastive.item(),
            "matching_loss": matching.item(),
            "temperature": learner.temperature.item(),
            "images_per_s": (step - first) * plan.batch / (time.perf_counter() - started),
        }
        if step % VALIDATE_EVERY == 0 or step == plan.steps:
            with mixed_precision(device, precision):
                entry["validation"] = retrieval_accuracy(learner.model, tokenizer, validation, device)
        folder.log(entry)
        folder.save(learner, optimizers, step)
    export(learner.model, tokenizer, folder.checkpoint)
    return learner.model


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for state.pt, log.jsonl and checkpoint/")
    parser.add_argument("demo", type=Path, help="the trained demo checkpoint")
    add_plan_options(parser, RetrievalPlan())
    options = vars(parser.parse_args())
    output, demo, precision, workers = (options.pop(name) for name in ("output", "demo", "precision", "workers"))
    train(RetrievalPlan(**options), demo, output, precision, workers)


if __name__ == "__main__":
    main()
