"""Whether the kernels that run here compute what a bundle's numbers say, on its golden samples.

A graph's noise-to-signal ratio, measured against the float model, may be `MARGIN` times what `optimize` expected, plus
what this host's arithmetic may add by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import openvino as ov

from blipvino.arrays import AnyArray, FloatArray
from blipvino.bundle.golden import LONGEST, Expected, Golden, GoldenInputs
from blipvino.bundle.manifest import OPTIMIZE_AGAIN
from blipvino.checkpoint.config import BlipConfig, TextConfig
from blipvino.errors import BundleError
from blipvino.graphs.specs import GRAPHS, GraphSpec, specs_of
from blipvino.metrics.sqnr import Fidelity
from blipvino.runtime.compiling.golden_runs import RequestOf, Runner
from blipvino.runtime.compiling.sizes import Sizes

MARGIN = 2.0
"""Times the expected noise: 3 dB."""
EXACT, ROUNDED, COARSE = 1e-6, 3e-4, 1e-3
"""Noise-to-signal ratios that arithmetics may add: 60 dB of float32, 35 dB of 8-bit kernels, 30 dB of bfloat16."""
TOLERANCE_OF_A_BIT = 4.1
"""Times the noise that 7 bits may have beside 8: four by theory."""
NATS = 1.0
"""What a text's worst disagreement may exceed the expected one by."""

SelfTestMode = Literal["warn", "strict", "off"]


