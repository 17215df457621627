"""A bundle as ONNX models, with all that a program needs to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import onnx
import openvino as ov

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.checks import choice
from blipvino.compress.embeddings import look_up_in_float
from blipvino.errors import ExportError
from blipvino.export.export_folder import Export, check_export_target, write_export
from blipvino.export.export_readme import readme
from blipvino.export.export_source import Settings, copy_settings, is_compressed, record_of
from blipvino.export.onnx_data import ExternalData, InModel, TensorStore
from blipvino.export.onnx_graph import OnnxPrecision
from blipvino.export.onnx_model import OPSET, onnx_model
from blipvino.export.onnx_parts import (
    DECODER,
    DECODER_WITH_PAST,
    TEXT_ENCODER,
    VISION,
    Part,
    decoder_part,
    decoder_with_past_part,
    text_encoder_part,
    vision_part,
)
from blipvino.export.onnx_readme import onnx_readme
from blipvino.graphs.arithmetic import in_float
from blipvino.graphs.handover import take_back_handover
from blipvino.machine.core import openvino_core
from blipvino.progress import Reporter
from blipvino.runtime.reading import read_graph

LARGEST = 2**31 - 2**24
"""Bytes of weights that a model's own file may hold: protobuf has 2 GB, and there are the nodes."""
PRECISIONS: tuple[OnnxPrecision, ...] = get_args(OnnxPrecision)


@dataclass(frozen=True)
class _Source:
    """A bundle to export.

    Attributes:
        bundle: opened.
        precision: of the models.
    """

    bundle: Bundle
    precision: OnnxPrecision

    def read(self, name: str) -> ov.Model:
        """A graph without a handover, with the quantizers of activations where the precision keeps them."""
        model = read_graph(openvino_core(), name, self.bundle.path(f"{name}.xml"))
        take_back_handover(model)
        if self.precision != "int8":
            in_float(model)
            look_up_in_float(model)
        return model


def write_onnx(
    bundle: str | Path, output: str | Path, *, precision: str | None, overwrite: bool, reporter: Reporter
) -> Export:
    """As `blipvino.export.export_bundle.export_onnx`, once the package `onnx` is known to be there."""
    if precision is not None:
        choice("precision", precision, PRECISIONS)
    target = Path(output).resolve()
    check_export_target(target, overwrite)
    opened = open_bundle(bundle)
    source = _Source(opened, _chosen_precision(opened, precision))
    settings = Settings.of(opened)
    record = record_of(opened, "onnx", source.precision, {"opset": OPSET}, ("onnx", "openvino"))
    with write_export(target, record, overwrite=overwrite) as folder:
        written = list(_write_models(source, settings, folder, reporter))
        copy_settings(opened, folder)
        text = readme(onnx_readme(record, settings, written), record, settings)
        (folder / "README.md").write_text(text, encoding="utf-8")
    return Export.of(target, record)


def _chosen_precision(bundle: Bundle, asked: str | None) -> OnnxPrecision:
    """The precision asked for; by default that of the bundle.

    Raises:
        ExportError: 8 bits are asked for, and the bundle has none.
    """
    compressed = is_compressed(bundle)
    if asked == "int8" and not compressed:
        raise ExportError(
            f"{bundle.folder}: precision int8 needs 8-bit weights, and this bundle's are FP16; export fp16 or fp32, or "
            "optimize the checkpoint by the recipe int8"
        )
    by_default: OnnxPrecision = "int8" if compressed else "fp16"
    return next((each for each in PRECISIONS if each == asked), by_default)


def _write_models(source: _Source, settings: Settings, folder: Path, reporter: Reporter) -> Iterator[str]:
    """Write one model after the other, each checked by `onnx`. Yields their names."""
    makers: dict[str, Callable[[], Part]] = {VISION: lambda: vision_part(source.read("vision"), settings.preprocessor)}
    if settings.config.answers_questions:
        makers[TEXT_ENCODER] = lambda: text_encoder_part(source.read("question_kv"), source.read("question"))
    makers[DECODER] = lambda: decoder_part(source.read("answer_kv"), source.read("answer"))
    makers[DECODER_WITH_PAST] = lambda: decoder_with_past_part(source.read("answer"))
    shared = ExternalData(folder / f"{DECODER}.onnx_data")
    for name, make in reporter.track(makers.items(), "Writing models", len(makers)):
        part = make()
        store = shared if name in (DECODER, DECODER_WITH_PAST) else _store(part, folder / f"{name}.onnx_data")
        path = folder / f"{name}.onnx"
        path.write_bytes(onnx_model(part, source.precision, store).SerializeToString())
        onnx.checker.check_model(str(path))
        yield name


def _store(part: Part, data: Path) -> TensorStore:
    """The model itself, or a file of data where it would be too large. No constant takes more than in float32."""
    constants = (node for node in part.model.get_ops() if node.get_type_name() == "Constant")
    elements = sum(max(1, node.get_byte_size() * 8 // node.get_element_type().bitwidth) for node in constants)
    return InModel() if 4 * elements <= LARGEST else ExternalData(data)
