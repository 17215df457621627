"""Checkpoints under test, each beside the transformers model that it holds (the oracle) and blipvino's bundle of it.

torch and transformers are imported when a fixture first needs them: most test files do without.
"""

from __future__ import annotations

import copy
import importlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from blipvino import Blip, BlipRetriever, EngineOptions, GenerationOptions, optimize
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.data.demo import demo_sample
from blipvino.demo.scenes import render, sample_scene
from blipvino.demo.vocabulary import SPECIAL_TOKENS, build_tokenizer, save_tokenizer
from blipvino.graphs.building import build_graph
from blipvino.graphs.specs import graph_names
from blipvino.runtime.compiling.graph_sources import GraphFile
from blipvino.runtime.components import build_extractor
from blipvino.runtime.decoding.generation import generate, row_generators
from blipvino.runtime.engine import Engine
from blipvino.runtime.features import DEFAULT_CACHE_BYTES

EXACT = EngineOptions(precision="f32", threads=1)
"""One thread: the models are tiny, and threads that wait for each other are slow on a busy machine."""
MAX_TEXT_LENGTH = 64
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)

TINY_TEXT = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": MAX_TEXT_LENGTH,
    "bos_token_id": SPECIAL_TOKENS.index("[DEC]"),
    "sep_token_id": SPECIAL_TOKENS.index("[SEP]"),
    "eos_token_id": SPECIAL_TOKENS.index("[SEP]"),
    "pad_token_id": SPECIAL_TOKENS.index("[PAD]"),
}
TINY_VISION = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 32,
    "patch_size": 8,
}

QUESTIONS = (
    "red?",
    "is it large?",
    "how many objects are there?",
    "what color is the small striped object to the left of the large circle?",
    "is there a dotted square, or a ring, or a star, or a cross above any of the two plain triangles here?",
    "what shape is the object?",
    "objects",
    "is the ring smaller than the star?",
)
"""Questions of very different lengths, one of them a single word, so that a batch of them is padded."""


@dataclass(frozen=True)
class Subject:
    """A checkpoint under test.

    Attributes:
        folder: the checkpoint, as transformers saved it.
        workspace: where the bundle and other things made of it may go.
        oracle: the transformers model, float32 and in eval mode.
        once: makes a folder once for all workers, as `made_once` does by a name; None for what is made in a second.
    """

    folder: Path
    workspace: Path
    oracle: Any
    once: Callable[[Callable[[Path], object]], Path] | None = None

    @cached_property
    def bundle(self):
        """The folder of its uncompressed bundle, as `optimize` writes it: weights in half precision."""
        if self.once is not None:
            return self.once(self._optimize)
        return self._optimize(self.workspace / "bundle")

    def _optimize(self, folder):
        return optimize(self.folder, folder, recipe="none", show_progress=False).folder

    @cached_property
    def blip(self):
        """The bundle, loaded for float32 arithmetic by the class that runs it."""
        kind = BlipRetriever if hasattr(self.oracle, "itm_head") else Blip
        return kind.load(self.bundle, options=EXACT)

    @cached_property
    def exact(self):
        """The same with float32 weights too, so that nothing but the order of additions differs from the oracle.

        A factor folded into a weight is lost a little in half precision, and random weights make near ties.
        """
        graphs = {}
        with load_checkpoint(self.folder) as checkpoint:
            for name in graph_names(checkpoint.config.architecture):
                graphs[name] = GraphFile(self.workspace / f"{name}.xml")
                ov.save_model(build_graph(checkpoint, name), graphs[name].path, compress_to_fp16=False)
        return with_engine(self.blip, Engine(graphs, self.blip.config, EXACT))

    @cached_property
    def tokenizer(self):
        """transformers' tokenizer of the checkpoint."""
        return importlib.import_module("transformers").BertTokenizer.from_pretrained(self.folder)

    @cached_property
    def image_processor(self):
        """transformers' image processor of the checkpoint, the one that resizes with Pillow as blipvino does."""
        module = importlib.import_module("transformers.models.blip.image_processing_pil_blip")
        return module.BlipImageProcessorPil.from_pretrained(self.folder)

    def pixel_values(self, images):
        """Images as transformers' vision model takes them."""
        return self.image_processor(images, return_tensors="pt")["pixel_values"]

    def caption_tokens(self, images, prompt=None, **options):
        """The tokens that blipvino generates over the images themselves, prompt included."""
        blip = self.exact
        embeds = blip.engine.image_embeds(blip.images.pixels(images))
        return self._decode(embeds, np.ones(embeds.shape[:2], np.int64), blip.texts.prompt(prompt), options)

    def answer_tokens(self, image, questions, **options):
        """The tokens that blipvino generates as answers to questions about one image, decoded as one batch."""
        blip = self.exact
        tokens = blip.texts.questions(questions)
        projected = blip.engine.question_kv(blip.engine.image_embeds(blip.images.pixels([image])))
        states = blip.engine.question_states(tokens.input_ids, tokens.attention_mask, projected)
        return self._decode(states, tokens.attention_mask, blip.texts.prompt(None), options)

    def _decode(self, states, mask, prompt, options):
        blip = self.exact
        step = blip.engine.decoder(blip.engine.answer_kv(states), mask)
        chosen = blip_options(options)
        draws = row_generators(len(states), chosen.seed)
        rows = generate(step, prompt, draws, blip.config.text.sep_token_id, chosen)
        return [list(row.token_ids) for row in rows]


