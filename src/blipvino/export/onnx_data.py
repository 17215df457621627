"""Where the tensors of ONNX models are kept: in the model's file, or in a file of data beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto

from blipvino.arrays import AnyArray

SMALL = 1024
"""Bytes below which a tensor stays in the model's file: shapes, axes, scales of a whole tensor."""
_ALIGNMENT = 64
ELEMENT_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
}
_FOUR_BITS = {TensorProto.INT8: TensorProto.INT4, TensorProto.UINT8: TensorProto.UINT4}


class TensorStore(Protocol):
    """Keeps the content of tensors."""

    def keep(self, tensor: Any, content: bytes) -> None:
        """Give a `TensorProto`, which has its name, type and shape, its content."""
        ...


class InModel:
    """Tensors in the model itself, which may have 2 GB."""

    def keep(self, tensor: Any, content: bytes) -> None:
        """Put the content into the tensor."""
        tensor.raw_data = content


class ExternalData:
    """Tensors in a file of their own, which several models may refer to: what is equal is there once.

    Args:
        path: of the file, beside the models'. It is written as tensors come.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[bytes, int] = {}
        path.touch()

    def keep(self, tensor: Any, content: bytes) -> None:
        """Append the content, if it is not there already, and let the tensor refer to it."""
        if len(content) < SMALL:
            tensor.raw_data = content
            return
        digest = hashlib.sha256(content).digest()
        if digest not in self._offsets:
            self._offsets[digest] = self._append(content)
        entries = {"location": self._path.name, "offset": self._offsets[digest], "length": len(content)}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        tensor.data_location = TensorProto.EXTERNAL

    def _append(self, content: bytes) -> int:
        with self._path.open("ab") as file:
            padding = -file.tell() % _ALIGNMENT
            file.write(b"\0" * padding)
            offset = file.tell()
            file.write(content)
        return offset


def make_tensor(name: str, values: AnyArray, bits: int, store: TensorStore) -> Any:
    """A `TensorProto` of an array.

    Args:
        name: of the tensor.
        values: of a type in `ELEMENT_TYPES`.
        bits: 4 packs two values of int8 or uint8 into a byte, the first one low.
        store: keeps the content.
    """
    kind = ELEMENT_TYPES[values.dtype]
    flat = np.ascontiguousarray(values)
    tensor = TensorProto(name=name, data_type=_FOUR_BITS[kind] if bits == 4 else kind, dims=values.shape)
    store.keep(tensor, _packed(flat.ravel()) if bits == 4 else flat.tobytes())
    return tensor


def _packed(values: AnyArray) -> bytes:
    nibbles = values.astype(np.uint8) & 15
    low, high = nibbles[::2], nibbles[1::2]
    packed = low.copy()
    packed[: len(high)] |= high << 4
    return packed.tobytes()
