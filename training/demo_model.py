"""The demo model before it has learnt anything, and the checkpoint that is written once it has."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BlipConfig, BlipForQuestionAnswering, PreTrainedModel

from blipvino.checkpoint.config import RESCALE_FACTOR, PreprocessorConfig
from blipvino.checkpoint.tensors import WEIGHTS_FILE
from blipvino.demo.scenes import IMAGE_SIZE
from blipvino.demo.vocabulary import SPECIAL_TOKENS, save_tokenizer
from training.plan import TrainingPlan

PREPROCESSING = PreprocessorConfig(IMAGE_SIZE)
MAX_TEXT_LENGTH = 64
DECODER_START = SPECIAL_TOKENS.index("[DEC]")
MAX_NEW_TOKENS = 24
"""Of the longest caption, the closing one included; of one from the top, after its prompt."""


def demo_config(vocab_size: int, patch: int) -> BlipConfig:
    """The demo model's configuration: width 192, 6 heads, 5 vision and 3 + 3 text layers."""
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
    vision = {**common, "num_hidden_layers": 5, "image_size": IMAGE_SIZE, "patch_size": patch}
    return BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=64, projection_dim=64)


def new_model(vocab_size: int, plan: TrainingPlan) -> BlipForQuestionAnswering:
    """An untrained model, whose position embeddings begin as the plan says, and are learnt from there on."""
    # In eval mode throughout: there is no dropout to switch on, and dropout at probability 0 still costs time.
    model = BlipForQuestionAnswering(demo_config(vocab_size, plan.patch)).eval()
    if plan.positions == "sincos":
        positions = model.vision_model.embeddings.position_embedding
        positions.data[0, 1:] = sincos_positions(IMAGE_SIZE // plan.patch, positions.shape[2])
    return model


def sincos_positions(side: int, width: int) -> Tensor:
    """Position embeddings ``[side * side, width]``, row by row: half of each for the column, half for the row.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.5; for two axes as in He et al., "Masked
    Autoencoders Are Scalable Vision Learners" (2021), appendix A.1.
    """
    frequencies = 10_000.0 ** -(torch.arange(width // 4) / (width // 4))
    angles = torch.arange(side)[:, None] * frequencies
    along = torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.cat([along.repeat(side, 1), along.repeat_interleave(side, dim=0)], dim=1)


def parameters_of(model: nn.Module) -> int:
    """How many numbers a model has learnt."""
    return sum(parameter.numel() for parameter in model.parameters())


def export(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a checkpoint as `transformers` lays it out, in fp16, with tokenizer and preprocessing."""
    exported = deepcopy(model).to(torch.float16)
    if exported.can_generate():
        exported.generation_config.max_new_tokens = MAX_NEW_TOKENS
    exported.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, MAX_TEXT_LENGTH)
    preprocessing = {
        "image_processor_type": "BlipImageProcessor",
        "processor_class": "BlipProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": PREPROCESSING.resample,
        "do_rescale": True,
        "rescale_factor": RESCALE_FACTOR,
        "do_normalize": True,
        "image_mean": PREPROCESSING.image_mean,
        "image_std": PREPROCESSING.image_std,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8")
    shutil.copymode(folder / "preprocessor_config.json", folder / WEIGHTS_FILE)  # safetensors' are the user's alone