@dataclass(frozen=True)
class Allowance:
    """What the arithmetic of a graph may add to what is expected of it.

    Attributes:
        noise_to_signal: by itself.
        in_7_bits: whether activations have 7 bits, of which less is expected.
    """

    noise_to_signal: float
    in_7_bits: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a self-test says of one graph.

    Attributes:
        graph: its name.
        case: what it was given: "vision", "answer.image", …
        sqnr: measured, in dB.
        expected: by `optimize`, in dB.
        required: the least that passes, in dB.
        disagreement: of texts: how much less likely, in nats, the float model finds the likeliest token that was
            computed here than its own, at the worst step.
        expected_disagreement: by `optimize`.
    """

    graph: str
    case: str
    sqnr: float
    expected: float
    required: float
    disagreement: float = 0.0
    expected_disagreement: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the graph may be used. What is no number does not pass."""
        return self.sqnr >= self.required and self.disagreement <= self.expected_disagreement + NATS

    @property
    def shortfall(self) -> str:
        """What is wrong, for people."""
        if self.sqnr >= self.required:
            return f"a token that the float model finds {self.disagreement:.1f} nats less likely"
        return f"{self.sqnr:.1f} dB of SQNR, {self.expected:.1f} expected and {self.required:.1f} required"

    def to_json(self) -> dict[str, Any]:
        """All fields, and whether it passed; JSON has no infinity or NaN, so these are null."""
        values = {name: _finite(value) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return {**values, "passed": self.passed}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`: null is infinite SQNR where the graph passed."""
        missing = math.inf if content["passed"] else math.nan
        values: dict[str, Any] = {
            name: missing if content[name] is None else content[name] for name in cls.__dataclass_fields__
        }
        return cls(**values)


class SelfTest:
    """The self-test of one bundle.

    Args:
        path: of its golden samples, which are read when they are first needed.
        digest: of their content.
        config: of the model.
    """

    def __init__(self, path: Path, digest: str, config: BlipConfig) -> None:
        self._path = path
        self.digest = digest
        self._config = config

    @cached_property
    def golden(self) -> Golden:
        """The golden samples.

        Raises:
            BundleError: they cannot be read, or are of another model.
        """
        golden = Golden.load(self._path)
        if not (_inputs_fit(golden.inputs, self._config) and _results_fit(golden, self._config)):
            raise BundleError(f"{self._path}: golden samples of another model; {OPTIMIZE_AGAIN}")
        return golden

    def runner(self, request_of: RequestOf) -> Runner:
        """What runs graphs on the golden samples.

        Args:
            request_of: of the graphs that make what others read.
        """
        return Runner(self.golden, self._config, request_of)

    def judge(self, name: str, sizes: Sizes, request: ov.InferRequest, runner: Runner, allowance: Allowance) -> Verdict:
        """Run a graph that was just compiled once, and judge it: on a picture, a question, or one short text.

        Args:
            name: of the graph.
            sizes: that it was compiled for.
            request: of it. It holds its inputs as long as the runner lives.
            runner: of the graphs that make what this one reads.
            allowance: what may be added to what is expected.
        """
        case = case_of(name, sizes, self._config)
        return self._verdict(name, case, runner.run(case, sizes, request, whole=False), allowance)

    def bears_7_bits(self, name: str) -> bool:
        """Whether a graph loses no more to 7 bits of its activations than theory has a bit cost: a factor of 4."""
        golden = self.golden
        named = [case for case, (graph, _) in cases(self._config, golden.inputs).items() if graph == name]
        noise = [
            sum(sum(golden.expectation(case, in_7_bits).noise_to_signal) for case in named)
            for in_7_bits in (False, True)
        ]
        return noise[1] <= TOLERANCE_OF_A_BIT * noise[0]

    def judge_whole(self, request_of: RequestOf, allowance: Callable[[str], Allowance]) -> list[Verdict]:
        """Run and judge every graph on all that there is for it, in the order in which they run.

        Args:
            request_of: of graphs compiled for this host.
            allowance: what may be added to what is expected of a graph.
        """
        runner = self.runner(request_of)
        verdicts = []
        for case, (graph, sizes) in cases(self._config, self.golden.inputs).items():
            runs = runner.run(case, sizes, request_of(graph, sizes), whole=True)
            verdicts.append(self._verdict(graph, case, runs, allowance(graph)))
        return verdicts

    def _verdict(self, graph: str, case: str, runs: dict[int, FloatArray], allowance: Allowance) -> Verdict:
        expected, results = self.golden.expectation(case, allowance.in_7_bits), self.golden.results[case]
        if any(results[place].shape != run.shape for place, run in runs.items()):
            raise BundleError(f"{self._path}: golden samples of another model; {OPTIMIZE_AGAIN}")
        measured = sum((Fidelity.of(results[place], run) for place, run in runs.items()), Fidelity())
        noise = sum(expected.noise_to_signal[place] * _power(results[place]) for place in runs)
        ratio = noise / sum(_power(results[place]) for place in runs)
        gaps = [token_gap(results[place], run) for place, run in runs.items()] if GRAPHS[graph].makes_texts else [0.0]
        return Verdict(
            graph=graph,
            case=case,
            sqnr=measured.sqnr,
            expected=_decibels(ratio),
            required=_decibels(MARGIN * ratio + allowance.noise_to_signal),
            disagreement=max(gaps),
            expected_disagreement=expected.disagreement,
        )


def case_of(graph: str, sizes: Sizes, config: BlipConfig) -> str:
    """What a graph that is compiled for these sizes is given."""
    if GRAPHS[graph].reads not in ("source_states", "texts"):
        return graph
    over_image = not config.answers_questions or sizes.positions == config.vision.num_positions
    return f"{graph}.{'image' if over_image else 'question'}"


def cases(config: BlipConfig, inputs: GoldenInputs) -> dict[str, tuple[str, Sizes]]:
    """Every case: its graph, and the sizes that it is compiled for where a text is made by itself."""
    positions = config.vision.num_positions
    specs = specs_of(config.architecture)
    sources = {"image": positions} | (
        {"question": LONGEST} if any(each.makes_question_states for each in specs) else {}
    )
    return {case: (spec.name, sizes) for spec in specs for case, sizes in _cases_of(spec, positions, sources)}


def _cases_of(spec: GraphSpec, positions: int, sources: Mapping[str, int]) -> Iterator[tuple[str, Sizes]]:
    """The cases of one graph; ``sources`` are what a text may be about, and how many positions each has."""
    if spec.reads == "pixels":
        yield spec.name, Sizes(sources=1)
    elif spec.reads == "image_embeds":
        yield spec.name, Sizes(1, positions)
    elif spec.reads == "questions":
        yield spec.name, Sizes(1, positions, 1, LONGEST)
    else:
        step = (1, 1) if spec.makes_texts else ()
        yield from ((f"{spec.name}.{source}", Sizes(1, length, *step)) for source, length in sources.items())


def _inputs_fit(inputs: GoldenInputs, config: BlipConfig) -> bool:
    """Whether golden inputs are such as a model's graphs take."""
    vision, text, ids = config.vision, config.text, inputs.input_ids
    specs, size = specs_of(config.architecture), vision.image_size
    makes_states = any(spec.makes_question_states for spec in specs)
    sources = {"image"} | ({"question"} if makes_states else set())
    if not any(spec.makes_texts for spec in specs):
        sources = set()
    fits = inputs.pixels.dtype == np.uint8 and inputs.pixels.ndim == 4 and len(inputs.pixels) > 0
    fits = fits and inputs.pixels.shape[1:] == (size, size, 3)
    fits = fits and inputs.image_embeds.shape == (1, vision.num_positions, vision.hidden_size)
    fits = fits and inputs.texts.keys() == sources and all(_are_tokens(each, text) for each in inputs.texts.values())
    if not any(spec.reads == "questions" for spec in specs):
        return fits and ids is None and inputs.question_states is None
    if ids is None or len(ids) != 1 or not _are_tokens(ids[0], text):
        return False
    shape = None if inputs.question_states is None else inputs.question_states.shape
    return fits and shape == ((1, ids.shape[1], text.hidden_size) if makes_states else None)


def _are_tokens(ids: AnyArray, config: TextConfig) -> bool:
    """Whether an array is the tokens of a text, ``[T]``, and so short that every compiled graph holds them."""
    return bool(
        ids.dtype == np.int64
        and ids.ndim == 1
        and 0 < len(ids) <= LONGEST
        and ids.min() >= 0
        and ids.max() < config.vocab_size
    )


def _results_fit(golden: Golden, config: BlipConfig) -> bool:
    """Whether there is a result and an expectation of every run of every case, all of them numbers."""
    inputs, named = golden.inputs, cases(config, golden.inputs).keys()
    if golden.results.keys() != named:
        return False
    runs = dict.fromkeys(named, 1)
    for spec in specs_of(config.architecture):
        if spec.reads == "pixels":
            runs[spec.name] = len(inputs.pixels)
        if spec.makes_texts:
            runs |= {f"{spec.name}.{source}": len(text) for source, text in inputs.texts.items()}
    return (
        all(
            len(golden.results[case]) == count
            and all(np.isfinite(run).all() and _power(run) > 0 for run in golden.results[case])
            for case, count in runs.items()
        )
        and _expectations_fit(golden.expected, runs)
        and (not golden.expected_in_7_bits or _expectations_fit(golden.expected_in_7_bits, runs))
    )


def _expectations_fit(expected: Mapping[str, Expected], runs: Mapping[str, int]) -> bool:
    """Whether something is expected of every run of every case, all of it numbers."""
    return expected.keys() == runs.keys() and all(
        len(expected[case].noise_to_signal) == count
        and all(0 <= ratio < math.inf for ratio in expected[case].noise_to_signal)
        and 0 <= expected[case].disagreement < math.inf
        for case, count in runs.items()
    )


def token_gap(original: FloatArray, computed: FloatArray) -> float:
    """By how many nats a token is less likely than the likeliest, by the original's logits ``[vocab]``."""
    return float(original.max() - original[int(computed.argmax())])


def _power(values: FloatArray) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _decibels(ratio: float) -> float:
    return -10 * math.log10(ratio) if ratio > 0 else math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
