"""What ``ov_config`` means: OpenVINO's settings by name, as `EngineOptions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from blipvino.checks import shown
from blipvino.errors import InputError
from blipvino.runtime.compiling.engine_options import EngineOptions, Mode, Precision

_SETTINGS = ("CACHE_DIR", "INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT", "PERFORMANCE_HINT")
_OWN = ("NUM_STREAMS", "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE", "EXECUTION_MODE_HINT")
"""Settings that are chosen for each graph: what is given for them is what is there already, or would cost accuracy."""


def engine_options(device: str, ov_config: Mapping[str, Any] | None) -> EngineOptions:
    """How a model's graphs are compiled.

    Args:
        device: OpenVINO's name of it.
        ov_config: settings by OpenVINO's names: ``PERFORMANCE_HINT`` ("LATENCY", "THROUGHPUT"),
            ``INFERENCE_PRECISION_HINT`` ("f32", "bf16"), ``INFERENCE_NUM_THREADS``, and ``CACHE_DIR``, the folder for
            compiled graphs.

    Raises:
        InputError: another setting, or a value that a setting does not have.
    """
    settings = {_name(name): value for name, value in (ov_config or {}).items()}
    unknown = [name for name in settings if name not in _SETTINGS]
    if unknown:
        why = "is chosen for each graph" if unknown[0] in _OWN else "is no setting of blipvino's"
        raise InputError(f"ov_config: {unknown[0]} {why}; expected some of {', '.join(_SETTINGS)}")
    hint = str(settings.get("PERFORMANCE_HINT", "LATENCY")).rpartition(".")[2].lower()
    precision = str(settings.get("INFERENCE_PRECISION_HINT", "auto")).lower()
    threads = settings.get("INFERENCE_NUM_THREADS")
    if isinstance(threads, str):
        if not threads.isdecimal():
            raise InputError(f"ov_config: INFERENCE_NUM_THREADS is {shown(threads)}, expected a number")
        threads = int(threads)
    return EngineOptions(
        precision=cast(Precision, precision),
        cache=settings.get("CACHE_DIR") or None,
        threads=threads,
        mode=cast(Mode, hint),
        device=device,
    )


def _name(given: object) -> str:
    """A setting's name: itself, or that of one of OpenVINO's own objects."""
    return str(given() if callable(given) else given)
