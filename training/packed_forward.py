"""The demo model over packed examples: the modules of `transformers`, with masks that keep the texts apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BlipForQuestionAnswering

from training.examples import Batch, normalized
from training.packing import CAPTION_SEGMENT, IGNORED

MASKED = -1e4


def packed_logits(model: BlipForQuestionAnswering, batch: Batch) -> Tensor:
    """Logits ``[B, T, vocab]`` of every decoder token, through the same modules that `transformers` runs."""
    image_embeds = model.vision_model(pixel_values=normalized(batch.images)).last_hidden_state
    encoder, decoder = model.text_encoder, model.text_decoder.bert
    asked = encoder.embeddings(batch.question_ids, position_ids=batch.question_positions)
    own_question = _block_mask(batch.question_segments, batch.question_segments)
    question_states = _text_layers(encoder.encoder.layer, asked, own_question, image_embeds, None)
    image_segments = batch.question_segments.new_full(image_embeds.shape[:2], CAPTION_SEGMENT)
    sources = torch.cat([question_states, image_embeds], dim=1)
    source_segments = torch.cat([batch.question_segments, image_segments], dim=1)
    own_source = _block_mask(batch.decoder_segments, source_segments)
    length = batch.decoder_ids.shape[1]
    causal = torch.full((length, length), MASKED, device=image_embeds.device).triu(1)
    own_past = _block_mask(batch.decoder_segments, batch.decoder_segments) + causal
    said = decoder.embeddings(batch.decoder_ids, position_ids=batch.decoder_positions)
    return model.text_decoder.cls(_text_layers(decoder.encoder.layer, said, own_past, sources, own_source))


def losses(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the answers' tokens and of the captions' tokens."""
    entropy = nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(batch.labels)
    counted = batch.labels != IGNORED
    in_caption = batch.decoder_segments == CAPTION_SEGMENT
    return _mean(entropy, counted & ~in_caption), _mean(entropy, counted & in_caption)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum()


def _block_mask(queries: Tensor, keys: Tensor) -> Tensor:
    """Additive mask ``[B, 1, Q, K]`` that lets a token see its own segment only."""
    return MASKED * (queries[:, :, None] != keys[:, None, :]).float()[:, None]


def _text_layers(layers: nn.ModuleList, x: Tensor, mask: Tensor, source: Tensor, source_mask: Tensor | None) -> Tensor:
    """The text layers of `transformers`, step by step: run whole, they drop the mask of the cross-attention."""
    for layer in layers:
        x = layer.attention(x, attention_mask=mask)[0]
        cross = layer.crossattention
        context = cross.self(x, encoder_hidden_states=source, encoder_attention_mask=source_mask)[0]
        x = layer.feed_forward_chunk(cross.output(context, x))
    return x
