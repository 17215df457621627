"""Exports of the demo's and of small random bundles."""

import pytest
from onnx_subjects import exported

from blipvino import Blip, EngineOptions, export_onnx, export_openvino


def loaded(bundle, arithmetic):
    options = EngineOptions(precision="f32", threads=1, arithmetic=arithmetic, selftest="off")
    return Blip.load(bundle, options=options)


@pytest.fixture(scope="session")
def demo_float(demo, tmp_path_factory):
    """The uncompressed demo bundle, and its export in float32."""
    folder = tmp_path_factory.mktemp("export") / "fp32"
    export_onnx(demo.bundle, folder, precision="fp32", show_progress=False)
    return demo.blip, exported(folder, demo.blip)


@pytest.fixture(scope="session")
def demo_quantized(int8, tmp_path_factory):
    """The demo's bundle with encoders in 8 bits and the answer graph in 4, in float of 8 bits, and its export."""
    folder = tmp_path_factory.mktemp("export") / "int8"
    export_onnx(int8, folder, show_progress=False)
    blip = loaded(int8, "simulated")
    return blip, exported(folder, blip)


@pytest.fixture(scope="session")
def tiny_quantized(tiny_int8, tmp_path_factory):
    """A small random bundle in 8 bits, and its export."""
    folder = tmp_path_factory.mktemp("export") / "tiny"
    export_onnx(tiny_int8, folder, show_progress=False)
    blip = loaded(tiny_int8, "simulated")
    return blip, exported(folder, blip)


@pytest.fixture(scope="session")
def tutorial_float(demo, tmp_path_factory):
    """The uncompressed demo bundle, and the folder of the tutorial's models made of it."""
    folder = tmp_path_factory.mktemp("export") / "fp16"
    return demo.blip, export_openvino(demo.bundle, folder, show_progress=False)


@pytest.fixture(scope="session")
def tutorial_quantized(int8, tmp_path_factory):
    """The demo's bundle with encoders in 8 bits and the answer graph in 4, and the folder."""
    folder = tmp_path_factory.mktemp("export") / "int8"
    return loaded(int8, "simulated"), export_openvino(int8, folder, show_progress=False)
