"""What there is to try for a graph, in the order in which it is worth trying.

Each function is a generator that yields a treatment, is sent what came of it, and leaves out what that makes pointless.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from blipvino.graphs.specs import GRAPHS, Options
from blipvino.recipe import FP16, PTQ_INT8, WEIGHTS_INT4, WEIGHTS_INT8, Treatment

ALPHAS = (0.75, 0.5)
"""Of SmoothQuant, after its default of 0.95: less of an outlier is left to the activations."""
GENTLER_RANGES: tuple[Options, ...] = (
    {"activation_range": "minmax"},
    {"activation_range": "quantile"},
    {"bias_correction": "full"},
)
"""Other options of quantized activations, cheapest first."""
RATIOS = (0.8, 0.5)
"""Shares of the layers that get 4 bits when not all can."""
GROUP_SIZES = (128, -1)
"""Of 4-bit weights, larger than the default: fewer scales."""

RankLayers = Callable[[Treatment], Sequence[str]]
"""Names of a graph's nodes, those first whose quantization by this treatment does most damage."""


@dataclass(frozen=True)
class CandidateResult:
    """What came of a candidate.

    Attributes:
        accepted: it is the best so far now.
        drop: points that it loses; None where that was not measured, since it would gain nothing.
    """

    accepted: bool
    drop: float | None


def gentler(default: Treatment, damage: float, rank_layers: RankLayers) -> Generator[Treatment, float, None]:
    """Treatments that may do less damage than a graph's default, fastest first, down to FP16.

    For quantized activations: SmoothQuant's alpha, ranges and bias correction, each kept if it helped; then, with
    these, the worst layers in float, twice as many at each step up to half of them; then 8-bit weights alone.

    It is sent the drop of each when the graph is compressed alone, infinite where that could not be built.

    Args:
        default: the graph's.
        damage: the drop of the default.
        rank_layers: asked at most once.
    """
    if default.method == "ptq_int8":
        best, least = default, damage
        for alpha in ALPHAS:
            drop = yield replace(default, smooth_quant_alpha=alpha)
            if drop >= least:
                break  # the next one goes further the same way
            best, least = replace(default, smooth_quant_alpha=alpha), drop
        for change in GENTLER_RANGES:
            drop = yield replace(best, **change)
            if drop < least:
                best, least = replace(best, **change), drop
        layers = rank_layers(best) if least < math.inf else ()  # what cannot be built has no layers to rank
        count = 1
        while count <= len(layers) // 2:
            yield replace(best, ignored=tuple(layers[:count]))
            count *= 2
    if default.method != "weights_int8":
        yield WEIGHTS_INT8
    yield FP16


def faster_or_smaller(graph: str, current: Treatment) -> Generator[Treatment, CandidateResult, None]:
    """Treatments that may be faster or smaller than a graph's present one, which each of them would replace."""
    if current.method != "weights_int4":
        yield from _int4(graph)
    if not GRAPHS[graph].has_state and current.method != "ptq_int8":
        yield replace(PTQ_INT8, activation_range="minmax")  # `answer_kv` reads images and questions: the mean fits none
    if current.method == "ptq_int8":
        yield replace(current, preset="performance")
    if current.method != "weights_int8":
        yield WEIGHTS_INT8
    if current.method != "fp16":
        yield FP16  # where 16-bit arithmetic is fast and quantizing costs more than it saves


def _int4(graph: str) -> Generator[Treatment, CandidateResult, None]:
    """4-bit weights: chosen without data, then on data; where not all layers can, a part of them."""
    verdict = yield WEIGHTS_INT4
    if verdict.drop is None:
        return  # neither faster nor smaller, however the weights are chosen
    if verdict.accepted:
        yield from _larger_groups(WEIGHTS_INT4)
        return
    best, least = WEIGHTS_INT4, verdict.drop
    for method in GRAPHS[graph].int4_methods:
        candidate = replace(WEIGHTS_INT4, **method)
        verdict = yield candidate
        if verdict.accepted:
            return
        if verdict.drop is not None and verdict.drop < least:
            best, least = candidate, verdict.drop
    for ratio in RATIOS:
        verdict = yield replace(best, ratio=ratio)
        if verdict.accepted or verdict.drop is None:
            return


def _larger_groups(accepted: Treatment) -> Generator[Treatment, CandidateResult, None]:
    for size in GROUP_SIZES:
        verdict = yield replace(accepted, group_size=size)
        if verdict.drop is not None and not verdict.accepted:
            return
