"""A bundle as the three models of OpenVINO's tutorial, which its notebook's code runs unchanged.

The tutorial is the pair of notebooks 233-blip-convert and 233-blip-optimize.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openvino as ov

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.errors import OutputError
from blipvino.export.export_folder import Export, check_export_target, write_export
from blipvino.export.export_readme import readme
from blipvino.export.export_source import Settings, copy_settings, is_compressed, record_of
from blipvino.export.tutorial_graphs import TEXT_DECODER, TEXT_ENCODER, VISION, text_decoder, text_encoder, vision_model
from blipvino.export.tutorial_readme import tutorial_readme
from blipvino.machine.core import openvino_core, read_ir
from blipvino.progress import Reporter
from blipvino.runtime.reading import read_graph


def export_tutorial_models(bundle: str | Path, output: str | Path, *, overwrite: bool, reporter: Reporter) -> Export:
    """As `blipvino.export.export_bundle.export_openvino`."""
    target = Path(output).resolve()
    check_export_target(target, overwrite)
    opened = open_bundle(bundle)
    settings = Settings.of(opened)
    precision, ending = ("int8", "_int8.xml") if is_compressed(opened) else ("fp16", ".xml")
    record = record_of(opened, "openvino", precision, {"interface": "233-blip-convert"}, ("openvino",))
    makers = _makers(opened, settings)
    with write_export(target, record, overwrite=overwrite) as folder:
        for name, make in reporter.track(makers.items(), "Writing models", len(makers)):
            _save(make(), folder / f"{name}{ending}", target)
        copy_settings(opened, folder)
        parts = tutorial_readme(record, settings, list(makers), ending)
        (folder / "README.md").write_text(readme(parts, record, settings), encoding="utf-8")
    return Export.of(target, record)


def _makers(bundle: Bundle, settings: Settings) -> dict[str, Callable[[], ov.Model]]:
    """What makes each model, so that one is held at a time."""

    def graph(name: str) -> ov.Model:
        return read_graph(openvino_core(), name, bundle.path(f"{name}.xml"))

    makers = {VISION: lambda: vision_model(graph("vision"), settings.preprocessor)}
    if settings.config.answers_questions:
        makers[TEXT_ENCODER] = lambda: text_encoder(graph("question_kv"), graph("question"))
    makers[TEXT_DECODER] = lambda: text_decoder(graph("answer_kv"), graph("answer"))
    return makers


def _save(model: ov.Model, path: Path, target: Path) -> None:
    """Write an IR with the constants as they are: those of a bundle are small already, and its scales are exact.

    Raises:
        OutputError: it could not be written whole.
    """
    try:
        ov.save_model(model, str(path), compress_to_fp16=False)  # as text, as `read_ir` gives it
        read_ir(path)  # a full disk does not always make save_model raise
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OutputError(f"{target}: {path.name} could not be written whole; is the disk full? ({reason})") from error
