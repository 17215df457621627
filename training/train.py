"""Train the demo checkpoint: ``python -m training.train OUTPUT`` (needs the ``train`` extra).

One BLIP for question answering, trained at once to answer (the decoder attends to question states) and to caption
(it attends to image embeddings). Matrices are optimised by Muon, everything else by AdamW; the learning rate warms
up, stays, and falls linearly to zero; a curriculum raises the number of objects in a scene. Training resumes from
``OUTPUT/state.pt`` and gives the same batches in the same order however often it was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import BlipConfig, BlipForQuestionAnswering

from blipvino.demo.scenes import IMAGE_SIZE, MAX_OBJECTS, Split
from blipvino.demo.vocabulary import SPECIAL_TOKENS, build_tokenizer, save_tokenizer
from training.packing import CAPTION_SEGMENT, IGNORED, PackedExample, packed_example
from training.train_muon import BatchedMuon

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
MAX_TEXT_LENGTH = 64
MASKED = -1e4
POSITION_SLOPE = 1.5
"""Length by which neighbouring position embeddings differ at first, along each axis."""
DECODER_START = SPECIAL_TOKENS.index("[DEC]")


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to learn. ``batch`` counts pictures, each with its caption and several questions."""

    steps: int = 6000
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 150
    decay_fraction: float = 0.35
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, constant, linear decay to zero."""
        decay_start = self.steps * (1 - self.decay_fraction)
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, (self.steps - step) / (self.steps - decay_start))
        return self.learning_rate * rise * fall

    def max_objects(self, step: int) -> int:
        """The curriculum: one object in a scene at first, all of them after a tenth of the steps."""
        return min(MAX_OBJECTS, 1 + int(step / self.steps * 30))


def demo_config(vocab_size: int) -> BlipConfig:
    """The demo model's configuration: 96 px in patches of 16, width 192, 5 vision and 3 + 3 text layers."""
    common = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 6, "initializer_range": 0.02}
    text = {
        **common,
        "vocab_size": vocab_size,
        "num_hidden_layers": 3,
        "max_position_embeddings": MAX_TEXT_LENGTH,
        "bos_token_id": DECODER_START,
        "eos_token_id": SPECIAL_TOKENS.index("[SEP]"),
        "sep_token_id": SPECIAL_TOKENS.index("[SEP]"),
        "pad_token_id": SPECIAL_TOKENS.index("[PAD]"),
    }
    vision = {**common, "num_hidden_layers": 5, "image_size": IMAGE_SIZE, "patch_size": 16}
    return BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=64, projection_dim=64)


@torch.no_grad()
def new_model(vocab_size: int) -> BlipForQuestionAnswering:
    """An untrained model, whose position embeddings rise along the picture's two axes.

    A model that began without them learnt where things are horizontally late, and vertically not at all.
    """
    # In eval mode throughout: there is no dropout to switch on, and dropout at probability 0 still costs time.
    model = BlipForQuestionAnswering(demo_config(vocab_size)).eval()
    positions = model.vision_model.embeddings.position_embedding
    side = round((positions.shape[1] - 1) ** 0.5)
    centred = torch.arange(side) - (side - 1) / 2
    for ramp in (centred.repeat(side), centred.repeat_interleave(side)):
        direction = nn.functional.normalize(torch.randn(positions.shape[2]), dim=0)
        positions[0, 1:] += POSITION_SLOPE * ramp[:, None] * direction
    return model


