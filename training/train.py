"""Train the demo checkpoint: ``python -m training.train OUTPUT`` (needs the ``train`` extra).

One BLIP for question answering, trained at once to answer (the decoder attends to question states) and to caption
(it attends to image embeddings). It resumes from ``OUTPUT/state.pt``, and gives the same batches in the same order
however often it was stopped. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import BlipForQuestionAnswering

from blipvino.demo.vocabulary import build_tokenizer
from training.demo_model import export, new_model, parameters_of
from training.examples import PackedBatches, make_batches
from training.packed_accuracy import accuracy, examples_of
from training.packed_forward import losses, packed_logits
from training.plan import TrainingPlan
from training.run_state import RunFolder, add_plan_options, choose_device, mixed_precision
from training.training_step import TrainingStep, make_optimizers

LOG_EVERY = 50
VALIDATE_EVERY = 500
VALIDATION_SCENES = 512


def train(plan: TrainingPlan, output: Path, precision: str, workers: int) -> BlipForQuestionAnswering:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout."""
    torch.manual_seed(plan.seed)
    device, tokenizer = choose_device(), build_tokenizer()
    folder = RunFolder(output, asdict(plan) | {"precision": precision})
    model = new_model(tokenizer.get_vocab_size(), plan).to(device)
    optimizers = make_optimizers(model, plan, device)
    first = folder.resume(model, optimizers, device)
    print(f"{parameters_of(model):,} parameters, {precision} on {device}, step {first} of {plan.steps}", flush=True)
    validation = examples_of("validation", VALIDATION_SCENES, tokenizer, device)
    learn = TrainingStep(lambda batch: losses(packed_logits(model, batch), batch), model, optimizers, device, precision)
    started = time.perf_counter()
    batches = make_batches(first, plan.steps, PackedBatches(plan, tokenizer), workers)
    for step, batch in enumerate(batches, start=first + 1):
        answer_loss, caption_loss = learn(batch, plan.rate(step - 1))
        if step % LOG_EVERY and step < plan.steps:
            continue
        entry: dict[str, Any] = {"step": step, "answer_loss": answer_loss.item(), "caption_loss": caption_loss.item()}
        entry["images_per_s"] = (step - first) * plan.batch / (time.perf_counter() - started)
        if step % VALIDATE_EVERY == 0 or step == plan.steps:
            with mixed_precision(device, precision):
                entry["validation"] = accuracy(model, validation)
        folder.log(entry)
        folder.save(model, optimizers, step)
    export(model, tokenizer, folder.checkpoint)
    return model


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for state.pt, log.jsonl and checkpoint/")
    add_plan_options(parser, TrainingPlan())
    options = vars(parser.parse_args())
    output, precision, workers = (options.pop(name) for name in ("output", "precision", "workers"))
    train(TrainingPlan(**options), output, precision, workers)


if __name__ == "__main__":
    main()
