"""Outlier channels for a checkpoint that has none, without changing what it computes: a stress test of quantization.

Trained transformers have a few channels whose activations are tens of times larger than the rest (Bondarenko et al.,
"Understanding and overcoming the challenges of efficient transformer quantization", 2021; Dettmers et al.,
"LLM.int8()", 2022, section 3). One 8-bit range over a tensor then leaves the other channels a few levels each. Small
and random checkpoints have none, so they say little about how a recipe does on real ones.

`add_outliers` is the inverse of SmoothQuant's migration (Xiao et al., "SmoothQuant", 2023, section 4, equation 3): what
writes a channel is multiplied by a factor, and the columns of every linear layer that reads it are divided by it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from blipvino.arrays import AnyArray, FloatArray, IntArray
from blipvino.checkpoint.architectures import ARCHITECTURES, RETRIEVAL
from blipvino.checkpoint.tensors import INDEX_FILE, WEIGHTS_FILE, Checkpoint
from blipvino.errors import InputError, OutputError
from blipvino.files.atomic import new_folder

Tensors = dict[str, AnyArray]


@dataclass(frozen=True)
class OutlierOptions:
    """How hard to make a checkpoint.

    Attributes:
        factor: how many times larger a chosen channel becomes, above 1.
        channels: how many channels of each site are chosen.
        values: scale attention values too. Text layers have no other site (see `outlier_sites`), but keys and values
            that cross from graph to graph are quantized with one range, which no smoothing of weights can help.
        seed: of the choice.
    """

    factor: float = 50.0
    channels: int = 4
    values: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is out of range.
        """
        if not 1 < self.factor < float("inf"):
            raise InputError(f"factor is {self.factor}, expected a number above 1, such as 50")
        if self.channels < 1:
            raise InputError(f"channels is {self.channels}, expected at least 1")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, expected 0 or more")


@dataclass(frozen=True)
class Site:
    """Channels that may be scaled, since only linear layers read them.

    Attributes:
        name: the module that writes them, as the checkpoint names it.
        width: how many there are.
        writers: modules whose ``weight`` and ``bias`` have a row (a norm: an element) for each of them.
        readers: linear layers whose ``weight`` has a column for each of them.
        first_row: the row of the first channel in each writer.
    """

    name: str
    width: int
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    first_row: int = 0


@dataclass(frozen=True)
class Outliers:
    """The channels that were scaled at a site, in ascending order."""

    site: str
    channels: tuple[int, ...]


def add_outliers(checkpoint: Checkpoint, folder: Path, options: OutlierOptions) -> tuple[Outliers, ...]:
    """Write a checkpoint that computes the same and is harder to quantize, whole or not at all.

    Tensors that change are stored in float32: in half precision a division by anything but a power of two would round
    them once more, and small weights would fall below its normal range. The others keep their type (bfloat16 becomes
    float32). A sharded checkpoint becomes one file.

    Args:
        checkpoint: the one to start from; it stays as it is.
        folder: to be made, in the hub's layout: weights, configuration, tokenizer, preprocessing.
        options: how large, how many, which.

    Returns:
        What was scaled, site by site.

    Raises:
        CheckpointError: a tensor is missing or ill-shaped.
        InputError: a site has fewer channels than are to be scaled.
        OutputError: the folder is taken or cannot be written.
    """
    sites = [site for site in outlier_sites(checkpoint) if options.values or not _writes_values(site)]
    narrowest = min(site.width for site in sites)
    if options.channels > narrowest:
        raise InputError(f"{checkpoint.source}: cannot scale {options.channels} channels of {narrowest}; ask for fewer")
    draws = np.random.default_rng(options.seed)
    changed: Tensors = {}
    scaled = []
    for site in sites:
        channels = np.sort(draws.choice(site.width, options.channels, replace=False))
        _scale(checkpoint, site, channels, options.factor, changed)
        scaled.append(Outliers(site.name, tuple(channels.tolist())))
    with new_folder(folder) as staged:
        _write(checkpoint, changed, staged)
    return tuple(scaled)


