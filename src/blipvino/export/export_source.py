"""What an export takes over from its bundle beside the graphs: tokenizer, settings, and a record of its source."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.config import BlipConfig, PreprocessorConfig
from blipvino.errors import ExportError
from blipvino.export.export_folder import ExportRecord
from blipvino.machine.versions import installed_version
from blipvino.runtime.reading import read_config, read_preprocessor, read_text_length

_TAKEN_OVER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "config.json",
    "generation_config.json",
)


@dataclass(frozen=True)
class Settings:
    """What a bundle's settings say.

    Attributes:
        config: of the model.
        preprocessor: how pixels are prepared.
        new_tokens: of a text without a prompt, at the most, the closing one included.
    """

    config: BlipConfig
    preprocessor: PreprocessorConfig
    new_tokens: int

    @classmethod
    def of(cls, bundle: Bundle) -> Settings:
        """Read a bundle's.

        Raises:
            BundleError: one of its files is damaged.
            ExportError: the model is one for retrieval.
        """
        config = read_config(bundle)
        if config.retrieves:
            raise ExportError(
                f"{bundle.folder}: models for retrieval cannot be exported: neither optimum nor the tutorial has a "
                "form for them; run the bundle with BlipRetriever"
            )
        new_tokens = read_text_length(bundle).new_tokens(1, config.text.max_position_embeddings)
        return cls(config, read_preprocessor(bundle, config), new_tokens)


def is_compressed(bundle: Bundle) -> bool:
    """Whether any graph has weights in 8 or 4 bits."""
    return any(treatment.method != "fp16" for treatment in bundle.manifest.recipe.treatments.values())


def record_of(
    bundle: Bundle, format: str, precision: str, details: dict[str, Any], libraries: tuple[str, ...]
) -> ExportRecord:
    """What ``export.json`` says of a bundle.

    Args:
        bundle: the source.
        format: of the models.
        precision: of the weights.
        details: of the format.
        libraries: packages that write the models.
    """
    manifest = bundle.manifest
    return ExportRecord(
        format=format,
        precision=precision,
        source=manifest.source.name,
        architecture=manifest.architecture,
        recipe=manifest.recipe.name,
        bundle=bundle.fingerprint,
        details=details,
        libraries={name: installed_version(name) for name in libraries},
    )


def copy_settings(bundle: Bundle, folder: Path) -> None:
    """Put tokenizer and settings beside the models, as far as the bundle has them."""
    for name in _TAKEN_OVER:
        if bundle.has(name):
            shutil.copyfile(bundle.path(name), folder / name)
