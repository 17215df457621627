"""A report whose figures are easily read, what it is made of, and a reader of its page."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from blipvino.bundle.bundle import Bundle
from blipvino.bundle.manifest import FileEntry, Manifest, SourceInfo
from blipvino.bundle.records import CalibrationRecord, Measurements
from blipvino.bundle.search_record import Score, SearchRecord, Trial
from blipvino.bundle.writing import BundleDetails
from blipvino.machine.record import Machine
from blipvino.measure.cost import Cost, GroupSize, Latency
from blipvino.measure.diagnosis.diagnosis import Diagnosis, GraphError, LayerError
from blipvino.measure.evaluation.evaluation import (
    AnswerExample,
    AnswerScore,
    CaptionExample,
    CaptionScore,
    DataInfo,
    EvaluateOptions,
    Evaluation,
)
from blipvino.measure.evaluation.evaluation_record import Model
from blipvino.measure.evaluation.reliability_scores import Coverage, Reliability, ReliabilityBin
from blipvino.measure.report.report import Example, Report, ReportOptions
from blipvino.metrics.bootstrap import Estimate
from blipvino.metrics.sqnr import Fidelity
from blipvino.recipe import PTQ_INT8, WEIGHTS_INT8, Recipe

HOSTILE = "<script>alert('x')</script>\"&"

DIGEST = "0123456789abcdef" * 4

GRAPHS = ("vision", "question_kv", "question", "answer_kv", "answer")

MACHINE = Machine("A CPU", 2, ("FP32", "INT8"), "Linux 6", "3.11", {"openvino": "2026.4"})

TREATMENTS = {graph: PTQ_INT8 if "answer" not in graph else WEIGHTS_INT8 for graph in GRAPHS}

SEARCH = SearchRecord(
    measure="accuracy",
    outcome="finished",
    max_drop=0.7,
    decide_by="estimate",
    source="demo:validation",
    samples=1000,
    images=1000,
    seed=42,
    latency_samples=30,
    seconds=60.0,
    machine=MACHINE,
    trials=(Trial("start", None, TREATMENTS, Score(90.0, 0.1, -0.2, 0.4), None, 5_000_000, "kept", "the beginning"),),
)


def bundle(search=None, source="demo", folder=Path("out/bundle")):
    manifest = Manifest(
        schema_version=2,
        blipvino_version="0.1.0",
        created="2026-01-31T12:00:00+00:00",
        source=SourceInfo(source, None, DIGEST),
        architecture="BlipForQuestionAnswering",
        recipe=Recipe("auto" if search else "int8", "", TREATMENTS),
        calibration=CalibrationRecord("demo:validation", 300, 300, 42),
        measurements=Measurements(dict.fromkeys(GRAPHS, 2_000_000), search=search),
        libraries={"openvino": "2026.4"},
        files={f"{graph}.{kind}": FileEntry(1, DIGEST) for graph in GRAPHS for kind in ("xml", "bin")},
    )
    return Bundle(folder, manifest)


def estimate(value, reach=0.01):
    return Estimate(value, value - reach, value + reach)


def answer_score(kind, name, drop=0.004):
    return AnswerScore(
        kind, name, 100, 20, estimate(0.92), estimate(0.92 - drop), estimate(drop), Estimate(0.996, 0.994, 0.998)
    )


def answer_example(image_id, question, original, compressed, truth=("yes",)):
    accuracies = (float(original in truth), float(compressed in truth))
    return AnswerExample(image_id, 10 * image_id, question, truth, original, compressed, *accuracies)


def reliability(kind="answers", calibrated=True):
    coverages = tuple(Coverage(share, 1 - share / 2, estimate(0.99)) for share in (1.0, 0.95, 0.9, 0.8, 0.5))
    bins = (ReliabilityBin(40, 0.8, 0.75), ReliabilityBin(60, 0.99, 1.0))
    errors = estimate(0.02), estimate(0.07)
    return Reliability(kind, "VQA accuracy", 100, estimate(0.92), calibrated, *errors, 0.011, coverages, bins)


def evaluation(**changed):
    made = Evaluation(
        compressed=Model("int8", "out/bundle", "f" * 64, "auto"),
        original=Model("FP16", "demo", "e" * 64, "f32"),
        data=DataInfo("demo:test", "demo:test", 20, 100, 10),
        options=EvaluateOptions(100, 10, 32),
        answering="generated",
        answers=(
            answer_score("all", "all"),
            answer_score("answer type", "yes/no"),
            answer_score("question type", "color", -0.02),
            answer_score("question type", "count", 0.03),
        ),
        captions=(CaptionScore("CIDEr-D", estimate(8.8), estimate(8.7), estimate(0.1)),),
        caption_agreement=estimate(0.98),
        answer_examples=(answer_example(1, "is it red?", "yes", "no"), answer_example(2, "is it blue?", "yes", "yes")),
        caption_examples=(CaptionExample(2, ("a blue ring",), "a blue ring", "a blue ring"),),
        machine=MACHINE,
        started="2026-01-31T13:00:00+00:00",
        confidence=0.95,
        resamples=2000,
        reliability=(reliability(), reliability("captions", calibrated=False)),
    )
    return replace(made, **changed)


def diagnosis():
    def layer(node, noise):
        return LayerError("vision", node, Fidelity(1.0, noise, 1.0, 1.0), Fidelity(1.0, 2 * noise, 1.0, 1.0))

    layers = (
        layer("vision_model.encoder.layers.0.mlp.fc1", 1e-4),
        layer("vision_model.encoder.layers.1.mlp.fc2", 1e-2),
    )
    fidelity = Fidelity(1.0, 1e-3, 1.0, 1.0)
    graph = GraphError("vision", "ptq_int8", fidelity, fidelity, layers)
    return Diagnosis("out/bundle", "f" * 64, "demo", "int8", "demo:test, 20 samples", (graph,), {"openvino": "2026.4"})


def report(**changed):
    sizes = tuple(GroupSize(graph, (graph,), 2_000_000, 1_000_000) for graph in GRAPHS)
    latencies = (Latency("captioning", 100, 0.030, 0.020), Latency("question answering", 100, 0.0120, 0.0121))
    image = Image.new("RGB", (8, 8), "red")
    said = evaluation()
    made = Report(
        bundle=bundle(),
        cost=Cost(("FP16", "int8"), sizes, sizes, latencies, MACHINE),
        data="demo:test",
        evaluation=said,
        diagnosis=diagnosis(),
        examples=(
            Example(image, said.answer_examples[:1]),
            Example(image, said.answer_examples[1:], said.caption_examples),
        ),
        options=ReportOptions(max_new_tokens=32),
        made="2026-01-31T14:00:00+00:00",
    )
    return replace(made, **changed)


class Page(HTMLParser):
    """A page that was read: whether its tags match, and what is in it."""

    VOID = frozenset({"meta", "img", "br", "input", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def contents(self):
        return [link["href"].removeprefix("#") for link in self.all("a")]

    @property
    def sections(self):
        return [section["id"] for section in self.all("section")]


def timed(speed_up, weights=2_000_000):
    """A report on two tasks of this speed-up, and graphs of this many bytes."""
    sizes = tuple(GroupSize(graph, (graph,), weights, weights // 2) for graph in GRAPHS)
    latencies = tuple(Latency(task, 100, speed_up, 1.0) for task in ("captioning", "question answering"))
    return report(cost=replace(report().cost, sizes=sizes, graph_sizes=sizes, latencies=latencies))


def details(**changed):
    manifest = bundle(changed.pop("search", None)).manifest
    names = ("source", "architecture", "recipe", "calibration", "measurements", "libraries")
    return BundleDetails(**{name: getattr(manifest, name) for name in names} | changed)