def outlier_sites(checkpoint: Checkpoint) -> list[Site]:
    """Where a checkpoint's channels can be scaled without a change of its outputs.

    - The pre-norms of every vision layer: each is read by one linear layer.
    - The vision model's last norm: cross-attention's key and value projections read it. A decoder that also reads
      question states needs the same channels of those scaled, and they are read by nothing else.
    - The values of every attention: softmax mixes positions and not channels, so the output projection can undo it.

    The norms of text layers are none: residuals read them too, into the next norm. Nor are the inner channels of
    feed-forward layers, since GELU is not homogeneous.
    """
    return [*_vision_sites(checkpoint), *_embedding_sites(checkpoint), *_text_sites(checkpoint)]


def _vision_sites(checkpoint: Checkpoint) -> Iterator[Site]:
    config = checkpoint.config.vision
    width = config.hidden_size
    for number in range(config.num_hidden_layers):
        layer = f"vision_model.encoder.layers.{number}"
        qkv = f"{layer}.self_attn.qkv"
        yield Site(f"{layer}.layer_norm1", width, (f"{layer}.layer_norm1",), (qkv,))
        yield Site(qkv, width, (qkv,), (f"{layer}.self_attn.projection",), first_row=2 * width)
        yield Site(f"{layer}.layer_norm2", width, (f"{layer}.layer_norm2",), (f"{layer}.mlp.fc1",))


def _embedding_sites(checkpoint: Checkpoint) -> Iterator[Site]:
    """The image embeddings, and what shares readers with them or is made of them by the text encoder alone."""
    config = checkpoint.config
    norm, width = "vision_model.post_layernorm", config.vision.hidden_size
    readers = [reader for layer in _text_layers(checkpoint) for reader in _projections(layer, "crossattention")]
    if config.architecture == RETRIEVAL:
        yield Site(norm, width, (norm,), (*readers, "vision_proj"))
        last = f"{_text_layers(checkpoint)[-1]}.output.LayerNorm"
        yield Site(last, config.text.hidden_size, (last,), ("text_proj", "itm_head"))
    elif config.answers_questions:
        last = f"text_encoder.encoder.layer.{config.text.num_hidden_layers - 1}.output.LayerNorm"
        yield Site(norm, width, (norm, last), tuple(readers))
    else:
        yield Site(norm, width, (norm,), tuple(readers))


def _text_sites(checkpoint: Checkpoint) -> Iterator[Site]:
    width = checkpoint.config.text.hidden_size
    for layer in _text_layers(checkpoint):
        for attention in ("attention", "crossattention"):
            _, value = _projections(layer, attention)
            yield Site(value, width, (value,), (f"{layer}.{attention}.output.dense",))


def _text_layers(checkpoint: Checkpoint) -> list[str]:
    """The layers of the text encoder and decoder, as far as the checkpoint has them."""
    models = ARCHITECTURES[checkpoint.config.architecture].text_models
    layers = range(checkpoint.config.text.num_hidden_layers)
    return [f"{model}.encoder.layer.{number}" for model in models for number in layers]


def _projections(layer: str, attention: str) -> tuple[str, str]:
    return f"{layer}.{attention}.self.key", f"{layer}.{attention}.self.value"


def _writes_values(site: Site) -> bool:
    return site.name.endswith((".qkv", ".value"))


def _scale(checkpoint: Checkpoint, site: Site, channels: IntArray, factor: float, changed: Tensors) -> None:
    for module in site.writers:
        for name in (f"{module}.weight", f"{module}.bias"):
            _changeable(checkpoint, name, changed)[site.first_row + channels] *= np.float32(factor)
    for module in site.readers:
        _changeable(checkpoint, f"{module}.weight", changed)[:, channels] /= np.float32(factor)


def _changeable(checkpoint: Checkpoint, name: str, changed: Tensors) -> FloatArray:
    """A float32 copy of a tensor, the same one at every call."""
    if name not in changed:
        changed[name] = checkpoint.tensor(name).astype(np.float32)
    return changed[name]


def _write(checkpoint: Checkpoint, changed: Mapping[str, AnyArray], folder: Path) -> None:
    for path in sorted(checkpoint.folder.iterdir()):
        if path.suffix in (".json", ".txt") and path.name != INDEX_FILE and path.is_file():
            shutil.copyfile(path, folder / path.name)
    tensors = {name: changed[name] if name in changed else checkpoint.tensor(name) for name in checkpoint.names()}
    try:
        save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk, for one
        raise OutputError(f"{folder / WEIGHTS_FILE}: cannot be written ({error}); check the disk") from error