class ExampleStream(Dataset[PackedExample]):
    """Training examples by number; the number decides the scene, its questions and the curriculum's stage."""

    def __init__(self, plan: TrainingPlan, tokenizer_json: str, first: int) -> None:
        self.plan, self.first = plan, first
        self.tokenizer = Tokenizer.from_str(tokenizer_json)

    def __len__(self) -> int:
        return self.plan.steps * self.plan.batch - self.first

    def __getitem__(self, number: int) -> PackedExample:
        index = self.first + number
        max_objects = self.plan.max_objects(index // self.plan.batch)
        return packed_example("train", index, self.tokenizer, max_objects, DECODER_START)


@dataclass
class Batch:
    """Stacked examples; images become float ``[B, 3, H, W]``, normalised as `BlipImageProcessor` does."""

    pixel_values: Tensor
    question_ids: Tensor
    question_positions: Tensor
    question_segments: Tensor
    decoder_ids: Tensor
    decoder_positions: Tensor
    decoder_segments: Tensor
    labels: Tensor
    kinds: list[tuple[str, ...]]


def collate(examples: list[PackedExample]) -> Batch:
    """Stack examples into a batch."""

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(example, name) for example in examples]))

    pixels = stack("image").permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (IMAGE_MEAN, IMAGE_STD))
    names = [name for name in Batch.__dataclass_fields__ if name not in ("pixel_values", "kinds")]
    kinds = [tuple(question.kind for question in example.questions) for example in examples]
    return Batch((pixels - mean) / std, **{name: stack(name) for name in names}, kinds=kinds)


def _block_mask(queries: Tensor, keys: Tensor) -> Tensor:
    """Additive mask ``[B, 1, Q, K]`` that lets a token see its own segment only."""
    return torch.where(queries[:, :, None] == keys[:, None, :], 0.0, MASKED)[:, None]


def _text_layers(layers: nn.ModuleList, x: Tensor, mask: Tensor, source: Tensor, source_mask: Tensor | None) -> Tensor:
    """The text layers of `transformers`, step by step: run whole, they drop the mask of the cross-attention."""
    for layer in layers:
        x = layer.attention(x, attention_mask=mask)[0]
        cross = layer.crossattention
        context = cross.self(x, encoder_hidden_states=source, encoder_attention_mask=source_mask)[0]
        x = layer.feed_forward_chunk(cross.output(context, x))
    return x


def packed_logits(model: BlipForQuestionAnswering, batch: Batch) -> Tensor:
    """Logits ``[B, T, vocab]`` of every decoder token, through the same modules that `transformers` runs."""
    image_embeds = model.vision_model(pixel_values=batch.pixel_values).last_hidden_state
    encoder, decoder = model.text_encoder, model.text_decoder.bert
    asked = encoder.embeddings(batch.question_ids, position_ids=batch.question_positions)
    own_question = _block_mask(batch.question_segments, batch.question_segments)
    question_states = _text_layers(encoder.encoder.layer, asked, own_question, image_embeds, None)
    image_segments = torch.full(image_embeds.shape[:2], CAPTION_SEGMENT)
    sources = torch.cat([question_states, image_embeds], dim=1)
    source_segments = torch.cat([batch.question_segments, image_segments], dim=1)
    own_source = _block_mask(batch.decoder_segments, source_segments)
    causal = torch.full((batch.decoder_ids.shape[1],) * 2, MASKED).triu(1)
    own_past = _block_mask(batch.decoder_segments, batch.decoder_segments) + causal
    said = decoder.embeddings(batch.decoder_ids, position_ids=batch.decoder_positions)
    return model.text_decoder.cls(_text_layers(decoder.encoder.layer, said, own_past, sources, own_source))


