"""The speed that the project set itself as its goal, by class of machine, and whether a run reached it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from blipvino.machine.cpu_classes import MachineClass
from blipvino.measure.race.contenders import FP16, INT8, PREFIX
from blipvino.measure.race.floor import Floor, floors
from blipvino.measure.race.speed_results import SpeedResults
from blipvino.text.tables import TextTable

TUTORIAL = "tutorial-int8"
ORIGINAL = "transformers-fp32"
PEER = "onnxruntime-int8"

Measure = Callable[[SpeedResults], float | None]
"""A figure of a run; None where the run did not measure it."""
Cases = Callable[[SpeedResults], Iterator[tuple[float, str]]]
"""Figures of a run of which the largest counts, each with what it is of."""


@dataclass(frozen=True)
class Target:
    """A goal.

    Attributes:
        work: what is done.
        goal: the figure's name, without its threshold.
        threshold: the least or, unless ``at_least``, the most that it may be.
        unit: of the threshold.
        measure: how the figure comes from the results.
        at_least: more is better.
        where: what the figure is of, where it is the worst of several.
    """

    work: str
    goal: str
    threshold: float
    unit: str
    measure: Measure
    at_least: bool = True
    where: Callable[[SpeedResults], str] | None = None


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured."""

    target: Target
    measured: float | None
    where: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it was reached; None where it was not measured."""
        if self.measured is None:
            return None
        return (
            self.measured >= self.target.threshold if self.target.at_least else self.measured <= self.target.threshold
        )


def evaluate(results: SpeedResults) -> tuple[Verdict, ...]:
    """All targets of the machine's class, in order."""
    return tuple(
        Verdict(target, target.measure(results), target.where(results) if target.where else "")
        for target in targets_of(results.machine.machine_class)
    )


def targets_of(machine_class: MachineClass | None) -> tuple[Target, ...]:
    """The targets of a class."""
    return AVX2_TARGETS if machine_class == "avx2" else TARGETS


def targets_tables(results: SpeedResults) -> tuple[TextTable, ...]:
    """A table of the project's goals, those that this run measured; none where it measured none."""
    verdicts = [verdict for verdict in evaluate(results) if verdict.measured is not None]
    rows = [(v.target.work, v.target.goal, _threshold(v), _measured(v), "met" if v.met else "missed") for v in verdicts]
    columns = ("work", "figure", "target", "measured", "")
    return (TextTable("Targets", columns, tuple(rows), numbers=False),) if rows else ()


def _threshold(verdict: Verdict) -> str:
    target = verdict.target
    return f"{'≥' if target.at_least else '≤'} {target.threshold:g} {target.unit}"


def _measured(verdict: Verdict) -> str:
    unit = verdict.target.unit
    figure = f"{verdict.measured:.0f} {unit}" if unit == "MB" else f"{verdict.measured:.2f} {unit}"
    return f"{figure} ({verdict.where})" if verdict.where else figure


def _speed_up(work: str, over: str, size: int = 1) -> Measure:
    """How many times faster ours is, median over median."""

    def measure(results: SpeedResults) -> float | None:
        theirs, ours = results.find(work, over, size), results.find(work, INT8, size)
        return None if theirs is None or ours is None else theirs.median / ours.median

    return measure


def _speed_up_over_peer(work: str, size: int = 1) -> Measure:
    """Likewise over ONNX Runtime, but not where ``ONEDNN_MAX_CPU_ISA`` limits ours alone."""

    def measure(results: SpeedResults) -> float | None:
        return None if results.machine.limit else _speed_up(work, PEER, size)(results)

    return measure


def _over_floor(graph: str) -> Measure:
    def measure(results: SpeedResults) -> float | None:
        return next((one.ratio for one in floors(results) if (one.graph, one.contender) == (graph, INT8)), None)

    return measure


def _launch_seconds(results: SpeedResults) -> float | None:
    launch = results.find_launch("caption", INT8, "warm")
    return None if launch is None else statistics.median(launch.seconds)


def _peak_megabytes(results: SpeedResults) -> float | None:
    peaks = [max(one.peak_rss) for one in results.launches if (one.contender, one.cache) == (INT8, "warm")]
    return max(peaks) / 1e6 if peaks else None


def _growth(work: str) -> Measure:
    """What the largest size costs apiece, beside the smallest."""

    def measure(results: SpeedResults) -> float | None:
        sizes = {one.size: one.median for one in results.series if (one.work, one.contender) == (work, INT8)}
        if len(sizes) < 2:
            return None
        first, last = min(sizes), max(sizes)
        return sizes[last] / last / (sizes[first] / first)

    return measure


def _late_token(results: SpeedResults) -> float | None:
    """What a token costs after the twentieth, beside one between the fifth and the twentieth."""
    sizes = {one.size: one.median for one in results.series if (one.work, one.contender) == ("tokens", INT8)}
    if not {5, 20, 40} <= set(sizes):
        return None
    early = (sizes[20] - sizes[5]) / 15
    return (sizes[40] - sizes[20]) / 20 / early if early > 0 else None


