"""A checkpoint with random weights, written in seconds: for size and speed, which depend on shapes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from blipvino.checkpoint.architectures import CAPTIONING
from blipvino.checkpoint.config import BlipConfig, PreprocessorConfig, TextConfig, VisionConfig
from blipvino.checkpoint.tensors import CONFIG_FILE, WEIGHTS_FILE
from blipvino.demo import CHECKPOINT
from blipvino.errors import CheckpointError

BLIP_BASE = BlipConfig(
    CAPTIONING,
    VisionConfig(),
    # 12 heads, as published checkpoints have; the special tokens are those of the demo's tokenizer.
    TextConfig(num_attention_heads=12, bos_token_id=5, pad_token_id=0, sep_token_id=3),
)
"""BLIP-base for captioning, by the shapes of the published checkpoint."""
STANDARD_DEVIATION = 0.02
"""Of weights and embeddings, as BERT's and BLIP's training begins with."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")

Shape = tuple[int, ...]


def write_random_checkpoint(folder: Path, config: BlipConfig = BLIP_BASE, *, seed: int = 0) -> Path:
    """Write a captioning checkpoint in Hugging Face's layout, float16, with the demo's tokenizer.

    Args:
        folder: an existing one, for its files.
        config: its shapes; the vocabulary has room for the demo's.
        seed: of the weights.

    Returns:
        The folder.

    Raises:
        CheckpointError: the shapes are of another class than `CAPTIONING`.
        OSError: it cannot be written.
    """
    generator = np.random.default_rng(seed)
    tensors = {name: _values(name, shape, generator) for name, shape in tensor_shapes(config).items()}
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})  # without it, transformers refuses the file
    _write_json(folder / CONFIG_FILE, _config_content(config))
    size = {"height": config.vision.image_size, "width": config.vision.image_size}
    _write_json(folder / "preprocessor_config.json", {**asdict(PreprocessorConfig(0)), "size": size})
    for name in _TOKENIZER_FILES:
        (folder / name).write_bytes((CHECKPOINT / name).read_bytes())
    return folder


def tensor_shapes(config: BlipConfig) -> dict[str, Shape]:
    """Name and shape of every tensor that `transformers` saves of a ``BlipForConditionalGeneration``.

    The output layer's weight and one of its biases are not among them: they are tied, and stored once.

    Raises:
        CheckpointError: the shapes are of another class.
    """
    if config.architecture != CAPTIONING:
        raise CheckpointError(f"random weights of {config.architecture} are not made; expected {CAPTIONING}")
    return dict([*_vision_shapes(config.vision), *_decoder_shapes(config.text)])


def _vision_shapes(config: VisionConfig) -> Iterator[tuple[str, Shape]]:
    width, inner, patch = config.hidden_size, config.intermediate_size, config.patch_size
    yield "vision_model.embeddings.class_embedding", (1, 1, width)
    yield "vision_model.embeddings.position_embedding", (1, config.num_positions, width)
    yield from _pair("vision_model.embeddings.patch_embedding", width, 3, patch, patch)
    for layer in range(config.num_hidden_layers):
        prefix = f"vision_model.encoder.layers.{layer}"
        yield from _pair(f"{prefix}.self_attn.qkv", 3 * width, width)
        yield from _pair(f"{prefix}.self_attn.projection", width, width)
        yield from _pair(f"{prefix}.mlp.fc1", inner, width)
        yield from _pair(f"{prefix}.mlp.fc2", width, inner)
        yield from _pair(f"{prefix}.layer_norm1", width)
        yield from _pair(f"{prefix}.layer_norm2", width)
    yield from _pair("vision_model.post_layernorm", width)


def _decoder_shapes(config: TextConfig) -> Iterator[tuple[str, Shape]]:
    width, inner = config.hidden_size, config.intermediate_size
    embeddings, head = "text_decoder.bert.embeddings", "text_decoder.cls.predictions"
    yield f"{embeddings}.word_embeddings.weight", (config.vocab_size, width)
    yield f"{embeddings}.position_embeddings.weight", (config.max_position_embeddings, width)
    yield from _pair(f"{embeddings}.LayerNorm", width)
    for layer in range(config.num_hidden_layers):
        prefix = f"text_decoder.bert.encoder.layer.{layer}"
        yield from _attention_shapes(f"{prefix}.attention", width, width)
        yield from _attention_shapes(f"{prefix}.crossattention", width, config.encoder_hidden_size)
        yield from _pair(f"{prefix}.intermediate.dense", inner, width)
        yield from _pair(f"{prefix}.output.dense", width, inner)
        yield from _pair(f"{prefix}.output.LayerNorm", width)
    yield from _pair(f"{head}.transform.dense", width, width)
    yield from _pair(f"{head}.transform.LayerNorm", width)
    yield f"{head}.bias", (config.vocab_size,)


def _attention_shapes(prefix: str, width: int, source: int) -> Iterator[tuple[str, Shape]]:
    """Of an attention's projections, keys and values being made of a source of some width."""
    yield from _pair(f"{prefix}.self.query", width, width)
    yield from _pair(f"{prefix}.self.key", width, source)
    yield from _pair(f"{prefix}.self.value", width, source)
    yield from _pair(f"{prefix}.output.dense", width, width)
    yield from _pair(f"{prefix}.output.LayerNorm", width)


def _pair(prefix: str, *shape: int) -> Iterator[tuple[str, Shape]]:
    """A layer's weight, and its bias, which has a number for each of its outputs."""
    yield f"{prefix}.weight", shape
    yield f"{prefix}.bias", shape[:1]


def _values(name: str, shape: Shape, generator: np.random.Generator) -> NDArray[np.float16]:
    """Ones and zeros for layer norms and biases, as a model begins; normal numbers for all else."""
    if name.endswith(".bias"):
        return np.zeros(shape, np.float16)
    if name.endswith(".weight") and len(shape) == 1:
        return np.ones(shape, np.float16)
    values = generator.standard_normal(shape, np.float32)
    values *= STANDARD_DEVIATION
    return values.astype(np.float16)


def _config_content(config: BlipConfig) -> dict[str, object]:
    text = {**asdict(config.text), "eos_token_id": config.text.sep_token_id}
    return {
        "architectures": [config.architecture],
        "model_type": "blip",
        "dtype": "float16",
        "tie_word_embeddings": True,
        "text_config": text,
        "vision_config": asdict(config.vision),
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
