"""`OVBlipForImageTextRetrieval`: which texts go with which images, under `transformers`' interface."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import torch
from transformers.models.blip.modeling_blip import BlipImageTextMatchingModelOutput

from blipvino.checkpoint.architectures import RETRIEVAL
from blipvino.hf.base_model import OVBlipModel
from blipvino.hf.model_inputs import blank_pixels, embeddings, image_rows, refuse_interpolation, texts_and_mask
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.loaded_model import LoadedModel
from blipvino.runtime.retriever import BlipRetriever


class OVBlipForImageTextRetrieval(OVBlipModel):
    """Matches images and texts, as `transformers`' ``BlipForImageTextRetrieval``."""

    architectures: ClassVar[tuple[str, ...]] = (RETRIEVAL,)
    loaded_class: ClassVar[type[LoadedModel]] = BlipRetriever
    generation_config: ClassVar[None] = None

    def can_generate(self) -> bool:
        """It makes no texts."""
        return False

    def forward(
        self,
        input_ids: Any,
        pixel_values: Any,
        use_itm_head: bool | None = True,
        attention_mask: Any = None,
        interpolate_pos_encoding: bool = False,
        return_dict: bool | None = None,
    ) -> Any:
        """How well texts go with images.

        Args:
            input_ids: texts ``[T, tokens]``, of torch or numpy, as the model's processor makes them.
            pixel_values: floats ``[B, 3, size, size]``, likewise.
            use_itm_head: True matches each text with the image of its row, of which there must be as many; False
                compares the embeddings of every image and every text.
            attention_mask: of the texts; None hides nothing.
            interpolate_pos_encoding: refused.
            return_dict: False returns a tuple.

        Returns:
            ``itm_score``: float32 ``[B, 2]``, logits of "does not fit" and "fits"; or ``[B, T]``, cosines. And
            ``last_hidden_state`` float32 ``[B, S, D]``, what the model sees in the images.

        Raises:
            InputError: an argument is of another type or shape, or is not supported.
        """
        refuse_interpolation(interpolate_pos_encoding)
        rows = image_rows(pixel_values) if use_itm_head else None
        ids, mask = texts_and_mask(input_ids, attention_mask, self.config.text_config, rows)
        features = self.pixels.features(pixel_values)
        if use_itm_head:
            score = torch.cat([self._match(image, ids[[row]], mask[[row]]) for row, image in enumerate(features)])
        else:
            score = self._embedded(features) @ self.get_text_features(ids, mask).T
        output = BlipImageTextMatchingModelOutput(
            itm_score=score, last_hidden_state=torch.from_numpy(embeddings(features))
        )
        return output.to_tuple() if return_dict is False else output

    def get_image_features(self, pixel_values: Any) -> torch.Tensor:
        """Embeddings of images, of length 1: float32 ``[B, P]``.

        Raises:
            InputError: ``pixel_values`` are of another type or shape.
        """
        return self._embedded(self.pixels.features(pixel_values))

    def get_text_features(self, input_ids: Any, attention_mask: Any = None) -> torch.Tensor:
        """Embeddings of texts, of length 1: float32 ``[T, P]``.

        Raises:
            InputError: an argument is of another type or shape.
        """
        ids, mask = texts_and_mask(input_ids, attention_mask, self.config.text_config)
        with self.blip.engine.lock:
            made = torch.from_numpy(np.array(self.blip.engine.text_embedding(ids, mask)))
        return torch.nn.functional.normalize(made, dim=-1)

    def compile(self) -> None:
        """Compile what one image and one text need; other shapes are compiled when they are first needed."""
        text = self.config.text_config
        one, blank = [[text.bos_token_id, text.sep_token_id]], blank_pixels(self.blip.images.config)
        self.forward(one, blank)
        self.forward(one, blank, use_itm_head=False)

    def _embedded(self, features: list[ImageFeatures]) -> torch.Tensor:
        return torch.from_numpy(cast(BlipRetriever, self.blip).embed_images(features))

    def _match(self, image: ImageFeatures, ids: Any, mask: Any) -> torch.Tensor:
        """Logits ``[1, 2]`` of one image and one text."""
        with self.blip.engine.lock:
            made = self.blip.engine.match(ids, mask, self.blip.extractor.match_kv(image))
        return torch.from_numpy(np.array(made, np.float32))
