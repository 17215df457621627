"""Keys and values on their way between graphs."""

from typing import ClassVar

import numpy as np
import openvino as ov
import pytest
from subjects import scene_image

from blipvino import (
    Blip,
    EngineOptions,
)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_kept_keys_and_values_are_bound_without_a_copy(demo, precision):
    blip = Blip.load(demo.bundle, options=EngineOptions(precision=precision, threads=1))
    projected = blip.extractor.question_kv(blip.features(scene_image(0)))

    class Request:
        bound: ClassVar = {}

        def get_tensor(self, name):
            element = {"float32": ov.Type.f32, "uint16": ov.Type.bf16}[projected.tensors[name].dtype.name]
            return ov.Tensor(element, ov.Shape([1]))

        def set_tensor(self, name, tensor):
            self.bound[name] = tensor

    projected.bind(Request())
    for name, array in projected.tensors.items():
        assert not array.flags.writeable
        assert np.shares_memory(Request.bound[name].data, array)
