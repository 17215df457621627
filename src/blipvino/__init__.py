"""blipvino: small, fast, verified BLIP models on an ordinary CPU.

```python
from blipvino import Blip, optimize

optimize("Salesforce/blip-vqa-base", "blip-vqa-int8")
blip = Blip.load("blip-vqa-int8")
blip.caption("photo.jpg")
blip.answer("photo.jpg", ["how many dogs are there?", "what color is the car?"])
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blipvino.bundle.bundle import Bundle, open_bundle
    from blipvino.errors import (
        BlipvinoError,
        BundleError,
        CheckpointError,
        CompressionError,
        DataError,
        DeadlineError,
        ExportError,
        ImageError,
        InputError,
        OutputError,
        OverloadError,
        RetrievalError,
    )
    from blipvino.export.export_bundle import export_onnx, export_openvino
    from blipvino.graphs.recipes import find_recipe
    from blipvino.optimization.calibrate_confidence import calibrate_confidence
    from blipvino.optimization.optimize import CalibrationOptions, optimize
    from blipvino.optimization.search.options import Search
    from blipvino.recipe import Recipe, Treatment
    from blipvino.runtime.async_blip import AsyncBlip
    from blipvino.runtime.blip import Blip
    from blipvino.runtime.compiling.engine_options import EngineOptions
    from blipvino.runtime.decoding.generated import Generated
    from blipvino.runtime.decoding.generation_options import GenerationOptions
    from blipvino.runtime.decoding.ranking import AnswerList, Ranking
    from blipvino.runtime.features import ImageFeatures
    from blipvino.runtime.reranking import BestCaption, best_captions
    from blipvino.runtime.retriever import BlipRetriever

__version__ = "0.1.0"

__all__ = [
    "AnswerList",
    "AsyncBlip",
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
    "DeadlineError",
    "EngineOptions",
    "ExportError",
    "Generated",
    "GenerationOptions",
    "ImageError",
    "ImageFeatures",
    "InputError",
    "OutputError",
    "OverloadError",
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


_PLACES = {
    "blipvino.bundle.bundle": ("Bundle", "open_bundle"),
    "blipvino.errors": (
        "BlipvinoError",
        "BundleError",
        "CheckpointError",
        "CompressionError",
        "DataError",
        "DeadlineError",
        "ExportError",
        "ImageError",
        "InputError",
        "OutputError",
        "OverloadError",
        "RetrievalError",
    ),
    "blipvino.export.export_bundle": ("export_onnx", "export_openvino"),
    "blipvino.graphs.recipes": ("find_recipe",),
    "blipvino.optimization.calibrate_confidence": ("calibrate_confidence",),
    "blipvino.optimization.optimize": ("CalibrationOptions", "optimize"),
    "blipvino.optimization.search.options": ("Search",),
    "blipvino.recipe": ("Recipe", "Treatment"),
    "blipvino.runtime.async_blip": ("AsyncBlip",),
    "blipvino.runtime.blip": ("Blip",),
    "blipvino.runtime.compiling.engine_options": ("EngineOptions",),
    "blipvino.runtime.decoding.generated": ("Generated",),
    "blipvino.runtime.decoding.generation_options": ("GenerationOptions",),
    "blipvino.runtime.decoding.ranking": ("AnswerList", "Ranking"),
    "blipvino.runtime.features": ("ImageFeatures",),
    "blipvino.runtime.reranking": ("BestCaption", "best_captions"),
    "blipvino.runtime.retriever": ("BlipRetriever",),
}
"""Where each name is. A module is imported when one of its names is first asked for: OpenVINO takes a second, and NNCF,
which only optimizing needs, several.
"""


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'blipvino' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All names, those that are not imported yet included."""
    return sorted({*globals(), *__all__})
