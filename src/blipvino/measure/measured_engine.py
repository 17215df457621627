"""How a bundle that is measured is compiled."""

from __future__ import annotations

from blipvino.machine.host import ArithmeticOption
from blipvino.runtime.compiling.engine_options import EngineOptions, Precision


def measured_engine(precision: Precision = "auto", arithmetic: ArithmeticOption = "auto") -> EngineOptions:
    """The options of the engine that a measurement runs.

    Args:
        precision: of the arithmetic that is not quantized.
        arithmetic: of what is. If one is asked for, its error is what is to be measured: the self-test is off, so that
            graphs that fall short of it are run all the same.
    """
    return EngineOptions(precision, arithmetic=arithmetic, selftest="warn" if arithmetic == "auto" else "off")
