"""The original: `transformers` on PyTorch, with its own processor and its own generation loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from transformers import BlipProcessor

from blipvino.measure.race.baselines.common import median_seconds
from blipvino.measure.race.baselines.torch_graphs import load_model
from blipvino.measure.race.contender import Tokens


class TransformersModel:
    """A checkpoint as `transformers` runs it.

    It keeps nothing of an image, so every further question pays for the image again. Like upstream, it attends to the
    padding of a batch's shorter questions.

    Args:
        checkpoint: its folder.
        dtype: of its weights, and of what it computes.
        threads: of PyTorch in this process; None leaves them as they are.
        closes: whether texts end with the closing token; else all have one length.
    """

    def __init__(
        self,
        checkpoint: Path,
        dtype: Literal["float32", "bfloat16"] = "float32",
        threads: int | None = None,
        *,
        closes: bool = False,
    ) -> None:
        self._closes = closes
        if threads is not None:
            torch.set_num_threads(threads)
        self._dtype = getattr(torch, dtype)
        self._model = load_model(checkpoint, self._dtype)
        self._processor = BlipProcessor.from_pretrained(checkpoint)
        self._prepared: Image.Image | None = None

    def caption(self, images: Sequence[Image.Image], new_tokens: int) -> Tokens:
        """What ``BlipForConditionalGeneration.generate`` does, which a model for question answering lacks."""
        with torch.inference_mode():
            embeds = self._model.vision_model(pixel_values=self._pixel_values(images))[0]
            text = self._model.config.text_config
            generated = self._model.text_decoder.generate(
                input_ids=torch.full((len(images), 1), text.bos_token_id),
                eos_token_id=text.sep_token_id,
                pad_token_id=text.pad_token_id,
                encoder_hidden_states=embeds,
                encoder_attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
                **self._greedy_options(new_tokens),
            )
        return _without_start(generated)

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str], new_tokens: int) -> Tokens:
        """``BlipForQuestionAnswering.generate``."""
        assert hasattr(self._model, "text_encoder"), "this checkpoint captions only"
        inputs = self._processor(images=list(images), text=list(questions), padding=True, return_tensors="pt")
        inputs["pixel_values"] = inputs["pixel_values"].to(self._dtype)
        with torch.inference_mode():
            return _without_start(self._model.generate(**inputs, **self._greedy_options(new_tokens)))

    def prepare_image(self, image: Image.Image) -> None:
        """Remember the image itself; nothing else can be kept."""
        self._prepared = image

    def answer_again(self, question: str, new_tokens: int) -> Tokens:
        """The same as `answer`."""
        assert self._prepared is not None
        return self.answer([self._prepared], [question], new_tokens)

    def graph_seconds(self, image: Image.Image, question: str) -> dict[str, float]:
        """Seconds of "vision", "question" and "step"; upstream's cache gives a step its cross K/V."""
        model = self._model
        with torch.inference_mode():
            pixel_values = self._pixel_values([image])
            states = {"encoder_hidden_states": model.vision_model(pixel_values=pixel_values)[0]}
            seconds = {"vision": median_seconds(lambda: model.vision_model(pixel_values=pixel_values))}
            if hasattr(model, "text_encoder"):
                tokens = self._processor(text=question, return_tensors="pt")
                seconds["question"] = median_seconds(lambda: model.text_encoder(**tokens, **states))
            token = torch.full((1, 1), model.config.text_config.bos_token_id)
            past = model.text_decoder(token, **states, use_cache=True).past_key_values
            step = lambda: model.text_decoder(token, **states, past_key_values=past, use_cache=True)  # noqa: E731
            seconds["step"] = median_seconds(step)
        return seconds

    def _greedy_options(self, new_tokens: int) -> dict[str, Any]:
        least = 0 if self._closes else new_tokens
        return {"min_new_tokens": least, "max_new_tokens": new_tokens, "do_sample": False, "num_beams": 1}

    def _pixel_values(self, images: Sequence[Image.Image]) -> torch.Tensor:
        return self._processor(images=list(images), return_tensors="pt")["pixel_values"].to(self._dtype)


def _without_start(generated: torch.Tensor) -> Tokens:
    return [[int(token) for token in row] for row in generated[:, 1:]]