def with_engine(blip, engine, image_cache_bytes=DEFAULT_CACHE_BYTES):
    """The same model on another engine, with a cache of its own."""
    parts = blip.components
    extractor = build_extractor(parts.bundle, parts.config, engine, parts.images, image_cache_bytes)
    return type(blip)(replace(parts, extractor=extractor))


def with_empty_cache(subject, image_cache_bytes=0):
    """A model that no other test has shown images to, with a cache of its own; it shares the compiled graphs."""
    return with_engine(subject.exact, copy.copy(subject.exact.engine), image_cache_bytes)


def blip_options(options):
    """`GenerationOptions` of keyword arguments."""
    return GenerationOptions(**options)


def scene_image(index):
    """The picture of a scene of the shapes world that no checkpoint was trained on, as an array."""
    return render(sample_scene("test", index))


def scene_questions(index):
    """The questions about that scene."""
    return [question.text for question in demo_sample("test", index).questions]


def log_sum_exp(logits):
    """Logarithm of each row's sum of ``exp(logit)``, in float64."""
    logits = logits.astype(np.float64)
    largest = logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)) + largest


SPREAD = {
    "position_embeddings": 1.2,  # else a tied output repeats the token that it was given
    "query": 0.35,  # sharp attention: else every source looks like its mean
    "key": 0.35,
    "qkv": 0.3,
    "bias": 0.1,
}
"""Standard deviation of a random parameter, by a part of its name; 0.2 where no part fits."""


def randomize(model, seed):
    """Give every parameter values that a mistake would show in: norms that scale, biases that shift, varied texts.

    Each parameter's values depend on its name alone, and fp16 holds them all.
    """
    torch = importlib.import_module("torch")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            else:
                part = "bias" if name.endswith("bias") else next((part for part in SPREAD if part in name), "")
                parameter.copy_(SPREAD.get(part, 0.2) * noise)
        if hasattr(model, "text_decoder"):
            model.text_decoder.cls.predictions.bias[TINY_TEXT["sep_token_id"]] += 2.2  # some texts close early
    return model.half().float().eval()


def write_preprocessor(folder, image_size):
    """``preprocessor_config.json`` as BLIP's image processor saves it."""
    content = {
        "image_processor_type": "BlipImageProcessor",
        "processor_class": "BlipProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": image_size, "width": image_size},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": IMAGE_MEAN,
        "image_std": IMAGE_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(content))


def save_tiny(folder, class_name, text=None, vision=None, *, seed):
    """Make a small random checkpoint of a transformers class; returns the model."""
    transformers = importlib.import_module("transformers")
    importlib.import_module("torch").set_num_threads(1)
    tokenizer = build_tokenizer()
    config = transformers.BlipConfig(
        text_config={**TINY_TEXT, "vocab_size": tokenizer.get_vocab_size(), **(text or {})},
        vision_config={**TINY_VISION, **(vision or {})},
        image_text_hidden_size=32,
    )
    model = randomize(getattr(transformers, class_name)(config), seed)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, MAX_TEXT_LENGTH)
    write_preprocessor(folder, config.vision_config.image_size)
    return model
