"""The tutorial's pipeline: three models converted from PyTorch, of dynamic shape, and a decoder with past.

It follows OpenVINO's notebooks 233-blip-convert and 233-blip-optimize, call for call where today's libraries allow.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import nncf
import numpy as np
import openvino as ov
import torch
from PIL import Image
from torch import Tensor, nn

from blipvino.arrays import AnyArray, FloatArray, IntArray
from blipvino.checkpoint.config import BlipConfig
from blipvino.machine.core import openvino_core
from blipvino.machine.host import this_host
from blipvino.machine.number_formats import settings_under_limit
from blipvino.measure.race.baselines.common import Inputs, Step, build_once, copy_inputs, greedy, median_seconds
from blipvino.measure.race.baselines.torch_graphs import TextDecoder, TextEncoder, Vision, load_model
from blipvino.measure.race.contender import Tokens
from blipvino.progress import Reporter

VISION, TEXT_ENCODER, TEXT_DECODER = "blip_vision_model", "blip_text_encoder", "blip_text_decoder_with_past"
"""The notebooks' own names of the models; INT8 ones end in ``_int8``."""

ModelInputs = dict[str, dict[str, AnyArray]]
"""One sample as each model that is quantized reads it, by the model's name."""

ImageQuestion = tuple[Image.Image, str]
"""One calibration sample: an image and a question about it."""


def build_tutorial(checkpoint: Path, folder: Path, calibration: Iterable[ImageQuestion], *, samples: int = 300) -> None:
    """Convert a checkpoint to FP16, then optimize it to INT8, as the tutorial does; what is there already is kept.

    Args:
        checkpoint: folder of the checkpoint.
        folder: where the models go.
        calibration: images with questions, walked only where a model is still to be quantized.
        samples: how many of them to use at most; the tutorial's number is the default.
    """
    copy_inputs(checkpoint, folder)
    models = _names(Inputs.load(folder).config)
    if any(not _path(folder, name, "fp16").exists() for name in models):
        _convert(checkpoint, folder)
    if all(_path(folder, name, "int8").exists() for name in models):
        return
    with Reporter(show=True).around_library("nncf"):
        _optimize(folder, calibration, samples)


class TutorialPipeline:
    """The tutorial's models, compiled with OpenVINO's defaults.

    An image is encoded anew for every question, and the decoder projects the keys and values of its source anew at
    every step. Like the tutorial, it attends to the padding of a batch's shorter questions. In two things it does
    better than the tutorial: its loop is plain numpy instead of `transformers`' ``generate``, and its images go
    through blipvino's preprocessing.
    """

    def __init__(
        self,
        folder: Path,
        precision: Literal["fp16", "int8"],
        properties: Mapping[str, Any] | None = None,
        *,
        closes: bool = False,
    ) -> None:
        """Compile what `build_tutorial` wrote; ``properties`` are OpenVINO's, ``closes`` is as of `greedy`.

        The tutorial has none, and needs none but where ``ONEDNN_MAX_CPU_ISA`` forbids what OpenVINO would choose.
        """
        self._closes = closes
        self._inputs = Inputs.load(folder)
        chosen = settings_under_limit(openvino_core(), this_host()) | dict(properties or {})
        models = {name: _path(folder, name, precision) for name in _names(self._inputs.config)}
        compiled = {name: openvino_core().compile_model(path, "CPU", chosen) for name, path in models.items()}
        self._vision, self._decoder = compiled[VISION], compiled[TEXT_DECODER]
        self._encoder = compiled.get(TEXT_ENCODER)
        self._prepared: Image.Image | None = None

    def caption(self, images: Sequence[Image.Image], new_tokens: int) -> Tokens:
        """Decode over the image embeddings."""
        return self._decode(self._embed(images), new_tokens)

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str], new_tokens: int) -> Tokens:
        """Decode over the question states."""
        embeds = self._embed(images)
        return self._decode(self._encode(questions, embeds), new_tokens)

    def prepare_image(self, image: Image.Image) -> None:
        """Remember the image itself; nothing else can be kept."""
        self._prepared = image

    def answer_again(self, question: str, new_tokens: int) -> Tokens:
        """The same as `answer`."""
        assert self._prepared is not None
        return self.answer([self._prepared], [question], new_tokens)

    def graph_seconds(self, image: Image.Image, question: str) -> dict[str, float]:
        """Seconds of "vision", "question" and "step", in which the cross K/V are projected too."""
        pixel_values = self._inputs.pixel_values([image])
        embeds = self._embed([image])
        seconds = {"vision": median_seconds(lambda: self._vision([pixel_values]))}
        if self._encoder is not None:
            seconds["question"] = median_seconds(lambda: self._encode([question], embeds))
        step = self._step(embeds)
        token = np.full((1, 1), self._inputs.config.text.bos_token_id, np.int64)
        return {**seconds, "step": median_seconds(lambda: step(token))}

    def _embed(self, images: Sequence[Image.Image]) -> FloatArray:
        return self._vision([self._inputs.pixel_values(images)])[0]

    def _encode(self, questions: Sequence[str], embeds: FloatArray) -> FloatArray:
        assert self._encoder is not None, "this checkpoint captions only"
        tokens = self._inputs.texts.questions(questions)
        return self._encoder([tokens.input_ids, tokens.attention_mask, embeds, _ones(embeds)])[0]

    def _decode(self, states: FloatArray, new_tokens: int) -> Tokens:
        text = self._inputs.config.text
        return greedy(self._step(states), len(states), text, new_tokens, closes=self._closes)

    def _step(self, states: FloatArray) -> Step:
        text = self._inputs.config.text
        mask = _ones(states)
        empty = np.zeros((len(states), text.num_attention_heads, 0, text.head_size), np.float32)
        past = [empty] * (2 * text.num_hidden_layers)

        def step(tokens: IntArray) -> FloatArray:
            nonlocal past
            own = _ones(tokens, past[0].shape[2])
            logits, *past = self._decoder([tokens, own, states, mask, *past]).values()
            return logits[:, -1]

        return step