def losses(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the answers' tokens and of the captions' tokens."""
    entropy = nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(batch.labels)
    in_caption = batch.decoder_segments == CAPTION_SEGMENT
    in_answer = (batch.labels != IGNORED) & ~in_caption
    return entropy[in_answer].mean(), entropy[in_caption].mean()


@torch.no_grad()
def accuracy(model: BlipForQuestionAnswering, tokenizer: Tokenizer, split: Split, scenes: int) -> dict[str, float]:
    """Exact-match accuracy per question type, of all questions ("all"), and of captions ("caption").

    Teacher-forced: an answer is right when each next token, the closing one included, is the arg-max, which is just
    when greedy decoding gives it.
    """
    right: dict[str, int] = defaultdict(int)
    asked: dict[str, int] = defaultdict(int)
    for start in range(0, scenes, 64):
        numbers = range(start, min(start + 64, scenes))
        batch = collate([packed_example(split, i, tokenizer, MAX_OBJECTS, DECODER_START) for i in numbers])
        wrong = (packed_logits(model, batch).argmax(-1) != batch.labels) & (batch.labels != IGNORED)
        for row, kinds in enumerate(batch.kinds):
            for segment, kind in [*enumerate(kinds), (CAPTION_SEGMENT, "caption")]:
                correct = not bool(wrong[row][batch.decoder_segments[row] == segment].any())
                for name in (kind,) if kind == "caption" else (kind, "all"):
                    right[name] += correct
                    asked[name] += 1
    return {name: right[name] / asked[name] for name in sorted(asked)}


def make_optimizers(model: nn.Module, plan: TrainingPlan) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, norms and biases."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embeddings" not in name and "predictions.decoder" not in name
        (matrices if is_matrix else others).append(parameter)
    muon = BatchedMuon(matrices, weight_decay=plan.weight_decay)
    return [muon, torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)]


def train(plan: TrainingPlan, output: Path) -> None:
    """Train to the end of the plan, or on from the last saved state, and write the checkpoint in HF layout."""
    torch.manual_seed(plan.seed)
    output.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    model = new_model(tokenizer.get_vocab_size())
    optimizers = make_optimizers(model, plan)
    step = _resume(output / "state.pt", model, optimizers)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, from step {step} of {plan.steps}", flush=True)
    started, first_step = time.perf_counter(), step
    with (output / "log.jsonl").open("a", encoding="utf-8") as log:
        for batch in _batches(plan, tokenizer, step):
            answer_loss, caption_loss = _update(model, optimizers, batch, plan.rate(step))
            step += 1
            if step % 50 == 0:
                speed = (step - first_step) * plan.batch / (time.perf_counter() - started)
                entry = {"step": step, "answer_loss": answer_loss, "caption_loss": caption_loss, "images_per_s": speed}
                if step % 250 == 0:
                    _save(output / "state.pt", model, optimizers, step)
                    entry["validation"] = accuracy(model, tokenizer, "validation", 256)
                print(json.dumps(entry), file=log, flush=True)
    _save(output / "state.pt", model, optimizers, step)
    export(model, tokenizer, output / "checkpoint")


def _batches(plan: TrainingPlan, tokenizer: Tokenizer, step: int) -> Iterator[Batch]:
    stream = ExampleStream(plan, tokenizer.to_str(), first=step * plan.batch)
    yield from DataLoader(stream, plan.batch, num_workers=1, prefetch_factor=4, collate_fn=collate)


def _update(
    model: BlipForQuestionAnswering, optimizers: list[torch.optim.Optimizer], batch: Batch, rate: float
) -> tuple[float, float]:
    answer_loss, caption_loss = losses(packed_logits(model, batch), batch)
    (answer_loss + caption_loss).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    return answer_loss.item(), caption_loss.item()


def _save(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    state = {"step": step, "model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers]}
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _resume(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> int:
    if not path.exists():
        return 0
    state = torch.load(path)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])


def export(model: BlipForQuestionAnswering, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the checkpoint as `transformers` lays it out, in fp16, with tokenizer and preprocessing."""
    model.to(torch.float16).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, MAX_TEXT_LENGTH)
    preprocessing = {
        "image_processor_type": "BlipImageProcessor",
        "processor_class": "BlipProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGE_MEAN),
        "image_std": list(IMAGE_STD),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8")
    model.float()


def main() -> None:
    """Parse the command line and train."""
    defaults = TrainingPlan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for state.pt, log.jsonl and checkpoint/")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(TrainingPlan(options.steps, options.batch, options.learning_rate), options.output)


if __name__ == "__main__":
    main()
