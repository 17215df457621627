"""How well a demo model answers and captions: ``python -m training.packed_accuracy CHECKPOINT``."""

from __future__ import annotations

from collections import defaultdict

import torch
from tokenizers import Tokenizer
from transformers import BlipForQuestionAnswering

from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.demo.scenes import MAX_OBJECTS, Split
from training.command_line import checkpoint_folder, make_parser, positive, run_command
from training.examples import Batch, collate
from training.packed_forward import packed_logits
from training.packing import CAPTION_SEGMENT, IGNORED, packed_example

BATCH = 64


def examples_of(split: Split, scenes: int, tokenizer: Tokenizer, device: torch.device) -> list[Batch]:
    """The first scenes of a split, in batches."""
    starts = range(0, scenes, BATCH)
    numbers = [range(start, min(start + BATCH, scenes)) for start in starts]
    return [collate([packed_example(split, i, tokenizer, MAX_OBJECTS) for i in rows]).to(device) for rows in numbers]


def accuracy(model: BlipForQuestionAnswering, batches: list[Batch]) -> dict[str, float]:
    """Exact-match accuracy, from 0 to 1, by what `count_right` counts."""
    return {name: right / asked for name, (right, asked) in count_right(model, batches).items()}


@torch.no_grad()
def count_right(model: BlipForQuestionAnswering, batches: list[Batch]) -> dict[str, tuple[int, int]]:
    """How many texts are right, of how many: per question type, all questions ("all"), captions in either order.

    Teacher-forced: an answer is right when each next token, the closing one included, is the arg-max, which is just
    when greedy decoding gives it.
    """
    right: dict[str, int] = defaultdict(int)
    asked: dict[str, int] = defaultdict(int)
    for batch in batches:
        wrong = ((packed_logits(model, batch).argmax(-1) != batch.labels) & (batch.labels != IGNORED)).cpu()
        segments = batch.decoder_segments.cpu()
        for row, kinds in enumerate(batch.kinds):
            for segment, kind in kinds.items():
                correct = not bool(wrong[row][segments[row] == segment].any())
                for name in (kind,) if segment == CAPTION_SEGMENT else (kind, "all"):
                    right[name] += correct
                    asked[name] += 1
    return {name: (right[name], asked[name]) for name in sorted(asked)}


def main() -> None:
    """Parse the command line, measure, and print a table."""
    parser = make_parser(__doc__)
    parser.add_argument("checkpoint", help="a folder, or `demo`, the embedded one")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="of scenes (default: test)")
    of_scenes = "of which every other caption is from the top (default: 2400)"
    parser.add_argument("--scenes", type=positive, default=2400, help=of_scenes)
    options = parser.parse_args()
    folder = checkpoint_folder(options.checkpoint, QUESTION_ANSWERING)
    model = BlipForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = count_right(model, examples_of(options.split, options.scenes, tokenizer, torch.device("cpu")))
    print(f"| {options.scenes:,} scenes of the {options.split} split | asked | right |", "|---|---|---|", sep="\n")
    for name, (right, asked) in found.items():
        print(f"| {name} | {asked:,} | {right / asked:.2%} |")


if __name__ == "__main__":
    run_command(main)
