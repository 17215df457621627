"""Cross-attention keys and values on their way from the graph that projects them to the graph that reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov

from blipvino.arrays import AnyArray, Pixels

_ARRAY_TYPES: Mapping[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "bf16": np.dtype(np.uint16),
    "i8": np.dtype(np.int8),
}
"""How numpy holds a port's elements; it has no bfloat16, so those are kept as their bits."""


@dataclass(frozen=True)
class CrossKV:
    """Cross-attention keys and values of ``B`` sources, all layers, ready to be inputs of the graph that reads them.

    ``cross_key.i`` is ``[B, H, d, S]`` and ``cross_value.i`` ``[B, H, S, d]``: float32, or bfloat16 (as bits) where
    the CPU computes in it, or int8 where the reading graph is quantized.
    """

    tensors: Mapping[str, AnyArray]

    @property
    def batch(self) -> int:
        """How many sources there are."""
        return len(next(iter(self.tensors.values())))

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return next(iter(self.tensors.values())).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(array.nbytes for array in self.tensors.values())

    def __getitem__(self, sources: slice) -> CrossKV:
        """Some of the sources, in the same memory."""
        return CrossKV({name: array[sources] for name, array in self.tensors.items()})

    @classmethod
    def side_by_side(cls, sources: Sequence[CrossKV], arena: Arena) -> CrossKV:
        """Copies of several, one after the other, in an arena's memory."""
        first, count = sources[0].tensors, sum(source.batch for source in sources)
        shapes = {name: (count, *array.shape[1:]) for name, array in first.items()}
        tensors = arena.arrays(shapes, {name: array.dtype for name, array in first.items()})
        for name, array in tensors.items():
            np.concatenate([source.tensors[name] for source in sources], out=array)
        return cls(tensors)

    def read_only(self) -> CrossKV:
        """The same in the same memory, as arrays that cannot be written to."""
        arrays = {name: array.view() for name, array in self.tensors.items()}
        for array in arrays.values():
            array.flags.writeable = False
        return CrossKV(arrays)

    def bind(self, request: ov.InferRequest) -> None:
        """Make them the inputs of the graph that reads them, or the outputs of the one that makes them; no copy."""
        for name, array in self.tensors.items():
            tensor = request.get_tensor(name)
            request.set_tensor(name, _shared_tensor(array, tensor.element_type))

    def as_floats(self, positions: int, scales: Mapping[str, float]) -> list[AnyArray]:
        """Keys and values of the first so many positions as numbers, for comparison.

        Args:
            positions: that count; the others are padding.
            scales: of those that are int8, by name.
        """
        arrays = []
        for name, array in self.tensors.items():
            cut = array[..., :positions] if name.startswith("cross_key") else array[:, :, :positions]
            if cut.dtype == np.uint16:  # bfloat16, the upper half of a float32
                cut = (cut.astype(np.uint32) << 16).view(np.float32)
            elif cut.dtype == np.int8:
                cut = cut * np.float32(scales[name])
            arrays.append(cut)
        return arrays

    def copy(self, other: CrossKV) -> None:
        """Take over the values of another one of the same shapes."""
        for name, array in self.tensors.items():
            array[:] = other.tensors[name]

    def move(self, source: int, place: int) -> None:
        """Copy one source over another."""
        for array in self.tensors.values():
            array[place] = array[source]


def empty_cross_kv(outputs: Sequence[Any], sources: int, positions: int, arena: Arena | None = None) -> CrossKV:
    """Memory for the keys and values of ``B`` sources with ``S`` positions.

    Args:
        outputs: ports of the graph that makes them.
        sources: ``B``.
        positions: ``S``.
        arena: where they are put; by default memory of their own.
    """
    shapes = {port.get_any_name(): _shape(port, sources, positions) for port in outputs}
    types = {port.get_any_name(): _ARRAY_TYPES[port.get_element_type().get_type_name()] for port in outputs}
    return CrossKV((arena or Arena()).arrays(shapes, types))


def _shape(port: Any, sources: int, positions: int) -> tuple[int, ...]:
    """A port's shape with its sources (first) and positions (last of keys, last but one of values) filled in."""
    dims = [dim.get_length() if dim.is_static else None for dim in port.get_partial_shape()]
    dims[0], dims[3 if port.get_any_name().startswith("cross_key") else 2] = sources, positions
    return tuple(dim for dim in dims if dim is not None)


class Arena:
    """Memory that one user after the other takes whole; the system need not find and clear it anew each time."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def take(self, size: int) -> Pixels:
        """So many bytes, which overlap with those of every earlier call."""
        if self._memory.nbytes < size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size]

    def arrays(self, shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, np.dtype[Any]]) -> dict[str, AnyArray]:
        """Arrays of these shapes and types, one after the other, which overlap with those of every earlier call."""
        sizes = {name: math.prod(shape) * types[name].itemsize for name, shape in shapes.items()}
        memory, start, arrays = self.take(sum(sizes.values())), 0, dict[str, AnyArray]()
        for name, shape in shapes.items():
            arrays[name] = memory[start : start + sizes[name]].view(types[name]).reshape(shape)
            start += sizes[name]
        return arrays


def _shared_tensor(array: AnyArray, element: ov.Type) -> ov.Tensor:
    """An OpenVINO tensor over an array's own memory, which is contiguous and may be read-only."""
    return ov.Tensor(array, ov.Shape(array.shape), element)
