"""What the classes that make texts have in common: `transformers`' generation over a bundle's decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from transformers import GenerationConfig

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.text_length import DEFAULT_NEW_TOKENS, GENERATION_FILE
from blipvino.hf.base_model import OVBlipModel
from blipvino.hf.bundle_sources import Found
from blipvino.hf.text_decoder import TextDecoder
from blipvino.runtime.blip import Blip
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
