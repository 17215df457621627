"""Ways to compute a graph on this host: which there are, and how a graph is changed for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import openvino as ov

from blipvino.graphs.arithmetic import in_7_bits, in_float, multiplies_many_rows, unpack_weights
from blipvino.graphs.convolutions import as_convolutions
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.joining import let_rows_join
from blipvino.graphs.specs import GRAPHS
from blipvino.machine.host import Arithmetic, Choice
from blipvino.runtime.compiling.engine_options import EngineOptions, Layers
from blipvino.runtime.compiling.sizes import ANY, Sizes, reshaped

SURGERY = 2
"""Counts the changes to what `Way.prepare` makes of a graph: compiled graphs of before are not used."""
KERNELS: tuple[Arithmetic, ...] = ("int8", "int7")
"""Arithmetics of 8-bit kernels."""
NARROW: tuple[Arithmetic, ...] = ("int7", "simulated-int7")
"""Arithmetics whose activations have 7 bits."""
_HANDING_OVER: tuple[Arithmetic, ...] = ("int8", "simulated")
"""Arithmetics of which keys and values cross from graph to graph in 8 bits."""


@dataclass(frozen=True)
class Way:
    """One way to compute a graph.

    Attributes:
        arithmetic: of what is quantized.
        options: the engine's, with the precision of what is not.
        layers: how 8-bit linear layers are computed.
    """

    arithmetic: Arithmetic
    options: EngineOptions
    layers: Layers = "matmul"

    @property
    def label(self) -> str:
        """What to call it beside others."""
        if self.arithmetic not in KERNELS:
            return self.arithmetic
        return "8-bit convolutions" if self.layers == "convolution" else "8-bit matmuls"

    def properties(self, name: str, source_width: int) -> dict[str, Any]:
        """OpenVINO's settings for a graph."""
        chosen = self.options.properties()
        if self.options.precision == "f32" or self.arithmetic != "int8":
            chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"  # weights may be 8-bit, activations stay exact
        elif GRAPHS[name].long_rows:
            # One scale for all of a position's activations: in long rows faster than OpenVINO's default, one for 32.
            chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(source_width)
        if self.arithmetic in ("simulated", "simulated-int7"):
            chosen["LP_TRANSFORMS_MODE"] = "NO"  # no 8-bit kernels
        return chosen

    def prepare(self, model: ov.Model, name: str, sizes: Sizes, chosen: Arithmetic) -> None:
        """Change a graph for this way, and for these sizes, in place.

        Args:
            model: the graph.
            name: which one it is.
            sizes: of its open dimensions.
            chosen: the arithmetic of the whole bundle, which decides how keys and values cross.
        """
        if chosen not in _HANDING_OVER:
            take_back_handover(model)
        if self.arithmetic == "float":
            in_float(model)
        elif self.arithmetic in NARROW:
            in_7_bits(model)
        reshaped(model, name, sizes)
        if GRAPHS[name].has_state and sizes.rows == ANY:
            let_rows_join(model)
        if self.arithmetic in KERNELS and self.layers == "convolution":
            as_convolutions(model)
        if self.arithmetic == "float" and multiplies_many_rows(model):
            unpack_weights(model)


@dataclass(frozen=True)
class Ways:
    """The ways to compute a graph.

    Attributes:
        candidates: the one that is used where nothing is measured, and those that may be faster. All add the
            same products of 8-bit numbers, and differ in how they round what follows: a text that is chosen stays.
        fallbacks: for when none of them passes its self-test.
    """

    candidates: tuple[Way, ...]
    fallbacks: tuple[Way, ...]

    @property
    def all(self) -> tuple[Way, ...]:
        """Candidates first."""
        return (*self.candidates, *self.fallbacks)


def ways_of(options: EngineOptions, choice: Choice, quantized: bool, computes_in_bf16: bool) -> Ways:
    """The ways to compute a graph.

    Args:
        options: the engine's.
        choice: the arithmetic of the bundle here.
        quantized: whether linear layers read quantized activations. Of a graph without there is nothing to choose;
            where activations have 7 bits it is computed in float.
        computes_in_bf16: whether what is not quantized runs in bfloat16.
    """
    in_floats = Way("float", options)
    candidates = [Way(choice.arithmetic, options)]
    if choice.arithmetic in KERNELS and quantized:
        candidates = [Way(choice.arithmetic, options, layers) for layers in _layers(options, choice)]
    elif choice.arithmetic in NARROW and not quantized:
        candidates = [in_floats]
    fallbacks = [] if in_floats in candidates else [in_floats]
    if computes_in_bf16:
        fallbacks.append(Way("float", replace(options, precision="f32")))
    return Ways(tuple(candidates), tuple(fallbacks))


def ways_elsewhere(options: EngineOptions) -> Ways:
    """The ways to compute a graph on another device than the CPU: as it is, else in float."""
    as_it_is, in_floats = Way("int8", options), Way("float", options)
    return Ways((in_floats,), ()) if options.arithmetic == "float" else Ways((as_it_is,), (in_floats,))


def _layers(options: EngineOptions, choice: Choice) -> tuple[Layers, ...]:
    """The one that is asked for, or both, the likely faster one first."""
    if options.layers != "auto":
        return (options.layers,)
    return ("convolution", "matmul") if choice.arithmetic == "int7" else ("matmul", "convolution")
