"""Tensors of the Open Inference Protocol, in JSON or as bytes behind it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from blipvino.arrays import FloatArray
from blipvino.serve.problems import RequestError

_MOST_INPUTS, _MOST_DIMENSIONS, _MOST_VALUES = 8, 8, 100_000
_SIZE = "binary_data_size"
_LENGTH_BYTES = 4
Values = dict[str, list[str | bytes]]
"""Of inputs, by name."""


class _Lax(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, protected_namespaces=())


class InputTensor(_Lax):
    """An input of a request."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = None


class WantedOutput(_Lax):
    """An output that a request asks for."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferenceForm(_Lax):
    """``POST /v2/models/{name}/infer``."""

    id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[WantedOutput] = Field(default_factory=list)


@dataclass(frozen=True)
class OutputTensor:
    """An output: texts, or numbers in float32.

    Attributes:
        name: of it.
        values: of it.
    """

    name: str
    values: Sequence[str] | FloatArray

    def described(self) -> dict[str, Any]:
        """Its name, type and shape."""
        is_text = not isinstance(self.values, np.ndarray)
        shape = [len(self.values)] if is_text else list(np.shape(self.values))
        return {"name": self.name, "datatype": "BYTES" if is_text else "FP32", "shape": shape}

    def packed(self) -> bytes:
        """Its values, as bytes."""
        if isinstance(self.values, np.ndarray):
            return self.values.astype("<f4").tobytes()
        return b"".join(_packed(text.encode()) for text in self.values)

    def listed(self) -> list[Any]:
        """Its values, for JSON."""
        return self.values.ravel().tolist() if isinstance(self.values, np.ndarray) else list(self.values)


def read_inputs(form: InferenceForm, behind: bytes) -> Values:
    """The values of a request's inputs, which are all of type BYTES: text where they came in JSON.

    The form has them no longer.

    Args:
        form: the request.
        behind: bytes after its JSON.

    Raises:
        RequestError: an input is of another type, has not as many values as its shape says, or is there twice.
    """
    values: Values = {}
    if len(form.inputs) > _MOST_INPUTS:
        raise _refused("inputs", f"are {len(form.inputs)}, expected at most {_MOST_INPUTS}")
    for tensor in form.inputs:
        if tensor.name in values:
            raise _refused(tensor.name, "is there twice")
        if tensor.datatype != "BYTES":
            raise _refused(tensor.name, f"is of type {tensor.datatype[:20]}, expected BYTES")
        size = tensor.parameters.get(_SIZE)
        if size is None:
            listed: list[Any] = tensor.data or []
            if not all(isinstance(value, str) for value in listed):
                raise _refused(tensor.name, "has values that are no strings")
        else:
            if not isinstance(size, int) or not 0 <= size <= len(behind):
                raise _refused(tensor.name, f"its {_SIZE} is not that of what was sent")
            listed, behind = _unpacked(tensor.name, behind[:size]), behind[size:]
        if len(tensor.shape) > _MOST_DIMENSIONS:  # whose product alone could take hours
            raise _refused(tensor.name, f"has {len(tensor.shape)} dimensions, expected at most {_MOST_DIMENSIONS}")
        if min(tensor.shape, default=1) < 0 or math.prod(tensor.shape) != len(listed):
            raise _refused(tensor.name, f"has {len(listed)} values, but its shape is {tensor.shape[:8]}")
        values[tensor.name] = listed
    form.inputs.clear()
    return values


def response_body(head: dict[str, Any], outputs: Sequence[OutputTensor], form: InferenceForm) -> tuple[bytes, int]:
    """A response, and how many bytes of it are JSON.

    Args:
        head: what it says beside its outputs.
        outputs: that were asked for.
        form: which says how.
    """
    wanted = {output.name: output.parameters.get("binary_data") for output in form.outputs}
    described, behind = list[dict[str, Any]](), bytearray()
    for output in outputs:
        as_bytes = wanted.get(output.name)
        if as_bytes is None:
            as_bytes = form.parameters.get("binary_data_output", False)
        if as_bytes:
            packed = output.packed()
            behind += packed
            described.append({**output.described(), "parameters": {_SIZE: len(packed)}})
        else:
            described.append({**output.described(), "data": output.listed()})
    content = json.dumps({**head, "outputs": described}, ensure_ascii=False).encode()
    return content + bytes(behind), len(content)


def _packed(content: bytes) -> bytes:
    return len(content).to_bytes(_LENGTH_BYTES, "little") + content


def _unpacked(name: str, content: bytes) -> list[bytes]:
    values, at = list[bytes](), 0
    while at < len(content):
        if len(values) == _MOST_VALUES:  # a body has room for millions, which take seconds
            raise _refused(name, f"has more than {_MOST_VALUES:,} values, which no request needs")
        end = at + _LENGTH_BYTES + int.from_bytes(content[at : at + _LENGTH_BYTES], "little")
        if end > len(content) or at + _LENGTH_BYTES > len(content):
            raise _refused(name, "its bytes end in the middle of a value")
        values.append(content[at + _LENGTH_BYTES : end])
        at = end
    return values


def _refused(name: str, reason: str) -> RequestError:
    return RequestError(422, "invalid_tensor", f"input {name[:40]!r} {reason}", param=name)
