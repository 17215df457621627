"""BLIP's parts as small torch modules that can be traced, around the weights of a `transformers` model.

The cache classes and mask utilities of transformers 5 cannot be traced, so the attention of the text layers is written
out here, operation by operation as upstream's; everything else is upstream's own submodule.

Shapes in the docstrings: ``B`` rows, ``T`` text tokens, ``P`` past tokens, ``S`` source positions, ``D`` width, ``H``
heads, ``d`` width of a head. Keys and values travel flat, two a layer: ``key.0, value.0, key.1, …``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BlipForConditionalGeneration, BlipForQuestionAnswering, PreTrainedModel

from blipvino.checkpoint.tensors import load_checkpoint

MASKED = -1e4
"""Added to the score of a position that may not be attended to; half precision holds it."""


def load_model(checkpoint: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The `transformers` model of a checkpoint folder, of the class that its configuration names."""
    with load_checkpoint(checkpoint) as opened:
        kind = BlipForQuestionAnswering if opened.config.answers_questions else BlipForConditionalGeneration
    return kind.from_pretrained(checkpoint, dtype=dtype).eval()


class Vision(nn.Module):
    """The vision model."""

    def __init__(self, vision_model: nn.Module) -> None:
        super().__init__()
        self.model = vision_model

    def forward(self, pixel_values: Tensor) -> Tensor:
        """``[B, 3, size, size]`` -> image embeddings ``[B, S, D]``."""
        x = self.model.embeddings(pixel_values)
        for layer in self.model.encoder.layers:
            x = layer(x)
        return self.model.post_layernorm(x)


class CrossKV(nn.Module):
    """What every cross-attention of a text model makes of its source."""

    def __init__(self, text_model: nn.Module) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([layer.crossattention.self for layer in text_model.encoder.layer])

    def forward(self, states: Tensor) -> tuple[Tensor, ...]:
        """Source states ``[B, S, D]`` -> keys ``[B, H, d, S]`` and values ``[B, H, S, d]``."""
        cross: list[Tensor] = []
        for attention in self.attentions:
            key, value = split_heads(attention.key(states), attention), split_heads(attention.value(states), attention)
            cross += [key.transpose(-1, -2), value]
        return tuple(cross)


class Question(nn.Module):
    """The question encoder over keys and values of the image."""

    def __init__(self, text_encoder: nn.Module) -> None:
        super().__init__()
        self.model = text_encoder

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, *cross: Tensor, source_mask: Tensor | None = None
    ) -> Tensor:
        """Tokens and their mask ``[B, T]``, and the image's cross K/V -> question states ``[B, T, D]``.

        Every position of an image may be attended to, so our own cuts leave ``source_mask`` out.
        """
        x = self.model.embeddings(input_ids)
        mask = additive(attention_mask)
        blocked = None if source_mask is None else additive(source_mask)
        for layer, (cross_key, cross_value) in zip(self.model.encoder.layer, pairs(cross), strict=True):
            attention = layer.attention.self
            key, value = split_heads(attention.key(x), attention), split_heads(attention.value(x), attention)
            x = attend(layer.attention, x, key.transpose(-1, -2), value, mask)
            x = attend(layer.crossattention, x, cross_key, cross_value, blocked)
            x = layer.feed_forward_chunk(x)
        return x


