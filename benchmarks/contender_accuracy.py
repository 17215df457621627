"""How often blipvino, `transformers`, the tutorial and ONNX Runtime are right, side by side on the demo checkpoint.

python -m benchmarks.contender_accuracy --questions 2000 --captions 500
ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.contender_accuracy --output out/contenders-avx2

What it prints, a table a class of CPU, stands in docs/compare.md, from where `benchmarks.gains` has it.

All get the same held-out questions and pictures, one at a time, and choose greedily. INT8 is the tutorial's own recipe
of its own models, ONNX Runtime's dynamic quantization, and blipvino's recipe ``int8``, the first and the last
calibrated on the same samples. What is built stays in the output's folder, and is used again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from blipvino.bundle.bundle import open_bundle
from blipvino.data import Sample, open_source, take
from blipvino.demo import CHECKPOINT
from blipvino.machine.cpu_classes import TITLES, class_of
from blipvino.machine.host import this_host
from blipvino.measure.race.baselines.common import Inputs
from blipvino.measure.race.baselines.onnx_runtime import OnnxRuntimePipeline
from blipvino.measure.race.baselines.transformers_model import TransformersModel
from blipvino.measure.race.baselines.tutorial import TutorialPipeline
from blipvino.measure.race.contender import Tokens
from blipvino.measure.race.contenders import Workplace, contender_specs
from blipvino.measure.report.evaluation_tables import interval
from blipvino.metrics.bootstrap import estimate, resampled_sums
from blipvino.metrics.right_captions import right_captions
from blipvino.metrics.vqa import vqa_accuracy
from blipvino.progress import Reporter
from blipvino.runtime.blip import Blip
from blipvino.runtime.inputs.texts import TextProcessor

ORIGINAL = "transformers fp32"
SPLIT = "demo:test"
ANSWER_TOKENS, CAPTION_TOKENS = 10, 40
SEED = 7
"""Of the intervals' resamples."""


@dataclass(frozen=True)
class Speaker:
    """One contender as a user has it: a picture, and perhaps a question, to a text."""

    caption: Callable[[Image.Image], str]
    answer: Callable[[Image.Image, str], str]


@dataclass(frozen=True)
class Said:
    """What one contender says of everything."""

    answers: Sequence[str]
    captions: Sequence[str]


def built(folder: Path, samples: int) -> Workplace:
    """Where everything is that the contenders load; what is not there yet is made."""
    place = Workplace(CHECKPOINT, folder, samples=samples)
    specs = contender_specs(("none", "int8"))
    for name in ("tutorial-int8", "onnxruntime-int8", "blipvino-none", "blipvino-int8"):
        specs[name].build(place)
    return place


def speakers(place: Workplace) -> Iterator[tuple[str, Speaker]]:
    """Each contender by its name, loaded when it is its turn."""
    texts = Inputs.load(place.tutorial).texts
    yield ORIGINAL, _of(TransformersModel(place.checkpoint, closes=True), texts)
    yield "tutorial FP16", _of(TutorialPipeline(place.tutorial, "fp16", closes=True), texts)
    yield "tutorial INT8", _of(TutorialPipeline(place.tutorial, "int8", closes=True), texts)
    yield "ONNX Runtime float", _of(OnnxRuntimePipeline(place.onnx, "float", closes=True), texts)
    yield "ONNX Runtime INT8", _of(OnnxRuntimePipeline(place.onnx, "int8", closes=True), texts)
    yield "blipvino FP16", _ours(place.bundle("none"))
    yield "blipvino INT8", _ours(place.bundle("int8"))


def _of(contender: TransformersModel | TutorialPipeline | OnnxRuntimePipeline, texts: TextProcessor) -> Speaker:
    def text(rows: Tokens) -> str:
        return texts.decode(rows[0])

    return Speaker(
        lambda image: text(contender.caption([image], CAPTION_TOKENS)),
        lambda image, question: text(contender.answer([image], [question], ANSWER_TOKENS)),
    )


def _ours(bundle: Path) -> Speaker:
    blip = Blip.load(open_bundle(bundle))
    return Speaker(
        lambda image: blip.caption(image, max_new_tokens=CAPTION_TOKENS),
        lambda image, question: blip.answer(image, question, max_new_tokens=ANSWER_TOKENS),
    )


def listen(name: str, speaker: Speaker, asked: Sequence[Sample], shown: Sequence[Sample]) -> Said:
    """Have a contender answer and caption everything."""
    reporter = Reporter(show=True)
    answers = [
        speaker.answer(sample.image(), sample.questions[0].text)
        for sample in reporter.track(asked, f"{name}: answers", len(asked))
    ]
    captions = [speaker.caption(sample.image()) for sample in reporter.track(shown, f"{name}: captions", len(shown))]
    return Said(answers, captions)


def accuracy_table(said: Mapping[str, Said], asked: Sequence[Sample], shown: Sequence[Sample]) -> str:
    """In Markdown: how often each is right, and says what the original says, in percent with 95% intervals."""
    original = said[ORIGINAL]
    lines = [
        "| | answers right | captions right | the original's own answer | its own caption |",
        "|---|" + "---:|" * 4,
    ]
    for name, one in said.items():
        right = [
            vqa_accuracy(text, sample.questions[0].answers) for text, sample in zip(one.answers, asked, strict=True)
        ]
        described = right_captions(one.captions, [sample.captions for sample in shown], None)
        same_answers = [text == other for text, other in zip(one.answers, original.answers, strict=True)]
        same_captions = [text == other for text, other in zip(one.captions, original.captions, strict=True)]
        cells = (right, described, same_answers, same_captions)
        lines.append(f"| {name} | {' | '.join(_mean(np.asarray(each, np.float64)) for each in cells)} |")
    return "\n".join(lines)


def _mean(values: np.ndarray) -> str:
    statistics = np.stack([values, np.ones_like(values)], axis=1)
    found = estimate(lambda sums: sums[..., 0] / sums[..., 1], statistics, resampled_sums(statistics, SEED))
    return interval(found)


def main() -> None:
    """Build, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=2000, help="one of each of so many pictures")
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--samples", type=int, default=300, help="that the tutorial and blipvino are calibrated on")
    parser.add_argument("--output", type=Path, default=Path("out/contenders"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    place = built(options.output, options.samples)
    asked = take(open_source(SPLIT), options.questions, spread=True)
    shown = asked[: options.captions]
    said = {name: listen(name, speaker, asked, shown) for name, speaker in speakers(place)}
    host = this_host()
    print(f"### {TITLES[class_of(host)]}\n\n{accuracy_table(said, asked, shown)}\n")
    print(f"({host.label}; {len(asked):,} questions, {len(shown)} captions.)")


if __name__ == "__main__":
    main()
