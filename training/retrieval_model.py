"""The retrieval model: its start from the demo model, its embeddings, its matching, and its losses.

Source: Li et al., "BLIP: Bootstrapping Language-Image Pre-training" (2022), section 3.2: image-text contrastive (ITC)
and image-text matching (ITM) with hard negatives. Otherwise than there, the contrast is among the pictures of a batch,
without a momentum encoder; the hardest negative is taken, not one drawn by its similarity; and texts with one word
changed are negatives too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers import BlipConfig, BlipForImageTextRetrieval, BlipForQuestionAnswering

from blipvino.checkpoint.architectures import RETRIEVAL
from training.examples import normalized
from training.retrieval_examples import PADDING, RetrievalBatch

FIRST_TEMPERATURE, TRAINED_TEMPERATURE = 0.07, 0.02
"""Where the temperature begins: of untrained heads, and of trained ones, which checkpoints keep no temperature of."""
LEAST_TEMPERATURE = 0.01
NO_TARGET = -100
"""Of a pair that stands for a wrong one where none is wrong: it is not counted."""


class RetrievalLearner(nn.Module):
    """The model, and the temperature of its contrast, which only training needs."""

    def __init__(self, model: BlipForImageTextRetrieval, temperature: float = FIRST_TEMPERATURE) -> None:
        super().__init__()
        self.model = model
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())

    @property
    def temperature(self) -> Tensor:
        """By which similarities are divided."""
        return self.log_temperature.exp().clamp(min=LEAST_TEMPERATURE)

    def losses(self, batch: RetrievalBatch) -> tuple[Tensor, Tensor]:
        """The contrastive loss, and the loss of matching."""
        image_embeds = self.model.vision_model(pixel_values=normalized(batch.images)).last_hidden_state
        similarity = embed_images(self.model, image_embeds) @ embed_texts(self.model, batch.captions).T
        contrast = contrastive_loss(similarity.float() / self.temperature, batch.fits)
        return contrast, self._matching_loss(image_embeds, batch, similarity.detach())

    def _matching_loss(self, image_embeds: Tensor, batch: RetrievalBatch, similarity: Tensor) -> Tensor:
        """Over the texts about each picture, the likeliest wrong caption of it, and the likeliest wrong picture."""
        wrong = similarity.masked_fill(batch.fits, -torch.inf)
        no_caption, no_picture = (torch.where(batch.fits.all(dim=axis), NO_TARGET, 0) for axis in (1, 0))
        wrong_captions = batch.captions[wrong.argmax(dim=1)]
        texts = torch.cat([batch.texts, wrong_captions[:, None]], dim=1)
        truth = torch.cat([batch.truth, no_caption[:, None]], dim=1)
        looked_at = image_embeds[:, None].expand(-1, texts.shape[1], -1, -1).flatten(0, 1)
        about = match(self.model, looked_at, texts.flatten(0, 1))
        elsewhere = match(self.model, image_embeds[wrong.argmax(dim=0)], batch.captions)
        logits = torch.cat([about, elsewhere]).float()
        return cross_entropy(logits, torch.cat([truth.flatten(), no_picture]), ignore_index=NO_TARGET)


def new_retrieval_model(begun_as: Path) -> BlipForImageTextRetrieval:
    """A retrieval model that begins as another, or with the towers of a demo checkpoint and untrained heads."""
    if is_retrieval(begun_as):
        return BlipForImageTextRetrieval.from_pretrained(begun_as, dtype=torch.float32).eval()
    trained = BlipForQuestionAnswering.from_pretrained(begun_as, dtype=torch.float32)
    model = BlipForImageTextRetrieval(BlipConfig.from_pretrained(begun_as)).eval()  # there is no dropout to switch on
    model.vision_model.load_state_dict(trained.vision_model.state_dict())
    model.text_encoder.load_state_dict(trained.text_encoder.state_dict())
    return model


def is_retrieval(folder: Path) -> bool:
    """Whether a checkpoint is a retrieval model already."""
    return bool(BlipConfig.from_pretrained(folder).architectures == [RETRIEVAL])


def embed_images(model: BlipForImageTextRetrieval, image_embeds: Tensor) -> Tensor:
    """Embeddings of length 1 ``[B, D]`` from the vision model's states ``[B, S, W]``."""
    return normalize(model.vision_proj(image_embeds[:, 0]), dim=-1)


def embed_texts(model: BlipForImageTextRetrieval, ids: Tensor) -> Tensor:
    """Embeddings of length 1 ``[N, D]`` of padded token ids ``[N, T]``."""
    states = model.text_encoder(input_ids=ids, attention_mask=(ids != PADDING).long()).last_hidden_state
    return normalize(model.text_proj(states[:, 0]), dim=-1)


def match(model: BlipForImageTextRetrieval, image_embeds: Tensor, ids: Tensor) -> Tensor:
    """Logits ``[N, 2]`` of "does not match" and "matches" for pairs of vision states and padded token ids."""
    attention_mask = (ids != PADDING).long()
    states = model.text_encoder(
        input_ids=ids,
        attention_mask=attention_mask,
        encoder_hidden_states=image_embeds,
        encoder_attention_mask=attention_mask.new_ones(image_embeds.shape[:2]),
    ).last_hidden_state
    return model.itm_head(states[:, 0])


def contrastive_loss(logits: Tensor, fits: Tensor) -> Tensor:
    """InfoNCE from pictures to texts and back; ``fits`` says which are right, equally where they are several."""
    of_pictures, of_texts = (each.float() / each.sum(dim=1, keepdim=True) for each in (fits, fits.T))
    return (cross_entropy(logits, of_pictures) + cross_entropy(logits.T, of_texts)) / 2
