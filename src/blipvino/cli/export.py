"""``blipvino export``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import BundleArgument, JsonFlag, QuietFlag
from blipvino.cli.output import print_json, print_sentence, print_tables
from blipvino.cli.unused_options import refuse_unused
from blipvino.text.tables import TextTable
from blipvino.text.units import megabytes


class Format(StrEnum):
    """What is written."""

    onnx = "onnx"
    openvino = "openvino"


class OnnxPrecision(StrEnum):
    """Of the weights."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The export's folder.")]
FormatOption = Annotated[Format, typer.Option("--format", help="ONNX models, or the three of OpenVINO's tutorial.")]
PrecisionOption = Annotated[
    OnnxPrecision | None,
    typer.Option(help="Of ONNX weights; by default int8 where the bundle has compressed weights, else fp16."),
]
ForceFlag = Annotated[bool, typer.Option("--force", "-f", help="Replace an existing export.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino export blip-vqa -o blip-vqa-onnx --format onnx")
def export(
    context: typer.Context,
    bundle: BundleArgument,
    output: OutputOption,
    format: FormatOption = Format.onnx,
    precision: PrecisionOption = None,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a bundle's models for other programs: ONNX Runtime, or OpenVINO as its tutorial's code runs it."""
    from blipvino.export.export_bundle import export_onnx, export_openvino

    bundle = bundle_folder(bundle, quiet=quiet)
    if format is Format.openvino:
        refuse_unused(context, ("precision",), "with --format openvino, whose models keep the bundle's")
        made = export_openvino(bundle, output, overwrite=force, show_progress=not quiet)
    else:
        chosen = None if precision is None else precision.value
        made = export_onnx(bundle, output, precision=chosen, overwrite=force, show_progress=not quiet)
    if as_json:
        print_json({"folder": str(made.folder), **asdict(made.record), "files": made.sizes})
        return
    rows = tuple((name, megabytes(size)) for name, size in made.sizes.items())
    print_tables([TextTable(f"{format.value}, {made.record.precision}", ("file", "size"), rows)])
    print_sentence(f"{made.folder / 'README.md'} has a program that runs them; docs/export.md tells more.")
