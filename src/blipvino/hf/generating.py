"""What the classes that make texts have in common: token ids in, the ids that `transformers` makes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import GenerationConfig

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.text_length import DEFAULT_NEW_TOKENS, GENERATION_FILE
from blipvino.checks import kind_of
from blipvino.errors import InputError
from blipvino.hf.base_model import OVBlipModel
from blipvino.hf.bundle_sources import Found
from blipvino.hf.text_decoder import TextDecoder
from blipvino.runtime.blip import Blip
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.loaded_model import LoadedModel


class GeneratingModel(OVBlipModel):
    """A model with ``generate``. Arguments as of `OVBlipModel`.

    `generation_config` has the options that ``generate`` uses where it is given none: those that `transformers` uses.
    """

    loaded_class: ClassVar[type[LoadedModel]] = Blip

    def __init__(self, found: Found, config: Any = None, **options: Any) -> None:
        super().__init__(found, config, **{**options, "compile": False})
        self._decoder = TextDecoder(self.config.text_config)
        if options.get("compile", True):
            self.compile()

    @property
    def generation_config(self) -> GenerationConfig:
        """The decoder's."""
        return self._decoder.generation_config

    @generation_config.setter
    def generation_config(self, value: GenerationConfig) -> None:
        self._decoder.generation_config = value

    def decode(self, states: FloatArray, mask: IntArray, prompts: IntArray, options: Mapping[str, Any]) -> Any:
        """Texts over sources.

        Args:
            states: of images or questions, float32 ``[B, S, D]``.
            mask: which of them may be attended to, int64 ``[B, S]``.
            prompts: what each text begins with, int64 ``[B, T]``.
            options: of ``transformers``' ``generate``.

        Raises:
            InputError: they take more memory than there is to take.
        """

        def check(rows: int) -> None:
            what = f"a batch of {len(states)} with {rows} beams or texts together"
            tokens = prompts.shape[1] + DEFAULT_NEW_TOKENS
            self.blip.components.limits.check_decoding(len(states), states.shape[1], rows, tokens, what)

        with self.blip.engine.lock:
            return self._decoder.run(self.blip.engine.decode(states, mask), prompts, dict(options), check)

    def checkpoint_options(self) -> dict[str, Any]:
        """What the checkpoint's ``generation_config.json`` says of generation, special tokens apart, for pipelines.

        `transformers`' BLIP does not look at it in ``generate``, so neither does this one.
        """
        if not (self.model_save_dir / GENERATION_FILE).is_file():
            return {}
        given = GenerationConfig.from_pretrained(self.model_save_dir).to_diff_dict()
        return {name: value for name, value in given.items() if not name.endswith(("_token_id", "_version"))}

    def probabilities(self, made: Any) -> torch.Tensor:
        """How likely each text is, as the model was asked: the product of its tokens' probabilities.

        Args:
            made: what ``generate`` returned with ``return_dict_in_generate`` and ``output_logits``.

        Returns:
            float32 ``[B]``.
        """
        steps = self._decoder.compute_transition_scores(
            made.sequences, made.logits, getattr(made, "beam_indices", None), normalize_logits=True
        )
        closed = made.sequences[:, -steps.shape[1] :] == self.config.text_config.sep_token_id
        after = closed.cumsum(dim=1) - closed.long() > 0
        return steps.masked_fill(after, 0).sum(dim=1).exp()

    def blank_pixels(self) -> torch.Tensor:
        """One black image, float32 ``[1, 3, size, size]``."""
        config, size = self.blip.images.config, self.blip.config.vision.image_size
        levels = torch.tensor(config.image_mean) / torch.tensor(config.image_std)
        return (-levels).reshape(1, 3, 1, 1).expand(1, 3, size, size).contiguous()

    def token_ids(self, name: str, given: object, rows: int) -> IntArray:
        """Token ids or a mask as int64 ``[rows, T]``.

        Args:
            name: of the argument.
            given: of torch, numpy or a list of lists.
            rows: of images.

        Raises:
            InputError: another type, shape or number of rows, or ids that the model's vocabulary does not have.
        """
        try:
            array = given.cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)
        except ValueError as error:  # rows of several lengths
            raise InputError(
                f"{name} have rows of several lengths; pad them, as processor(…, padding=True) does"
            ) from error
        if not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_:
            raise InputError(f"{name} are {kind_of(given)} of {array.dtype}, expected integers [batch, tokens]")
        if array.ndim != 2 or not array.size:
            raise InputError(f"{name} are {list(array.shape)}, expected [batch, tokens]")
        if len(array) != rows:
            raise InputError(f"{name} have {len(array)} rows, pixel_values {rows}; give a row for each image")
        words, positions = self.config.text_config.vocab_size, self.config.text_config.max_position_embeddings
        if array.min() < 0 or array.max() >= words:
            raise InputError(f"{name} hold {array.min()} to {array.max()}, expected 0 to {words - 1}")
        if array.shape[1] > positions:
            raise InputError(f"{name} have {array.shape[1]} tokens, this model takes at most {positions}; shorten them")
        return array.astype(np.int64)


def embeddings(features: Sequence[ImageFeatures]) -> FloatArray:
    """Those of several images, float32 ``[B, S, D]``."""
    return np.stack([image.image_embeds for image in features])


def refuse_interpolation(interpolate_pos_encoding: bool) -> None:
    """Refuse images of other sizes than the model's.

    Raises:
        InputError: they are asked for.
    """
    if interpolate_pos_encoding:
        raise InputError(
            "interpolate_pos_encoding: a bundle's graphs read images of one size; let the processor resize"
        )


def refuse_training(labels: object) -> None:
    """Refuse to be trained.

    Raises:
        InputError: labels are given.
    """
    if labels is not None:
        raise InputError("labels: a bundle is not trained, and gives no loss; train the checkpoint, then optimize that")
