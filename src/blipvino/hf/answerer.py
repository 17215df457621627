"""`OVBlipForQuestionAnswering`: answers, under `transformers`' interface."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from transformers.models.blip.modeling_blip import BlipTextVisionModelOutput

from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.errors import InputError
from blipvino.hf.generating import GeneratingModel
from blipvino.hf.model_inputs import (
    blank_pixels,
    embeddings,
    image_rows,
    refuse_interpolation,
    refuse_training,
    texts_and_mask,
    token_ids,
)
from blipvino.runtime.inputs.texts import TokenBatch
from blipvino.runtime.question_batches import question_states


class OVBlipForQuestionAnswering(GeneratingModel):
    """Answers questions about images, as `transformers`' ``BlipForQuestionAnswering``."""

    architectures: ClassVar[tuple[str, ...]] = (QUESTION_ANSWERING,)

    def generate(
        self,
        input_ids: Any,
        pixel_values: Any,
        attention_mask: Any = None,
        interpolate_pos_encoding: bool = False,
        **generate_kwargs: Any,
    ) -> Any:
        """Answer questions, one about each image.

        As upstream, answers attend to the padding of shorter questions in a batch, which may change them; `Blip.answer`
        does not.

        Args:
            input_ids: questions ``[B, T]``, of torch or numpy, as the model's processor makes them.
            pixel_values: floats ``[B, 3, size, size]``, likewise.
            attention_mask: of the questions; None hides nothing.
            interpolate_pos_encoding: refused.
            **generate_kwargs: all that `transformers`' ``generate`` takes, ``generation_config`` included.

        Returns:
            The ids that `transformers` returns: int64 ``[B, T]``, with start token and closing token, padded; or with
            ``return_dict_in_generate`` its output.

        Raises:
            InputError: an argument is of another type or shape, or is not supported.
        """
        refuse_interpolation(interpolate_pos_encoding)
        ids, mask = texts_and_mask(input_ids, attention_mask, self.config.text_config, image_rows(pixel_values))
        features = self.pixels.features(pixel_values)
        with self.blip.engine.lock:
            states = question_states(self.blip.extractor, features, TokenBatch(ids, mask), with_padding=True)
            start = np.full((len(states), 1), self.config.text_config.bos_token_id, np.int64)
            return self.decode(states, np.ones(states.shape[:2], np.int64), start, generate_kwargs)

    def forward(
        self,
        input_ids: Any,
        pixel_values: Any,
        decoder_input_ids: Any = None,
        decoder_attention_mask: Any = None,
        attention_mask: Any = None,
        labels: Any = None,
        interpolate_pos_encoding: bool = False,
        return_dict: bool | None = None,
    ) -> Any:
        """What the model sees in images, which is all that upstream's ``forward`` gives without labels.

        Args:
            input_ids: questions ``[B, T]``.
            pixel_values: floats ``[B, 3, size, size]``.
            decoder_input_ids: needed, as upstream, and without effect on what is returned.
            decoder_attention_mask: without effect.
            attention_mask: without effect.
            labels: refused.
            interpolate_pos_encoding: refused.
            return_dict: False returns a tuple.

        Returns:
            ``image_embeds`` and ``last_hidden_state``, float32 ``[B, S, D]``.

        Raises:
            InputError: an argument is of another type or shape, or is not supported.
        """
        refuse_interpolation(interpolate_pos_encoding)
        refuse_training(labels)
        if decoder_input_ids is None:
            raise InputError("forward() needs decoder_input_ids; generate() answers questions")
        features = self.pixels.features(pixel_values)
        token_ids("input_ids", input_ids, self.config.text_config, len(features))
        images = torch.from_numpy(embeddings(features))
        output = BlipTextVisionModelOutput(image_embeds=images, last_hidden_state=images)
        return output.to_tuple() if return_dict is False else output

    def compile(self) -> None:
        """Compile what one image and one question need; other shapes are compiled when they are first needed."""
        text = self.config.text_config
        blank = blank_pixels(self.blip.images.config)
        self.generate([[text.bos_token_id, text.sep_token_id]], blank, max_new_tokens=1)
