"""``pixel_values`` as a processor makes them, to what the model sees.

`vision` reads grey levels and normalises by itself. What the model's own processor made of an image is normalised grey
levels, and turned back into them exactly: such images are known by their content, like any other. Floats that no image
has go through a form of `vision` that takes floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import torch

from blipvino.arrays import AnyArray, FloatArray, Pixels
from blipvino.checkpoint.config import RESCALE_FACTOR, PreprocessorConfig
from blipvino.checks import kind_of
from blipvino.errors import InputError
from blipvino.export.rewiring import take_normalised_pixels
from blipvino.runtime.compiling.bundled import graph_files_of
from blipvino.runtime.compiling.compiler import Compiler
from blipvino.runtime.compiling.graph_sources import GraphSource
from blipvino.runtime.compiling.sizes import Sizes
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.loaded_model import LoadedModel

_LEAST_SIGNIFICANT = 4
"""How many of its type's smallest steps a normalised grey level may be off: orders of rounding differ."""


@dataclass(frozen=True)
class _FloatVision:
    """The graph `vision`, reading normalised floats."""

    graph: GraphSource
    preprocessor: PreprocessorConfig
    digest: None = None

    @property
    def place(self) -> str:
        return self.graph.place

    def read(self, core: ov.Core) -> ov.Model:
        """The graph. Its input keeps its name, by which its open dimensions are known."""
        model = self.graph.read(core)
        pixels = take_normalised_pixels(model, self.preprocessor)
        pixels.output(0).get_tensor().set_names({"pixels"})
        return ov.Model(model.get_results(), [pixels], "vision")


class PixelReader:
    """Turns ``pixel_values`` into features of one loaded model.

    Args:
        model: whose features.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._floats: Compiler | None = None

    def features(self, pixel_values: object) -> list[ImageFeatures]:
        """What the model sees in each image.

        Args:
            pixel_values: floats ``[B, 3, size, size]``, of torch or numpy, as the model's processor makes them.

        Raises:
            InputError: another type or shape, values that are no numbers, or more images than memory holds.
        """
        values, epsilon = _array(pixel_values)
        size = self._model.config.vision.image_size
        if values.ndim != 4 or values.shape[1:] != (3, size, size) or not len(values):
            raise InputError(
                f"pixel_values are {list(values.shape)}, expected [batch, 3, {size}, {size}], as the model's processor "
                "makes them"
            )
        if not np.isfinite(values).all():
            raise InputError("pixel_values hold infinities or what is no number; expected those of a processor")
        self._model.components.limits.check_images(len(values), f"pixel_values of {len(values)} images", "give fewer")
        levels, known = grey_levels(values, self._model.images.config, epsilon)
        seen = iter(self._model.extractor.encode(list(levels[known])))
        return [
            next(seen) if of_image else self._of_floats(image) for of_image, image in zip(known, values, strict=True)
        ]

    def _of_floats(self, values: FloatArray) -> ImageFeatures:
        """Features of floats ``[3, size, size]`` that are no image."""
        engine, bundle = self._model.engine, self._model.bundle
        with engine.lock:
            if self._floats is None:
                graph = graph_files_of(bundle, ["vision"], check=False)["vision"]
                graphs = {"vision": _FloatVision(graph, self._model.images.config)}
                self._floats = Compiler(graphs, self._model.config, engine.options)
            request = self._floats.request("vision", Sizes(sources=1))
            request.infer({"pixels": values[None]}, share_outputs=True)
            return ImageFeatures(np.array(request.get_tensor("image_embeds").data[0]), bundle.fingerprint)


def grey_levels(
    values: FloatArray, preprocessor: PreprocessorConfig, epsilon: float = float(np.finfo(np.float32).eps)
) -> tuple[Pixels, AnyArray]:
    """The grey levels that a processor normalised, and whether there are such.

    Args:
        values: float32 ``[B, 3, size, size]``.
        preprocessor: how they were normalised.
        epsilon: the smallest step beside 1 of the type that they were rounded to.

    Returns:
        uint8 ``[B, size, size, 3]``; and bool ``[B]``, of each image whether normalising its levels makes its values.
    """
    mean, std = (
        np.array(each, np.float64).reshape(1, 3, 1, 1) for each in (preprocessor.image_mean, preprocessor.image_std)
    )
    levels = np.rint((values * std + mean) / RESCALE_FACTOR).clip(0, 255)
    again = (levels * RESCALE_FACTOR - mean) / std
    allowed = _LEAST_SIGNIFICANT * epsilon * np.maximum(1, np.abs(again))
    known = np.asarray((np.abs(again - values) <= allowed).all(axis=(1, 2, 3)))
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1)).astype(np.uint8), known


def _array(given: object) -> tuple[FloatArray, float]:
    """Values as float32, and the smallest step beside 1 of the type that they have."""
    if isinstance(given, torch.Tensor) and given.dtype.is_floating_point:
        return given.detach().to("cpu", torch.float32).numpy(), torch.finfo(given.dtype).eps
    if isinstance(given, list | tuple) and given and all(hasattr(each, "shape") for each in given):
        joined: Any = torch.stack(list(given)) if isinstance(given[0], torch.Tensor) else np.stack(list(given))
        return _array(joined)
    if isinstance(given, np.ndarray) and np.issubdtype(given.dtype, np.floating):
        return given.astype(np.float32), max(float(np.finfo(given.dtype).eps), float(np.finfo(np.float32).eps))
    dtype = f" of {given.dtype}" if hasattr(given, "dtype") else ""
    raise InputError(
        f"pixel_values are {kind_of(given)}{dtype}, expected floats of torch or numpy, as the model's processor makes "
        "them"
    )
