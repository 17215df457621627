"""How a bundle that is measured is compiled."""

from __future__ import annotations

from blipvino.machine.devices import CPU
from blipvino.machine.host import ArithmeticOption
from blipvino.runtime.compiling.engine_options import EngineOptions, Precision
from blipvino.runtime.compiling.selftest import SelfTestMode


def measured_engine(
    precision: Precision = "auto", arithmetic: ArithmeticOption = "auto", device: str = CPU
) -> EngineOptions:
    """The options of the engine that a measurement runs.

    Args:
        precision: of the arithmetic that is not quantized.
        arithmetic: of what is. If one is asked for, its error is what is to be measured: the self-test is off, so that
            graphs that fall short of it are run all the same.
        device: that it runs on.
    """
    selftest: SelfTestMode = "warn" if arithmetic == "auto" else "off"
    return EngineOptions(precision, arithmetic=arithmetic, selftest=selftest, device=device)
