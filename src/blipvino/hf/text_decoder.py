"""The decoder of a bundle under the generation of `transformers`: its loops, its options, its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

from blipvino.arrays import IntArray
from blipvino.errors import InputError
from blipvino.runtime.decoding.token_scores import Step


class _KeptInGraph:
    """Stands for keys and values, which the graph keeps."""

    is_compileable = False


class TextDecoder(GenerationMixin):
    """One text model, whose next-token scores come from a bundle's graph.

    `GenerationMixin` asks much of a model; here is what it asks of one that keeps its own keys and values. Calls must
    take turns: whoever generates holds the engine's lock.

    Args:
        config: `transformers`' configuration of the text model.
    """

    main_input_name = "input_ids"
    _is_stateful = True  # no cache of transformers' is made, and nothing that would go back in it is allowed

    def __init__(self, config: Any) -> None:
        self.config = config
        self.generation_config = GenerationConfig.from_model_config(config)
        self.device = torch.device("cpu")
        self.dtype = torch.float32

    def run(self, step: Step, input_ids: IntArray, options: dict[str, Any], check: Callable[[int], None]) -> Any:
        """Generate from prompts ``[B, T]`` over as many sources.

        Args:
            step: the decoder, at its start.
            input_ids: what each text begins with, int64.
            options: those of ``GenerationMixin.generate``.
            check: raises where so many texts and beams at a time are too many.

        Returns:
            As that: int64 ``[B, T + new]``, or an output with these as ``sequences``.
        """
        self._step, self._check, self._order, self._past = step, check, np.arange(0), 0
        text = self.config
        special = {"eos_token_id": text.sep_token_id, "pad_token_id": text.pad_token_id}
        try:
            made = self.generate(input_ids=torch.from_numpy(input_ids), **special, **options)
        finally:
            del self._step, self._check  # which hold the model, whose folder would outlive it
        if getattr(made, "past_key_values", None) is not None:
            made.past_key_values = None  # it stays in the graph
        return made

    def __call__(self, *arguments: Any, **named: Any) -> CausalLMOutputWithPast:
        """See `forward`."""
        return self.forward(*arguments, **named)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: object | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> CausalLMOutputWithPast:
        """The scores of the token after the last: logits float32 ``[R, 1, vocab]``.

        Args:
            input_ids: int64 ``[R, T]``: at first the prompts, then (the last of) all tokens so far.
            attention_mask: None where no token is hidden.
            past_key_values: stands for what the graph keeps.
            use_cache: without meaning: the graph keeps its keys and values.
            return_dict: without meaning.
            output_attentions: refused.
            output_hidden_states: refused.

        Raises:
            InputError: a prompt has hidden tokens, texts are longer than the model's positions, or attentions or hidden
                states are asked for.
        """
        if output_attentions or output_hidden_states:
            raise InputError("the graphs of a bundle give no attentions and no hidden states; leave these options out")
        if attention_mask is not None and not bool(attention_mask.all()):
            raise InputError(HIDDEN_TOKENS)
        tokens = input_ids if not self._past else input_ids[:, -1:]
        rows, length = tokens.shape
        if self._past + length > self.config.max_position_embeddings:
            raise InputError(
                f"texts of more than {self.config.max_position_embeddings} tokens, the positions of this model; lower "
                "max_new_tokens"
            )
        if not self._past:
            self._check(rows)
        order = self._order if len(self._order) else np.arange(rows)
        logits = self._step(np.ascontiguousarray(tokens.numpy()), order).logits()
        self._past += length
        self._order = np.arange(rows)
        return CausalLMOutputWithPast(
            logits=torch.from_numpy(np.asarray(logits, np.float32))[:, None],
            past_key_values=_KeptInGraph(),
        )

    def _reorder_cache(self, past_key_values: object, beam_idx: torch.Tensor) -> object:
        """Remember which row each row of the next step continues."""
        self._order = beam_idx.numpy().astype(np.int64)
        return past_key_values

    @classmethod
    def can_generate(cls) -> bool:
        """It can."""
        return True

    def is_remote_code(self) -> bool:
        """It is not."""
        return False

    def get_experts_implementation(self) -> dict[str, str]:
        """It has none."""
        return {}


HIDDEN_TOKENS = (
    "prompts of several lengths: transformers goes on after the padding of the shorter ones, which makes no text; give "
    "them one by one, or each length by itself"
)
