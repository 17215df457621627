"""Writing a bundle's models for other programs."""

from __future__ import annotations

from pathlib import Path

from blipvino.errors import ExportError
from blipvino.export.export_folder import Export
from blipvino.export.tutorial_models import export_tutorial_models
from blipvino.progress import Reporter


def export_onnx(
    bundle: str | Path,
    output: str | Path,
    *,
    precision: str | None = None,
    overwrite: bool = False,
    show_progress: bool = True,
) -> Export:
    """Write a bundle as ONNX models with tokenizer, settings and a README, whole or not at all.

    Args:
        bundle: its folder; every file is compared with its manifest.
        output: the export's folder: absent, empty, or with ``overwrite`` an existing export.
        precision: "fp32" and "fp16" unpack compressed weights and leave activations in float; "int8" keeps 8 and 4
            bits as they are in the bundle, and rounds activations where the bundle does. None is "int8" where the
            bundle has compressed weights, else "fp16".
        overwrite: replace an existing export.
        show_progress: on standard error.

    Returns:
        The folder, its record, and the size of each file.

    Raises:
        ExportError: the package `onnx` is not installed, the folder is taken, the bundle has no 8-bit weights to keep,
            or a graph has an operation that is not translated.
        BundleError: the bundle is missing or damaged.
        InputError: no such precision.
        OutputError: the folder cannot be written.
    """
    try:
        from blipvino.export.onnx_export import write_onnx  # noqa: PLC0415  onnx is an extra
    except ImportError as error:
        raise ExportError(f"ONNX models need the `export` extra ({error}); pip install 'blipvino[export]'") from error
    return write_onnx(bundle, output, precision=precision, overwrite=overwrite, reporter=Reporter(show_progress))


def export_openvino(
    bundle: str | Path, output: str | Path, *, overwrite: bool = False, show_progress: bool = True
) -> Export:
    """Write a bundle as the OpenVINO tutorial's models with tokenizer, settings and a README, whole or not at all.

    They are ``blip_vision_model``, ``blip_text_encoder`` (where the bundle answers questions) and
    ``blip_text_decoder_with_past``, each an ``.xml`` and a ``.bin``, with weights in the precision that the bundle has;
    of one that is quantized, their names end in ``_int8``, whatever number of bits it has.

    Args:
        bundle: its folder; every file is compared with its manifest.
        output: the export's folder: absent, empty, or with ``overwrite`` an existing export.
        overwrite: replace an existing export, of any format.
        show_progress: on standard error.

    Returns:
        The folder, its record, and the size of each file.

    Raises:
        ExportError: the folder is taken.
        BundleError: the bundle is missing or damaged.
        OutputError: the folder cannot be written.
    """
    return export_tutorial_models(bundle, output, overwrite=overwrite, reporter=Reporter(show_progress))