class Answer(nn.Module):
    """One step of the answer decoder. One token at a time needs no causal mask."""

    def __init__(self, text_decoder: nn.Module) -> None:
        super().__init__()
        self.model, self.head = text_decoder.bert, text_decoder.cls

    def forward(
        self, input_ids: Tensor, source_mask: Tensor, *cross_and_past: Tensor, own_mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The latest tokens ``[B, 1]`` -> logits ``[B, 1, vocab]`` of the next, and present K/V ``[B, H, P + 1, d]``.

        ``source_mask`` is ``[B, S]``; the source's cross K/V come first, then the past self K/V ``[B, H, P, d]``.
        ``own_mask`` is over the tokens so far ``[B, P + 1]``; None attends to all.
        """
        layers = self.model.encoder.layer
        own = None if own_mask is None else additive(own_mask)
        cross, past = cross_and_past[: 2 * len(layers)], cross_and_past[2 * len(layers) :]
        positions = self.model.embeddings.position_ids[:, past[0].shape[2] : past[0].shape[2] + 1]
        x = self.model.embeddings(input_ids, position_ids=positions)
        mask = additive(source_mask)
        present: list[Tensor] = []
        for layer, (cross_key, cross_value), (past_key, past_value) in zip(
            layers, pairs(cross), pairs(past), strict=True
        ):
            attention = layer.attention.self
            key = torch.cat([past_key, split_heads(attention.key(x), attention)], dim=2)
            value = torch.cat([past_value, split_heads(attention.value(x), attention)], dim=2)
            x = attend(layer.attention, x, key.transpose(-1, -2), value, own)
            x = attend(layer.crossattention, x, cross_key, cross_value, mask)
            x = layer.feed_forward_chunk(x)
            present += [key, value]
        return self.head(x), *present


class TextEncoder(nn.Module):
    """The tutorial's text encoder: it projects the image's keys and values itself."""

    def __init__(self, text_encoder: nn.Module) -> None:
        super().__init__()
        self.cross_kv, self.question = CrossKV(text_encoder), Question(text_encoder)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, encoder_hidden_states: Tensor, encoder_attention_mask: Tensor
    ) -> Tensor:
        """As `Question`, with the image's embeddings ``[B, S, D]`` and the mask over them ``[B, S]``."""
        cross = self.cross_kv(encoder_hidden_states)
        return self.question(input_ids, attention_mask, *cross, source_mask=encoder_attention_mask)


class TextDecoder(nn.Module):
    """The tutorial's text decoder with past: it projects the source's keys and values anew at each step."""

    def __init__(self, text_decoder: nn.Module) -> None:
        super().__init__()
        self.cross_kv, self.answer = CrossKV(text_decoder.bert), Answer(text_decoder)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        encoder_hidden_states: Tensor,
        encoder_attention_mask: Tensor,
        *past: Tensor,
    ) -> tuple[Tensor, ...]:
        """As `Answer`, with the source's states ``[B, S, D]`` instead of its keys and values.

        The mask over its own tokens is of ones, as in the tutorial. It must be there: OpenVINO 2026.4 computes the
        attention without it wrongly once there are more tokens than a vector register has numbers.
        """
        cross = self.cross_kv(encoder_hidden_states)
        return self.answer(input_ids, encoder_attention_mask, *cross, *past, own_mask=attention_mask)


def attend(attention: nn.Module, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Upstream's ``BlipTextAttention`` of ``[B, T, D]`` over keys ``[B, H, d, S]`` and values ``[B, H, S, d]``."""
    query = split_heads(attention.self.query(x), attention.self)
    scores = torch.matmul(query, key) / math.sqrt(attention.self.attention_head_size)
    if mask is not None:
        scores = scores + mask
    context = torch.matmul(torch.softmax(scores, dim=-1), value)
    return attention.output(context.transpose(1, 2).flatten(2), x)


def split_heads(x: Tensor, attention: nn.Module) -> Tensor:
    """``[B, T, H * d] -> [B, H, T, d]``."""
    return x.view(x.shape[0], -1, attention.num_attention_heads, attention.attention_head_size).transpose(1, 2)


def additive(mask: Tensor) -> Tensor:
    """A mask of ones and zeros ``[B, S]`` -> what is added to scores, ``[B, 1, 1, S]``."""
    return (1.0 - mask[:, None, None].float()) * MASKED


def pairs(tensors: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Keys and values that travel flat, a pair a layer."""
    return zip(tensors[::2], tensors[1::2], strict=True)
