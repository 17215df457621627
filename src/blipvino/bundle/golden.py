"""Golden samples: inputs of every graph and what the float model makes of them, kept in a bundle for its self-test.

``selftest.safetensors`` holds them; what `optimize` expects of the bundle's own graphs is in its metadata. The pictures
are generated, never the user's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from blipvino.arrays import AnyArray, FloatArray, IntArray, Pixels
from blipvino.errors import BundleError

GOLDEN_FILE = "selftest.safetensors"
FORMAT = 1
NOISE_OF_A_BIT = 4.0
"""Times as much noise has what is rounded in steps twice as large."""
SAMPLED = 16_384
"""Numbers of an output that are kept, about; those of all layers' keys and values together."""
LONGEST = 8
"""Tokens of the golden question, at most: as many as the shortest text that graphs are compiled for."""

Results = list[FloatArray]
"""What a graph makes in each run of a case: of each picture, or at each step of a text; ``[K]`` each."""


@dataclass(frozen=True)
class GoldenInputs:
    """What the graphs are given.

    Attributes:
        pixels: uint8 ``[N, size, size, 3]``.
        image_embeds: float32 ``[1, S, D]``, of the first picture, each row rounded to 8 bits: they take less room.
        input_ids: a question, int64 ``[1, T]``; None where no graph reads any.
        question_states: float32 ``[1, T, D]``; None where no graph makes any.
        texts: the float model's own tokens, start token first, int64 ``[L]``: over the "image", over the "question".
    """

    pixels: Pixels
    image_embeds: FloatArray
    input_ids: IntArray | None = None
    question_states: FloatArray | None = None
    texts: Mapping[str, IntArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """What a case comes to by the bundle's own graphs, computed as their numbers say, without 8-bit kernels.

    Attributes:
        noise_to_signal: of each run.
        disagreement: of texts: how much less likely, in nats, the float model finds the bundle's likeliest token than
            its own, at the worst step; 0 where they agree, and for other graphs.
    """

    noise_to_signal: tuple[float, ...]
    disagreement: float = 0.0


@dataclass(frozen=True)
class Golden:
    """All of it.

    Attributes:
        inputs: of the graphs.
        results: of the float model, by case (see `blipvino.runtime.compiling.selftest.cases`).
        expected: of the bundle's graphs, by case.
        expected_in_7_bits: likewise, with activations rounded to 7 bits; None where no graph has quantized ones, empty
            in bundles of before.
        scales: of the outputs that cross to another graph in 8 bits, by name.
    """

    inputs: GoldenInputs
    results: Mapping[str, Results]
    expected: Mapping[str, Expected]
    scales: Mapping[str, float] = field(default_factory=dict)
    expected_in_7_bits: Mapping[str, Expected] | None = field(default_factory=dict)

    def expectation(self, case: str, in_7_bits: bool) -> Expected:
        """What is expected of a case; of an older bundle in 7 bits no more than theory has it."""
        if not in_7_bits or self.expected_in_7_bits is None:
            return self.expected[case]
        if case in self.expected_in_7_bits:
            return self.expected_in_7_bits[case]
        known = self.expected[case]
        return replace(known, noise_to_signal=tuple(NOISE_OF_A_BIT * ratio for ratio in known.noise_to_signal))

    def save(self, path: Path) -> None:
        """Write the file."""
        inputs = self.inputs
        integers, scale = _in_8_bits(inputs.image_embeds)
        tensors: dict[str, AnyArray] = {
            "pixels": inputs.pixels,
            "image_embeds": integers,
            "image_embeds.scale": scale,
        }
        if inputs.input_ids is not None:
            tensors["input_ids"] = inputs.input_ids
        if inputs.question_states is not None:
            tensors["question_states"] = inputs.question_states
        tensors |= {f"text.{name}": tokens for name, tokens in inputs.texts.items()}
        tensors |= {f"result.{case}": _in_half(np.stack(rows)) for case, rows in self.results.items()}
        narrow = self.expected_in_7_bits
        metadata = {
            "format": FORMAT,
            "expected": {case: asdict(each) for case, each in self.expected.items()},
            "expected_in_7_bits": None if narrow is None else {case: asdict(narrow[case]) for case in narrow},
            "scales": dict(self.scales),
        }
        # One entry: safetensors writes several in no certain order, and the same samples are to be the same file.
        path.write_bytes(save(tensors, {"blipvino": json.dumps(metadata)}))

    @classmethod
    def load(cls, path: Path) -> Golden:
        """Read the file.

        Raises:
            BundleError: it is missing, damaged, or of a newer format.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = json.loads((file.metadata() or {})["blipvino"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if int(metadata["format"]) > FORMAT:
                raise BundleError(
                    f"{path}: a self-test of format {metadata['format']}, known is {FORMAT}: upgrade blipvino"
                )
            expected, narrow = _expectations(metadata["expected"]), metadata.get("expected_in_7_bits", {})
            in_7_bits = None if narrow is None else _expectations(narrow)
            inputs = GoldenInputs(
                pixels=tensors["pixels"],
                image_embeds=tensors["image_embeds"].astype(np.float32) * tensors["image_embeds.scale"],
                input_ids=tensors.get("input_ids"),
                question_states=tensors.get("question_states"),
                texts=_below("text.", tensors),
            )
            scales = {name: float(scale) for name, scale in metadata["scales"].items()}
            results = {case: list(rows.astype(np.float32)) for case, rows in _below("result.", tensors).items()}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{path}: cannot be read as golden samples ({error}); run `blipvino optimize` again"
            ) from error
        return cls(inputs, results, expected, scales, in_7_bits)


def rounded_to_8_bits(image_embeds: FloatArray) -> FloatArray:
    """Image embeddings as they come back from the file."""
    integers, scale = _in_8_bits(image_embeds)
    return integers.astype(np.float32) * scale


def sampled(arrays: list[AnyArray], count: int = SAMPLED) -> FloatArray:
    """Some elements of arrays, from all channels and positions of each alike: float32 ``[K]``."""
    return np.concatenate([_strided(array, max(1, count // len(arrays))) for array in arrays]).astype(np.float32)


def _expectations(content: Mapping[str, Any]) -> dict[str, Expected]:
    """What is expected of each case, as the file has it."""
    return {
        case: Expected(tuple(map(float, each["noise_to_signal"])), float(each["disagreement"]))
        for case, each in content.items()
    }


def _in_8_bits(rows: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Integers and the scale of each row."""
    scale = np.maximum(np.abs(rows).max(axis=-1, keepdims=True), np.float32(1e-30)) / np.float32(127)
    return np.rint(rows / scale).astype(np.int8), scale.astype(np.float32)


def _in_half(values: FloatArray) -> AnyArray:
    """In half precision, where that holds them."""
    return values.astype(np.float16) if np.abs(values).max() < np.finfo(np.float16).max else values


def _strided(array: AnyArray, count: int) -> AnyArray:
    stride = max(1, array.size // count)
    while any(math.gcd(stride, length) > 1 for length in array.shape if length > 1):
        stride += 1  # a stride that shares no factor with any length meets every index of every axis
    return array.reshape(-1)[::stride]


def _below(prefix: str, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
