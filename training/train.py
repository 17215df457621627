"""Train the demo checkpoint: ``python -m training.train OUTPUT`` (needs the ``train`` extra).

One BLIP for question answering, trained at once to answer (the decoder attends to question states) and to caption
(it attends to image embeddings). It resumes from ``OUTPUT/state.pt``, and gives the same batches in the same order
however often it was stopped. A GPU is used where there is one.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from blipvino.demo.vocabulary import build_tokenizer
from training.command_line import run_command
from training.demo_model import new_model
from training.examples import PackedBatches
from training.packed_accuracy import accuracy, examples_of
from training.packed_forward import losses, packed_logits
from training.plan import TrainingPlan
from training.run_state import choose_device
from training.training_loop import Run, Task, make_parser, take_run, train_task

VALIDATE_EVERY = 500
VALIDATION_SCENES = 512


def train(plan: TrainingPlan, run: Run) -> PreTrainedModel:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout."""
    torch.manual_seed(plan.seed)
    device, tokenizer = choose_device(), build_tokenizer()
    model = new_model(tokenizer.get_vocab_size(), plan).to(device)
    validation = examples_of("validation", VALIDATION_SCENES, tokenizer, device)
    task = Task(
        model=model,
        learner=model,
        losses=lambda batch: losses(packed_logits(model, batch), batch),
        loss_names=("answer_loss", "caption_loss"),
        batch_of=PackedBatches(plan, tokenizer),
        validate=lambda: accuracy(model, validation),
        validate_every=VALIDATE_EVERY,
    )
    return train_task(task, plan, run, device, tokenizer)


def main() -> None:
    """Parse the command line and train."""
    options = vars(make_parser(__doc__, TrainingPlan()).parse_args())
    run = take_run(options)
    train(TrainingPlan(**options), run)


if __name__ == "__main__":
    run_command(main)
