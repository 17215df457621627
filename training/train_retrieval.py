"""Train the retrieval checkpoint: ``python -m training.train_retrieval OUTPUT BEGIN`` (needs the ``train`` extra).

A `BlipForImageTextRetrieval` that begins as the demo checkpoint ``BEGIN``, or goes on as a retrieval checkpoint. It
resumes from ``OUTPUT/state.pt`` as the demo model's training does.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import torch
from transformers import PreTrainedModel

from blipvino.checkpoint.architectures import QUESTION_ANSWERING, RETRIEVAL
from blipvino.demo.vocabulary import build_tokenizer
from training.command_line import checkpoint_folder, run_command
from training.plan import RetrievalPlan
from training.retrieval_accuracy import distinct_scenes, retrieval_accuracy
from training.retrieval_examples import RetrievalBatches
from training.retrieval_model import (
    FIRST_TEMPERATURE,
    TRAINED_TEMPERATURE,
    RetrievalLearner,
    is_retrieval,
    new_retrieval_model,
)
from training.run_state import choose_device
from training.training_loop import Run, Task, make_parser, take_run, train_task

VALIDATE_EVERY = 400
VALIDATION_SCENES = 200


def train(plan: RetrievalPlan, begun_as: Path, run: Run) -> PreTrainedModel:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout."""
    torch.manual_seed(plan.seed)
    device, tokenizer = choose_device(), build_tokenizer()
    weights = sha256((begun_as / "model.safetensors").read_bytes()).hexdigest()
    temperature = TRAINED_TEMPERATURE if is_retrieval(begun_as) else FIRST_TEMPERATURE
    learner = RetrievalLearner(new_retrieval_model(begun_as), temperature).to(device)
    validation = distinct_scenes("validation", VALIDATION_SCENES)
    task = Task(
        model=learner.model,
        learner=learner,
        losses=learner.losses,
        loss_names=("contrastive_loss", "matching_loss"),
        batch_of=RetrievalBatches(plan, tokenizer),
        validate=lambda: retrieval_accuracy(learner.model, tokenizer, validation, device),
        validate_every=VALIDATE_EVERY,
        notes=lambda: {"temperature": learner.temperature.item()},
    )
    return train_task(task, plan, run, device, tokenizer, begun_as=weights)


def main() -> None:
    """Parse the command line and train."""
    parser = make_parser(__doc__, RetrievalPlan())
    parser.add_argument("begin", help="the checkpoint that it begins as: a folder, `demo` or `demo-retrieval`")
    options = vars(parser.parse_args())
    run, begun_as = take_run(options), checkpoint_folder(options.pop("begin"), QUESTION_ANSWERING, RETRIEVAL)
    train(RetrievalPlan(**options), begun_as, run)


if __name__ == "__main__":
    run_command(main)
