"""What is given to models: token ids, masks and images, checked; and what no bundle does, refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.config import PreprocessorConfig
from blipvino.checks import kind_of
from blipvino.errors import InputError
from blipvino.runtime.features import ImageFeatures


def token_ids(name: str, given: object, text: Any, rows: int | None = None) -> IntArray:
    """Token ids or a mask as int64 ``[rows, T]``.

    Args:
        name: of the argument.
        given: of torch, numpy or a list of lists.
        text: `transformers`' configuration of the text model.
        rows: of images; None takes any number.

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
    if rows is not None and len(array) != rows:
        raise InputError(f"{name} have {len(array)} rows, pixel_values {rows}; give a row for each image")
    words, positions = text.vocab_size, text.max_position_embeddings
    if array.min() < 0 or array.max() >= words:
        raise InputError(f"{name} hold {array.min()} to {array.max()}, expected 0 to {words - 1}")
    if array.shape[1] > positions:
        raise InputError(f"{name} have {array.shape[1]} tokens, this model takes at most {positions}; shorten them")
    return array.astype(np.int64)


def texts_and_mask(
    input_ids: object, attention_mask: object, text: Any, rows: int | None = None
) -> tuple[IntArray, IntArray]:
    """Texts and what may be attended to of them, both int64 ``[rows, T]``; without a mask that is all.

    Raises:
        InputError: as `token_ids`, or they are not of one shape.
    """
    ids = token_ids("input_ids", input_ids, text, rows)
    mask = np.ones_like(ids) if attention_mask is None else token_ids("attention_mask", attention_mask, text, rows)
    if mask.shape != ids.shape:
        raise InputError(f"attention_mask is {list(mask.shape)}, input_ids {list(ids.shape)}; expected the same")
    return ids, mask


def image_rows(pixel_values: object) -> int:
    """How many images there are, as far as can be told before they are looked at."""
    return len(pixel_values) if hasattr(pixel_values, "__len__") else 0


def blank_pixels(preprocessor: PreprocessorConfig) -> torch.Tensor:
    """One black image, float32 ``[1, 3, size, size]``."""
    level = -torch.tensor(preprocessor.image_mean) / torch.tensor(preprocessor.image_std)
    return level.reshape(1, 3, 1, 1).expand(1, 3, preprocessor.size, preprocessor.size).contiguous()


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
