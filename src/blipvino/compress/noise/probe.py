"""Running a joint graph on samples, and adding up what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import openvino as ov

from blipvino.arrays import DoubleArray
from blipvino.compress.calibration import Inputs
from blipvino.compress.noise.joint import CHAINED, SUMS, Joint
from blipvino.compress.noise.node_pairs import CompressedOperation
from blipvino.machine.core import openvino_core
from blipvino.machine.number_formats import EXACT_SETTINGS
from blipvino.metrics.sqnr import Fidelity

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Measured:
    """What a probe has measured, over all samples.

    Attributes:
        operations: what compression touches, in the order in which the float graph computes them.
        introduced: the error of each by itself, on the float graph's values.
        accumulated: the error at each in the chain of compressed graphs; None where that was not measured.
        alone: the error of the graph's outputs on the float graphs' values; None as above.
        chained: the same in the chain; None as above.
    """

    operations: tuple[CompressedOperation, ...]
    introduced: tuple[Fidelity, ...]
    accumulated: tuple[Fidelity, ...] | None
    alone: Fidelity | None
    chained: Fidelity | None


class Probe:
    """A joint graph, compiled for batches of one.

    Args:
        joint: the graph.
        shapes: of its inputs, by name; those of the chain follow.
    """

    def __init__(self, joint: Joint, shapes: Mapping[str, ov.PartialShape]) -> None:
        self._joint = joint
        names = [port.get_any_name() for port in joint.model.inputs]
        joint.model.reshape({name: shapes[name.removeprefix(CHAINED)] for name in names})
        # No 8-bit kernels: the noise is to be that of the numbers. With them OpenVINO 2026.4 also computes zeros where
        # a float graph and a quantized one share keys and values.
        compiled = openvino_core().compile_model(joint.model, "CPU", dict(EXACT_SETTINGS))
        self._request = compiled.create_infer_request()
        self._inputs = names
        self._outputs = [port.get_any_name() for port in compiled.outputs]
        self._sums: DoubleArray = np.zeros((0, 4))

    def run(self, inputs: Inputs) -> dict[str, npt.NDArray[np.generic]]:
        """Measure one sample; inputs that the graph does not have are passed over. Returns what it keeps, by name."""
        self._request.infer({name: inputs[name] for name in self._inputs}, share_outputs=True)
        made = {name: np.array(self._request.get_tensor(name).data) for name in self._outputs}
        if SUMS in made:
            sums = made.pop(SUMS).astype(np.float64)
            self._sums = self._sums + sums if len(self._sums) else sums
        return made

    def measured(self) -> Measured:
        """The sums over the samples so far."""
        rows = [Fidelity(*row) for row in self._sums.tolist()]
        count, outputs = len(self._joint.operations), self._joint.outputs
        introduced, rest = tuple(rows[:count]), rows[count:]
        if not rest:
            return Measured(self._joint.operations, introduced, None, None, None)
        accumulated, alone, chained = rest[:count], rest[count:][:outputs], rest[count:][outputs:]
        start = Fidelity()
        return Measured(self._joint.operations, introduced, tuple(accumulated), sum(alone, start), sum(chained, start))
