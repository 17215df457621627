"""Reading a bundle's files: whatever is wrong with one of them is a `BundleError` that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openvino as ov

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import OPTIMIZE_AGAIN
from blipvino.checkpoint.config import BlipConfig, PreprocessorConfig, parse_config, parse_preprocessor
from blipvino.checkpoint.text_length import GENERATION_FILE, TextLength, parse_text_length
from blipvino.checks import shown
from blipvino.errors import BundleError, CheckpointError
from blipvino.graphs.specs import GRAPHS


def find_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, its files not yet compared with its manifest.

    Raises:
        BundleError: as `open_bundle`; or the system does not let look there.
    """
    try:
        return open_bundle(folder, verify=False)
    except OSError as error:  # a name that is too long, a folder that is not to be entered
        raise BundleError(
            f"{shown(str(folder))}: cannot be read ({error.strerror}); expected a bundle folder"
        ) from error


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BundleError: the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: neither UTF-8 nor JSON
        raise BundleError(f"{path}: not JSON ({error}); {OPTIMIZE_AGAIN}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path}: holds a {type(content).__name__}, expected an object; {OPTIMIZE_AGAIN}")
    return content


def read_config(bundle: Bundle) -> BlipConfig:
    """What the bundle's ``config.json`` says.

    Raises:
        BundleError: it is damaged or missing, or not of a BLIP.
    """
    path = bundle.path("config.json")
    try:
        return parse_config(read_object(path), str(path))
    except CheckpointError as error:
        raise BundleError(f"{error}; {OPTIMIZE_AGAIN}") from error


def read_preprocessor(bundle: Bundle, config: BlipConfig) -> PreprocessorConfig:
    """What the bundle's ``preprocessor_config.json`` says.

    Raises:
        BundleError: it is damaged or missing, or not of this model.
    """
    content = read_object(bundle.path("preprocessor_config.json"))
    try:
        return parse_preprocessor(content, config.vision.image_size, str(bundle.folder))
    except CheckpointError as error:
        raise BundleError(f"{error}; {OPTIMIZE_AGAIN}") from error


def read_text_length(bundle: Bundle) -> TextLength:
    """What the bundle's ``generation_config.json`` says; a checkpoint may have none.

    Raises:
        BundleError: it is damaged.
    """
    if not bundle.has(GENERATION_FILE):
        return TextLength()
    path = bundle.path(GENERATION_FILE)
    try:
        return parse_text_length(read_object(path), str(bundle.folder))
    except CheckpointError as error:
        raise BundleError(f"{error}; {OPTIMIZE_AGAIN}") from error


def read_graph(core: ov.Core, name: str, path: Path) -> ov.Model:
    """A graph of a bundle.

    Args:
        core: what reads it.
        name: which graph it must be, one of `blipvino.graphs.specs.GRAPHS`.
        path: of its ``.xml``.

    Raises:
        BundleError: the file is no graph, or is another one.
    """
    try:
        model = core.read_model(str(path))
    except RuntimeError as error:
        problem = str(error).strip().splitlines()[-1]
        raise BundleError(f"{path}: not a graph that OpenVINO reads ({problem}); {OPTIMIZE_AGAIN}") from error
    spec = GRAPHS[name]
    for kind, ports, expected in (("in", model.inputs, set(spec.inputs)), ("out", model.outputs, spec.outputs)):
        names = [sorted(port.get_names()) for port in ports]
        found = {port[0].split(".")[0] if port else "(nameless)" for port in names}
        if found != expected:
            raise BundleError(
                f"{path}: not the graph {name}: its {kind}puts are {', '.join(sorted(found))}, expected "
                f"{', '.join(sorted(expected))}; {OPTIMIZE_AGAIN}"
            )
    return model
