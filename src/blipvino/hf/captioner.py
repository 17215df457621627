"""`OVBlipForConditionalGeneration`: captions, under `transformers`' interface."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from transformers.models.blip.modeling_blip import BlipForConditionalGenerationModelOutput

from blipvino.checkpoint.architectures import CAPTIONING, QUESTION_ANSWERING
from blipvino.checks import integer
from blipvino.errors import InputError
from blipvino.hf.generating import GeneratingModel
from blipvino.hf.model_inputs import (
    blank_pixels,
    embeddings,
    image_rows,
    refuse_interpolation,
    refuse_training,
    texts_and_mask,
)
from blipvino.hf.text_decoder import HIDDEN_TOKENS


class OVBlipForConditionalGeneration(GeneratingModel):
    """Captions images, as `transformers`' ``BlipForConditionalGeneration``. A checkpoint for answers captions, too."""

    architectures: ClassVar[tuple[str, ...]] = (CAPTIONING, QUESTION_ANSWERING)
    main_input_name: ClassVar[str] = "pixel_values"

    def generate(
        self,
        pixel_values: Any,
        input_ids: Any = None,
        attention_mask: Any = None,
        interpolate_pos_encoding: bool = False,
        **generate_kwargs: Any,
    ) -> Any:
        """Caption images.

        Args:
            pixel_values: floats ``[B, 3, size, size]``, of torch or numpy, as the model's processor makes them.
            input_ids: prompts ``[B, T]``, as the processor makes them of ``text``; None captions without.
            attention_mask: of the prompts; those of one batch must be of one length.
            interpolate_pos_encoding: refused.
            **generate_kwargs: all that `transformers`' ``generate`` takes, ``generation_config`` included.

        Returns:
            The ids that `transformers` returns: int64 ``[B, T]``, with start token, prompt and closing token, padded;
            or with ``return_dict_in_generate`` its output.

        Raises:
            InputError: an argument is of another type or shape, or is not supported.
        """
        refuse_interpolation(interpolate_pos_encoding)
        text, rows = self.config.text_config, image_rows(pixel_values)
        start = [[text.bos_token_id, text.eos_token_id]] * rows
        ids, mask = texts_and_mask(start if input_ids is None else input_ids, attention_mask, text, rows)
        if ids.shape[1] < 2:
            raise InputError("input_ids have one token, expected the processor's: a prompt between [CLS] and [SEP]")
        ids[:, 0] = text.bos_token_id
        if not mask[:, :-1].all():
            raise InputError(HIDDEN_TOKENS)
        states = embeddings(self.pixels.features(pixel_values))
        return self.decode(states, np.ones(states.shape[:2], np.int64), ids[:, :-1], generate_kwargs)

    def forward(
        self,
        pixel_values: Any,
        input_ids: Any = None,
        attention_mask: Any = None,
        labels: Any = None,
        interpolate_pos_encoding: bool = False,
        logits_to_keep: int = 0,
        return_dict: bool | None = None,
    ) -> Any:
        """Scores of each token of given texts, as `transformers` has them.

        Args:
            pixel_values: floats ``[B, 3, size, size]``.
            input_ids: texts ``[B, T]``.
            attention_mask: of the texts, which must be of one length.
            labels: refused.
            interpolate_pos_encoding: refused.
            logits_to_keep: of so many last tokens the scores are given; 0 is all.
            return_dict: False returns a tuple.

        Returns:
            ``logits`` float32 ``[B, T, vocab]`` of all tokens or the last, ``image_embeds`` and ``last_hidden_state``
            float32 ``[B, S, D]``.

        Raises:
            InputError: an argument is of another type or shape, or is not supported.
        """
        refuse_interpolation(interpolate_pos_encoding)
        refuse_training(labels)
        last = integer("logits_to_keep", logits_to_keep, 0)
        if input_ids is None:
            raise InputError("forward() needs input_ids, the texts whose scores it gives; generate() makes texts")
        features = self.pixels.features(pixel_values)
        ids, mask = texts_and_mask(input_ids, attention_mask, self.config.text_config, len(features))
        if not mask.all():
            raise InputError(HIDDEN_TOKENS)
        states = embeddings(features)
        with self.blip.engine.lock:
            step = self.blip.engine.decode(states, np.ones(states.shape[:2], np.int64))
            rows = np.arange(len(ids))
            scores = [np.array(step(ids[:, place : place + 1], rows).logits()) for place in range(ids.shape[1])]
        images = torch.from_numpy(states)
        output = BlipForConditionalGenerationModelOutput(
            logits=torch.from_numpy(np.stack(scores[-last:], axis=1)),
            image_embeds=images,
            last_hidden_state=images,
        )
        return output.to_tuple() if return_dict is False else output

    def compile(self) -> None:
        """Compile what one image and its caption need; other shapes are compiled when they are first needed."""
        self.generate(blank_pixels(self.blip.images.config), max_new_tokens=1)
