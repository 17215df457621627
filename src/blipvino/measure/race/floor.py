"""How fast a graph could be at best on a machine: its arithmetic at the measured peak, its reads at the bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

from blipvino.checkpoint.config import TextConfig, VisionConfig
from blipvino.measure.race.speed_results import SpeedResults


@dataclass(frozen=True)
class Floor:
    """What one graph of one contender took, and what it would take at the machine's limit.

    Attributes:
        graph: "vision" or "step".
        contender: its name.
        measured: seconds.
        floor: seconds.
        limit: what sets the floor, for people.
    """

    graph: str
    contender: str
    measured: float
    floor: float
    limit: str

    @property
    def ratio(self) -> float:
        """How many times the floor it took."""
        return self.measured / self.floor


def vision_macs(config: VisionConfig) -> int:
    """Multiply-accumulates of the vision transformer for one image.

    With S positions, width D, inner width I, patch size P: ``3 P^2 D`` for each of the S - 1 patches, and a layer
    ``4 S D^2`` (query, key, value, output), ``2 S^2 D`` (scores, context) and ``2 S D I`` (the two inner matrices).
    """
    positions, width, inner = config.num_positions, config.hidden_size, config.intermediate_size
    patches = (positions - 1) * 3 * config.patch_size**2 * width
    layer = 4 * positions * width**2 + 2 * positions**2 * width + 2 * positions * width * inner
    return patches + config.num_hidden_layers * layer


def cross_kv_values(vision: VisionConfig, text: TextConfig) -> int:
    """Numbers that a decoding step over image embeddings reads as cross-attention keys and values."""
    return 2 * text.num_hidden_layers * vision.num_positions * text.hidden_size


def floors(results: SpeedResults) -> tuple[Floor, ...]:
    """The floors of `vision` and of a decoding step, of each of our contenders whose parts were timed.

    `vision` is bound by arithmetic, in INT8 where the recipe quantizes it and 8-bit kernels run it. A step of one token
    is bound by memory: it reads the graph's weights once, and the cross-attention keys and values, which are bf16 where
    the CPU has it.
    """
    found = []
    native = "bf16" if "bf16" in results.peaks.macs else "f32"
    in_float = results.machine.quantized in ("float", "simulated", "simulated-int7")
    for name, weights in results.facts.step_weights.items():
        parts = results.find("parts", name)
        if parts is None:
            continue
        kind = native if in_float or name.endswith("-none") else "int8"
        bound = results.facts.vision_macs / results.peaks.macs[kind]
        limit = f"{results.facts.vision_macs / 1e9:.1f} GMAC at {results.peaks.macs[kind] / 1e9:.0f} GMAC/s ({kind})"
        found.append(Floor("vision", name, parts.part_medians["vision"], bound, limit))
        read = weights + results.facts.cross_kv_values * (2 if native == "bf16" else 4)
        limit = f"{read / 1e6:.0f} MB at {results.peaks.bandwidth / 1e9:.1f} GB/s"
        found.append(Floor("step", name, parts.part_medians["step"], read / results.peaks.bandwidth, limit))
    return tuple(found)
