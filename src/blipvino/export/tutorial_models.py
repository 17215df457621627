"""Writing a bundle as the three models of OpenVINO's tutorial, which its notebook's code runs unchanged.

The tutorial is the pair of notebooks 233-blip-convert and 233-blip-optimize.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import openvino as ov

from blipvino.bundle.bundle import Bundle
from blipvino.errors import OutputError
from blipvino.export.tutorial_graphs import text_decoder, text_encoder, vision_model
from blipvino.files.atomic import new_folder
from blipvino.runtime.reading import read_config, read_graph, read_preprocessor

__all__ = ["export_tutorial_models"]

_SETTINGS = ("config.json", "preprocessor_config.json", "tokenizer.json")


def export_tutorial_models(bundle: Bundle, folder: Path) -> list[Path]:
    """Write the tutorial's models, with a bundle's weights in the precision that they have.

    They are ``blip_vision_model``, ``blip_text_encoder`` (where the bundle answers questions) and
    ``blip_text_decoder_with_past``, each an ``.xml`` and a ``.bin``; of a bundle that is quantized, their names end in
    ``_int8``, whatever number of bits it has. The bundle's tokenizer and settings go beside them.

    Args:
        bundle: to be exported, verified when it was opened.
        folder: to be made; an empty one is accepted. It appears complete or not at all.

    Returns:
        The models' ``.xml`` files.

    Raises:
        BundleError: a file of the bundle cannot be used.
        OutputError: the folder is taken, or cannot be written.
    """
    ending = "_int8" if _is_quantized(bundle) else ""
    names = []
    with new_folder(folder) as partial:
        for model in _models(bundle):
            names.append(f"{model.get_friendly_name()}{ending}.xml")
            _save(model, partial / names[-1], folder)
        for name in _SETTINGS:
            shutil.copyfile(bundle.path(name), partial / name)
    return [folder / name for name in names]


def _is_quantized(bundle: Bundle) -> bool:
    return any(treatment.method != "fp16" for treatment in bundle.manifest.recipe.treatments.values())


def _models(bundle: Bundle) -> Iterator[ov.Model]:
    """The models one after the other, so that one is held at a time."""
    core, config = ov.Core(), read_config(bundle)

    def graph(name: str) -> ov.Model:
        return read_graph(core, name, bundle.path(f"{name}.xml"))

    yield vision_model(graph("vision"), read_preprocessor(bundle, config))
    if config.answers_questions:
        yield text_encoder(graph("question_kv"), graph("question"))
    yield text_decoder(graph("answer_kv"), graph("answer"))


def _save(model: ov.Model, path: Path, target: Path) -> None:
    """Write an IR with the constants as they are: those of a bundle are small already, and its scales are exact.

    Raises:
        OutputError: it could not be written whole.
    """
    try:
        ov.save_model(model, path, compress_to_fp16=False)
        ov.Core().read_model(path)  # a full disk does not always make save_model raise
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OutputError(f"{target}: {path.name} could not be written whole; is the disk full? ({reason})") from error
