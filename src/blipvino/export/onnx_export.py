"""A bundle as ONNX models, with all that a program needs to run them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import onnx
import openvino as ov

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.checkpoint.config import BlipConfig, PreprocessorConfig
from blipvino.checks import choice
from blipvino.compress.embeddings import look_up_in_float
from blipvino.errors import ExportError
from blipvino.export.export_folder import ExportRecord, check_export_target, write_export
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
from blipvino.export.onnx_readme import readme
from blipvino.graphs.arithmetic import in_float
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.specs import graph_names
from blipvino.machine.versions import installed_version
from blipvino.progress import Reporter
from blipvino.runtime.reading import read_config, read_graph, read_preprocessor

LARGEST = 2**31 - 2**24
"""Bytes of weights that a model's own file may hold: protobuf has 2 GB, and there are the nodes."""
PRECISIONS: tuple[OnnxPrecision, ...] = get_args(OnnxPrecision)
_TAKEN_OVER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "config.json",
    "generation_config.json",
)
_LINES = {
    VISION: "pixels → image embeddings",
    TEXT_ENCODER: "a question, image embeddings → question states",
    DECODER: "the first tokens of a text, image embeddings or question states → logits, keys and values",
    DECODER_WITH_PAST: "a further token, keys and values → logits, more keys and values",
}


@dataclass(frozen=True)
class OnnxExport:
    """What was written.

    Attributes:
        folder: with the models.
        record: what they were made of.
        sizes: bytes of each file, by name.
    """

    folder: Path
    record: ExportRecord
    sizes: dict[str, int]


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
        model = read_graph(ov.Core(), name, self.bundle.path(f"{name}.xml"))
        take_back_handover(model)
        if self.precision != "int8":
            in_float(model)
            look_up_in_float(model)
        return model


def write_onnx(
    bundle: str | Path, output: str | Path, *, precision: str | None, overwrite: bool, reporter: Reporter
) -> OnnxExport:
    """As `blipvino.export.export_bundle.export_onnx`, once the package `onnx` is known to be there."""
    if precision is not None:
        choice("precision", precision, PRECISIONS)
    target = Path(output).resolve()
    check_export_target(target, overwrite)
    opened = open_bundle(bundle)
    source = _Source(opened, _chosen_precision(opened, precision))
    config = read_config(opened)
    preprocessor = read_preprocessor(opened, config)
    manifest = opened.manifest
    record = ExportRecord(
        format="onnx",
        precision=source.precision,
        source=manifest.source.name,
        architecture=manifest.architecture,
        recipe=manifest.recipe.name,
        bundle=opened.fingerprint,
        details={"opset": OPSET},
        libraries={name: installed_version(name) for name in ("onnx", "openvino")},
    )
    with write_export(target, record, overwrite=overwrite) as folder:
        written = list(_write_models(source, config, preprocessor, folder, reporter))
        for name in _TAKEN_OVER:
            if opened.has(name):
                shutil.copyfile(opened.path(name), folder / name)
        text = readme(record, config, preprocessor, {name: _LINES[name] for name in written})
        (folder / "README.md").write_text(text, encoding="utf-8")
    sizes = {path.name: path.stat().st_size for path in sorted(target.iterdir())}
    return OnnxExport(target, record, sizes)


def _chosen_precision(bundle: Bundle, asked: str | None) -> OnnxPrecision:
    """The precision asked for; by default that of the bundle.

    Raises:
        ExportError: 8 bits are asked for, and the bundle has none.
    """
    names = graph_names(bundle.manifest.architecture)
    compressed = any(_has_integers(read_graph(ov.Core(), name, bundle.path(f"{name}.xml"))) for name in names)
    if asked == "int8" and not compressed:
        raise ExportError(
            f"{bundle.folder}: precision int8 needs 8-bit weights, and this bundle's are FP16; export fp16 or fp32, or "
            "optimize the checkpoint by the recipe int8"
        )
    by_default: OnnxPrecision = "int8" if compressed else "fp16"
    return next((each for each in PRECISIONS if each == asked), by_default)


def _has_integers(model: ov.Model) -> bool:
    """Whether any weight of a graph is compressed."""
    constants = (node.get_element_type() for node in model.get_ops() if node.get_type_name() == "Constant")
    return any(element.bitwidth <= 8 and element.is_integral_number() for element in constants)


def _write_models(
    source: _Source, config: BlipConfig, preprocessor: PreprocessorConfig, folder: Path, reporter: Reporter
) -> Iterator[str]:
    """Write one model after the other, each checked by `onnx`. Yields their names."""
    makers: dict[str, Callable[[], Part]] = {VISION: lambda: vision_part(source.read("vision"), preprocessor)}
    if config.answers_questions:
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
