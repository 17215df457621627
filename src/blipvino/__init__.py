"""blipvino: small, fast, verified BLIP models on an ordinary CPU.

from blipvino import Blip, optimize

optimize("Salesforce/blip-vqa-base", "blip-vqa-int8")
blip = Blip.load("blip-vqa-int8")
blip.caption("photo.jpg")
blip.answer("photo.jpg", ["how many dogs are there?", "what color is the car?"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.errors import (
    BlipvinoError,
    BundleError,
    CheckpointError,
    CompressionError,
    DataError,
    ExportError,
    ImageError,
    InputError,
    OutputError,
    RetrievalError,
)
from blipvino.export.export_bundle import export_onnx, export_openvino
from blipvino.graphs.recipes import find_recipe
from blipvino.recipe import Recipe, Treatment
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.reranking import BestCaption, best_captions
from blipvino.runtime.retriever import BlipRetriever

if TYPE_CHECKING:
    from blipvino.optimization.calibrate_confidence import calibrate_confidence
    from blipvino.optimization.optimize import CalibrationOptions, optimize
    from blipvino.optimization.search.options import Search

__version__ = "0.1.0"

__all__ = [
    "AnswerList",
    "BestCaption",
    "Blip",
    "BlipRetriever",
    "BlipvinoError",
    "Bundle",
    "BundleError",
    "CalibrationOptions",
    "CheckpointError",
    "CompressionError",
    "DataError",
    "EngineOptions",
    "ExportError",
    "Generated",
    "GenerationOptions",
    "ImageError",
    "ImageFeatures",
    "InputError",
    "OutputError",
    "Ranking",
    "Recipe",
    "RetrievalError",
    "Search",
    "Treatment",
    "best_captions",
    "calibrate_confidence",
    "export_onnx",
    "export_openvino",
    "find_recipe",
    "open_bundle",
    "optimize",
]


def __getattr__(name: str) -> Any:
    """Import the optimizer when it is first asked for: it brings NNCF, which takes seconds, and running needs none."""
    if name == "calibrate_confidence":
        from blipvino.optimization.calibrate_confidence import calibrate_confidence  # noqa: PLC0415

        return calibrate_confidence
    if name in ("CalibrationOptions", "Search", "optimize"):
        from blipvino.optimization import optimize as module  # noqa: PLC0415

        return getattr(module, name)
    raise AttributeError(f"module 'blipvino' has no attribute {name!r}")