def _most(work: str, goal: str, threshold: float, cases: Cases) -> Target:
    """The worst case is the one that counts."""

    def measure(results: SpeedResults) -> float | None:
        return max((figure for figure, _ in cases(results)), default=None)

    def where(results: SpeedResults) -> str:
        return max(cases(results), default=(0.0, ""))[1]

    return Target(work, goal, threshold, "×", measure, at_least=False, where=where)


def _beside(base: str) -> Cases:
    """Each of our other contenders' medians beside the base's, at every work that both did as a whole."""

    def cases(results: SpeedResults) -> Iterator[tuple[float, str]]:
        for own in results.series:
            if not own.contender.startswith(PREFIX) or own.contender == base or own.work == "parts":
                continue
            other = results.find(own.work, base, own.size)
            if other is not None and own.seconds:
                yield own.median / other.median, f"{results.label(own.contender)}, {own.work}, {own.size}"

    return cases


def _steps(results: SpeedResults) -> Iterator[tuple[float, str]]:
    """Each recipe's decode step beside FP16's."""
    for step, fp16 in _step_pairs(results):
        yield step.measured / fp16.measured, results.label(step.contender)


def _steps_by_bytes(results: SpeedResults) -> Iterator[tuple[float, str]]:
    """The same, divided by the ratio of their floors, which is that of the bytes that they read."""
    for step, fp16 in _step_pairs(results):
        yield step.ratio / fp16.ratio, results.label(step.contender)


def _step_pairs(results: SpeedResults) -> Iterator[tuple[Floor, Floor]]:
    steps = [one for one in floors(results) if one.graph == "step"]
    fp16 = next((one for one in steps if one.contender == FP16), None)
    for step in steps:
        if fp16 is not None and step is not fp16:
            yield step, fp16


TARGETS = (
    Target("caption, 20 tokens, batch 1", "tutorial INT8 / ours", 4.5, "×", _speed_up("caption", TUTORIAL)),
    Target("caption, 20 tokens, batch 1", "transformers fp32 / ours", 9, "×", _speed_up("caption", ORIGINAL)),
    Target("captions, throughput at batch 16", "ours / tutorial INT8", 7, "×", _speed_up("caption", TUTORIAL, 16)),
    Target("VQA, 3 tokens, first question", "tutorial INT8 / ours", 2.2, "×", _speed_up("first answer", TUTORIAL)),
    Target("VQA, 3 tokens, first question", "transformers fp32 / ours", 6, "×", _speed_up("first answer", ORIGINAL)),
    Target("VQA, further question, same image", "tutorial INT8 / ours", 10, "×", _speed_up("further answer", TUTORIAL)),
    Target("decode step over an image, INT8 weights", "measured / memory floor", 1.5, "×", _over_floor("step"), False),
    Target("vision, INT8", "measured / INT8 floor", 1.25, "×", _over_floor("vision"), False),
    Target("process launch → first caption, warm cache", "seconds", 1.2, "s", _launch_seconds, False),
    Target("peak RSS, INT8 bundle, batch 1, warm cache", "megabytes", 550, "MB", _peak_megabytes, False),
    Target("growth with images in a batch", "largest / smallest, apiece", 1.1, "×", _growth("caption"), False),
    Target("growth with questions on an image", "largest / smallest, apiece", 1.1, "×", _growth("questions"), False),
    Target("growth with tokens", "tokens 21 to 40 / tokens 6 to 20, apiece", 1.2, "×", _late_token, False),
)
"""Where 8-bit arithmetic is exact."""
AVX2_TARGETS = (
    Target("caption, 20 tokens, batch 1", "ONNX Runtime INT8 / ours", 1.05, "×", _speed_up_over_peer("caption")),
    Target("captions, batch 4", "ONNX Runtime INT8 / ours", 1.05, "×", _speed_up_over_peer("caption", 4)),
    Target("captions, batch 16", "ONNX Runtime INT8 / ours", 1.05, "×", _speed_up_over_peer("caption", 16)),
    Target("VQA, 3 tokens, first question", "ONNX Runtime INT8 / ours", 1.05, "×", _speed_up_over_peer("first answer")),
    Target("VQA, further question", "ONNX Runtime INT8 / ours", 1.4, "×", _speed_up_over_peer("further answer")),
    Target("caption, 20 tokens, batch 1", "transformers fp32 / ours", 2.6, "×", _speed_up("caption", ORIGINAL)),
    Target("VQA, 3 tokens, first question", "transformers fp32 / ours", 2.1, "×", _speed_up("first answer", ORIGINAL)),
    _most("any work, any recipe", "ours / blipvino FP16, worst", 1.03, _beside(FP16)),
    _most("decode step over an image, any recipe", "ours / blipvino FP16, worst", 1, _steps),
    _most("decode step over an image, any recipe", "the same / their floors' ratio, worst", 1, _steps_by_bytes),
    _most("any work, any recipe and FP16", "ours / transformers fp32, worst", 1, _beside(ORIGINAL)),
)
"""Where activations have 7 bits, which 8-bit kernels without VNNI multiply exactly."""