def _convert(checkpoint: Path, folder: Path) -> None:
    """Trace each model over small example inputs; every dimension of an input stays dynamic."""
    model = load_model(checkpoint)
    vision, text = model.config.vision_config, model.config.text_config
    ids, ones = torch.ones((2, 3), dtype=torch.long), torch.ones((2, 5), dtype=torch.long)
    states = torch.rand(2, 5, vision.hidden_size)
    head_size = text.hidden_size // text.num_attention_heads
    past = [torch.rand(2, text.num_attention_heads, 4, head_size)] * (2 * text.num_hidden_layers)
    parts: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
        VISION: (Vision(model.vision_model), (torch.rand(2, 3, vision.image_size, vision.image_size),)),
        TEXT_DECODER: (TextDecoder(model.text_decoder), (ids[:, :1], ones, states, ones, *past)),
    }
    if hasattr(model, "text_encoder"):
        parts[TEXT_ENCODER] = (TextEncoder(model.text_encoder), (ids, torch.ones_like(ids), states, ones))
    for name, (module, example) in parts.items():
        build_once(_path(folder, name, "fp16"), partial(_convert_part, module.eval(), example))


def _convert_part(module: nn.Module, example: tuple[Tensor, ...], path: Path) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and is what the tutorial does
        ov.save_model(ov.convert_model(module, example_input=example), path)


def _optimize(folder: Path, calibration: Iterable[ImageQuestion], samples: int) -> None:
    """Quantize vision and text encoder on samples, compress the decoder's weights without data."""
    core = openvino_core()
    taken: list[ModelInputs] = []
    for name in _names(Inputs.load(folder).config):
        if _path(folder, name, "int8").exists():
            continue
        model = core.read_model(_path(folder, name, "fp16"))
        if name == TEXT_DECODER:
            optimized = nncf.compress_weights(model)
        else:
            taken = taken or _calibration_inputs(folder, islice(calibration, samples))
            optimized = nncf.quantize(
                model=model,
                calibration_dataset=nncf.Dataset([sample[name] for sample in taken]),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=samples,
            )
        build_once(_path(folder, name, "int8"), partial(ov.save_model, optimized))


def _calibration_inputs(folder: Path, pairs: Iterable[ImageQuestion]) -> list[ModelInputs]:
    """The inputs of both quantized models for each sample, by model; image embeddings are the FP16 model's."""
    inputs = Inputs.load(folder)
    vision = openvino_core().compile_model(
        _path(folder, VISION, "fp16"), "CPU", settings_under_limit(openvino_core(), this_host())
    )
    taken = []
    for image, question in pairs:
        pixel_values, tokens = inputs.pixel_values([image]), inputs.texts.questions([question])
        embeds = vision([pixel_values])[0]
        encoder_inputs = {
            "input_ids": tokens.input_ids,
            "attention_mask": tokens.attention_mask,
            "encoder_hidden_states": embeds,
            "encoder_attention_mask": _ones(embeds),
        }
        taken.append({VISION: {"pixel_values": pixel_values}, TEXT_ENCODER: encoder_inputs})
    return taken


def _names(config: BlipConfig) -> list[str]:
    return [VISION, *([TEXT_ENCODER] if config.answers_questions else []), TEXT_DECODER]


def _path(folder: Path, name: str, precision: str) -> Path:
    return folder / f"{name}{'_int8' if precision == 'int8' else ''}.xml"


def _ones(states: FloatArray | IntArray, past: int = 0) -> IntArray:
    """A mask over all positions of rows, and over so many before them."""
    return np.ones((states.shape[0], past + states.shape[1]), np.int64)
