"""The report: its page, its charts, what it leaves out, how it is made; and the card in a bundle."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image
from rich.console import Console
from subjects import save_tiny
from typer.testing import CliRunner

from blipvino import Blip, optimize
from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import FileEntry, Manifest, SourceInfo
from blipvino.bundle.writing import BundleDetails
from blipvino.cli import browser, demo_run, output
from blipvino.cli.main import app, main
from blipvino.data.demo import demo_sample
from blipvino.errors import BundleError, DataError, InputError, OutputError
from blipvino.machine.record import Machine
from blipvino.measure.cost import Cost, GroupSize, Latency
from blipvino.measure.diagnosis.diagnosis import Diagnosis, GraphError, LayerError
from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle
from blipvino.measure.evaluation.evaluation import (
    AnswerExample,
    AnswerScore,
    CaptionExample,
    CaptionScore,
    DataInfo,
    EvaluateOptions,
    Evaluation,
    Model,
)
from blipvino.measure.race import full_size
from blipvino.measure.report.charts.charts import Whisker, whiskers
from blipvino.measure.report.charts.markup import Markup, element
from blipvino.measure.report.page.gallery import find_examples
from blipvino.measure.report.page.page import report_page
from blipvino.measure.report.page.parts import typeset
from blipvino.measure.report.page.summary import judged
from blipvino.measure.report.report import Example, Report, ReportOptions
from blipvino.measure.report.write_report import Given, write_report
from blipvino.metrics.bootstrap import Estimate
from blipvino.metrics.sqnr import Fidelity
from blipvino.optimization.card import card, inherited
from blipvino.optimization.commands import optimize_command, remarks

HOSTILE = "<script>alert('x')</script>\"&"
DIGEST = "0123456789abcdef" * 4
GRAPHS = ("vision", "question_kv", "question", "answer_kv", "answer")
MACHINE = Machine("A CPU", 2, ("FP32", "INT8"), "Linux 6", "3.11", {"openvino": "2026.4"})
TREATMENTS = {graph: {"method": "ptq_int8" if "answer" not in graph else "weights_int8"} for graph in GRAPHS}
SCORE = {"accuracy": 90.0, "drop": 0.1, "low": -0.2, "high": 0.4}
SEARCH = {
    "measure": "accuracy",
    "outcome": "finished",
    "max_drop": 0.7,
    "decide_by": "estimate",
    "source": "demo:validation",
    "samples": 1000,
    "machine": {"cpu": "A CPU", "cores": 2},
    "trials": [
        {
            "phase": "start",
            "graph": None,
            "treatments": TREATMENTS,
            "score": SCORE,
            "race": None,
            "size": 5_000_000,
            "decision": "kept",
            "reason": "the beginning",
        }
    ],
}


def bundle(search=None, source="demo", folder=Path("out/bundle")):
    manifest = Manifest(
        schema_version=2,
        blipvino_version="0.1.0",
        created="2026-01-31T12:00:00+00:00",
        source=SourceInfo(source, None, DIGEST),
        architecture="BlipForQuestionAnswering",
        recipe={"name": "auto" if search else "int8", "treatments": TREATMENTS},
        calibration={"source": "demo:validation", "samples": 300, "images": 300, "seed": 42},
        measurements={"fp16_bytes": dict.fromkeys(GRAPHS, 2_000_000), **({"search": search} if search else {})},
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


def test_the_page_has_every_section_in_its_order_and_in_the_contents():
    page = Page(report_page(report(bundle=bundle(SEARCH))))
    expected = ["summary", "sizes", "latency", "accuracy", "layers", "search", "samples", "environment", "reproduce"]
    assert page.sections == page.contents == expected
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == len(expected)


def test_the_page_loads_nothing_and_runs_nothing():
    text = report_page(report())
    page = Page(text)
    assert not page.all("script")
    assert not page.all("link")
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, name)
    assert "url(" not in text
    assert "@import" not in text


def test_the_verdict_is_made_of_the_figures():
    page = Page(report_page(report()))
    assert "2.00 times less room than the FP16 original's: 5.0 MB instead of 10.0 MB" in page.text
    assert "99.6% [99.4, 99.8] of 100 questions as the original does" in page.text
    assert "accuracy drop of 0.40 [−0.60, 1.40] points" in page.text
    assert "captions an image 1.50 times as fast and answers a question about as fast" in page.text


def timed(speed_up, weights=2_000_000):
    """A report on two tasks of this speed-up, and graphs of this many bytes."""
    sizes = tuple(GroupSize(graph, (graph,), weights, weights // 2) for graph in GRAPHS)
    latencies = tuple(Latency(task, 100, speed_up, 1.0) for task in ("captioning", "question answering"))
    return report(cost=replace(report().cost, sizes=sizes, graph_sizes=sizes, latencies=latencies))


@pytest.mark.parametrize("speed_up", [0.97, 0.966, 0.98, 1.0, 1.03])
def test_what_is_printed_as_three_percent_or_less_is_about_as_fast(speed_up):
    page = Page(report_page(timed(speed_up)))
    assert "captions an image about as fast and answers a question about as fast" in page.text
    assert "times slower" not in page.text


@pytest.mark.parametrize(("speed_up", "says"), [(0.95, "1.05 times slower"), (1.04, "1.04 times as fast")])
def test_more_than_three_percent_is_worth_a_word(speed_up, says):
    assert f"captions an image {says}" in Page(report_page(timed(speed_up))).text


@pytest.mark.parametrize(
    ("speed_up", "weights", "told"), [(0.97, 2_000_000, True), (1.2, 2_000_000, False), (0.97, 200_000_000, False)]
)
def test_a_small_model_that_gains_no_speed_is_told_to_be_too_small(speed_up, weights, told):
    assert ("5 million parameters is too small" in Page(report_page(timed(speed_up, weights))).text) == told


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        (Estimate(0.02, 0.01, 0.03), "a loss beyond chance"),
        (Estimate(-0.02, -0.03, -0.01), "a gain beyond chance"),
        (Estimate(0.01, -0.01, 0.03), "not distinguishable from none"),
        (Estimate(0.0, 0.0, 0.0), "none on these questions"),
    ],
)
def test_a_drop_is_judged_by_its_interval(drop, says):
    assert judged(drop) == says


def test_what_comes_from_data_is_escaped():
    example = AnswerExample(1, 1, HOSTILE, (HOSTILE,), HOSTILE, "no", 1.0, 0.0)
    caption = CaptionExample(1, (HOSTILE,), HOSTILE, "a cat")
    shown = Example(Image.new("RGB", (8, 8)), (example,), (caption,))
    scores = (answer_score("all", "all"), answer_score("question type", HOSTILE))
    text = report_page(
        report(
            bundle=bundle(source=HOSTILE, folder=Path(HOSTILE)),
            examples=(shown,),
            evaluation=evaluation(answers=scores, data=DataInfo(HOSTILE, HOSTILE, 1, 1, 1)),
        )
    )
    page = Page(text)
    assert not page.all("script")
    assert HOSTILE in page.text
    assert page.all("img")[0]["alt"].endswith(HOSTILE)


def test_disagreements_are_marked_in_words_and_right_answers_told_from_wrong():
    page = Page(report_page(report()))
    assert page.text.index("≠ Models differ") < page.text.index("= Models agree")
    told = page.text[page.text.index("≠ Models differ") : page.text.index("= Models agree")]
    assert "is it red?" in told
    assert "yes ✓ right" in told
    assert "no ✗ wrong" in told
    assert all(image["alt"] for image in page.all("img"))
    assert "The models say different things of 1 of these 2 pictures" in page.text


def test_every_chart_says_what_it_shows():
    page = Page(report_page(report()))
    charts = page.all("svg")
    assert len(charts) >= 3
    assert all(chart["role"] == "img" for chart in charts)
    assert "vision: FP16 2.0 MB, int8 1.0 MB" in page.text
    assert "count: 3.00 [2.00, 4.00]" in page.text
    assert "The dashed line is the limit, 0.5." in page.text


def test_tables_name_their_rows_and_columns():
    page = Page(report_page(report()))
    assert len(page.all("caption")) == len(page.all("table"))
    assert {heading["scope"] for heading in page.all("th")} == {"col", "row"}


def test_the_limit_is_that_of_the_search():
    assert "limit of 0.7 points that this bundle" in report_page(report(bundle=bundle(SEARCH)))


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"diagnosis": None}, "layers"),
        ({"examples": ()}, "samples"),
        ({"cost": replace(report().cost, latencies=())}, "latency"),
        (
            {"evaluation": evaluation(answers=(), captions=(), data=DataInfo("demo:test", "demo:test", 20, 0, 0))},
            "accuracy",
        ),
    ],
)
def test_a_section_without_content_is_left_out_of_the_contents_too(changed, missing):
    page = Page(report_page(report(**changed)))
    whole = Page(report_page(report()))
    assert page.sections == page.contents == [name for name in whole.sections if name != missing]


def test_a_captioner_has_captions_alone():
    said = evaluation(answers=(), answer_examples=(), data=DataInfo("photos", "photos", 10, 0, 10), captions=())
    page = Page(report_page(report(evaluation=said, examples=())))
    assert "no reference captions" in page.text
    assert "Same captions" in page.text
    assert "questions" not in page.text[page.text.index("Accuracy") : page.text.index("Figures in brackets")]


def test_questions_without_known_answers_have_agreement_alone():
    scores = tuple(replace(row, original=None, compressed=None, drop=None) for row in evaluation().answers)
    page = Page(report_page(report(evaluation=evaluation(answers=scores))))
    assert "Agreement by answer type" in page.text
    assert "what is right is not known" in page.text
    assert "Accuracy drop" not in page.text


def luminance(color):
    """Relative luminance (WCAG 2.2)."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_texts_and_marks_stand_out_in_light_and_dark(theme):
    style = (Path(report_page.__code__.co_filename).parent / "report.css").read_text()
    colors = dict(re.findall(r"--([\w-]+): (#\w{6});", style.split(":root {")[1 + theme]))
    for ground in ("page", "panel"):
        assert all(contrast(colors[text], colors[ground]) >= 4.5 for text in ("ink", "muted", "link", "alert"))
        assert all(contrast(colors[mark], colors[ground]) >= 3 for mark in ("original", "compressed", "alert"))
    assert contrast(colors["alert"], colors["alert-soft"]) >= 4.5


def test_text_is_escaped_unless_it_is_markup():
    assert element("p", "<b>", Markup("<i></i>"), None, class_="a&b") == '<p class="a&amp;b">&lt;b&gt;<i></i></p>'
    assert element("circle", cx=1, aria_hidden="true", r=None) == '<circle cx="1" aria-hidden="true"/>'
    assert typeset("a -0.2 [-0.4, -0.1] --recipe int8-int4") == "a −0.2\xa0[−0.4,\xa0−0.1] --recipe int8-int4"


@pytest.mark.parametrize("reach", [0.0, 0.003, 0.4, 7.1, 60.0])
def test_an_axis_holds_all_that_is_drawn_and_has_a_few_ticks(reach):
    rows = [Whisker("one", "", 0.1, 0.1 - reach, 0.1 + reach)]
    page = Page(f"<main>{whiskers('Drop', ('low', 'middle', 'high'), rows, 0.5)}</main>")
    ends = [float(line[name].rstrip("%")) for line in page.all("line") for name in ("x1", "x2")]
    assert min(ends) >= 0
    assert max(ends) <= 100
    assert 2 <= sum(line["class"] == "grid" for line in page.all("line")) <= 9


@pytest.fixture(scope="module")
def compressed(tiny_vqa, tmp_path_factory):
    """The tiny checkpoint with compressed weights, and its FP16 bundle as the original."""
    from blipvino import Recipe
    from blipvino.recipe import WEIGHTS_INT8

    folder = tmp_path_factory.mktemp("report") / "weights"
    recipe = Recipe("mine", "weights alone", dict.fromkeys(GRAPHS, WEIGHTS_INT8))
    return optimize(tiny_vqa.folder, folder, recipe=recipe, show_progress=False)


SHORT = ReportOptions(6, 2, 1, 2, 8)


def test_a_report_is_measured_and_written_and_goes_on_where_it_was(compressed, tiny_vqa, tmp_path, monkeypatch):
    path, given = tmp_path / "new" / "report.html", Given(original=tiny_vqa.bundle)
    made = write_report(compressed.folder, path, "demo:test", SHORT, given, show_progress=False)
    page = Page(path.read_text())
    assert page.sections == [
        *("summary", "sizes", "latency", "accuracy", "layers", "samples", "environment", "reproduce")
    ]
    assert made.diagnosis.fingerprint == compressed.fingerprint and made.diagnosis.data.startswith(
        "demo:test, 2 samples"
    )
    assert len(page.all("img")) == len(made.examples) >= 1
    assert "The recipe is not one of the command line's" in page.text
    assert made.evaluation.data.questions == 6
    (work,) = (tmp_path / "new" / "report.work").iterdir()
    said = (work / "predictions-compressed.jsonl").read_bytes()
    monkeypatch.setattr(Blip, "answer", None)  # nothing is asked again
    nothing_timed = replace(SHORT, latency_samples=0, diagnose_samples=0)
    again = write_report(compressed.folder, path, "demo:test", nothing_timed, given, show_progress=False)
    assert (work / "predictions-compressed.jsonl").read_bytes() == said
    assert again.evaluation.answers == made.evaluation.answers
    assert not {"latency", "layers"} & set(Page(path.read_text()).sections)
    taken = replace(given, evaluation=work)
    assert write_report(compressed.folder, path, None, nothing_timed, taken, show_progress=False).data == "demo:test"


def test_what_is_given_must_be_of_the_bundle(compressed, tiny_vqa, tmp_path):
    def refused(error, match, path=tmp_path / "report.html", **given):
        with pytest.raises(error, match=match):
            write_report(compressed.folder, path, "demo:test", SHORT, Given(**given), show_progress=False)
        assert not path.exists()

    run = RunOptions(tmp_path / "other", show_progress=False)
    evaluate_bundle(tiny_vqa.bundle, "demo:test", EvaluateOptions(1, 0, 4), run, beside_original=False)
    refused(BundleError, "an evaluation of", evaluation=tmp_path / "other")
    run = RunOptions(tmp_path / "alone", show_progress=False)
    evaluate_bundle(compressed.folder, "demo:test", EvaluateOptions(1, 0, 4), run, beside_original=False)
    refused(InputError, "evaluate it beside its original", evaluation=tmp_path / "alone")
    (tmp_path / "diagnosis.json").write_text("{}")
    refused(DataError, "not a diagnosis", diagnosis=tmp_path / "diagnosis.json")
    (tmp_path / "diagnosis.json").write_text(json.dumps(diagnosis().to_json()))
    refused(BundleError, "a diagnosis of out/bundle", diagnosis=tmp_path / "diagnosis.json")
    refused(OutputError, "ends in .html", path=tmp_path / "report.pdf")


def test_examples_are_found_again_by_their_images():
    ids = [demo_sample("test", index).image_id for index in (3, 5)]
    examples = (answer_example(ids[0], "same?", "yes", "yes"), answer_example(ids[1], "other?", "yes", "no"))
    said = evaluation(answer_examples=examples, caption_examples=())
    found = find_examples(said, 42)
    assert [example.answers[0].question for example in found] == ["other?", "same?"]
    assert found[0].image.tobytes() == demo_sample("test", 5).image().convert("RGB").tobytes()


def test_the_command_line_makes_a_report(compressed, tiny_vqa, tmp_path, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("blipvino.cli.report.open_page", shown.append)
    path = tmp_path / "report.html"
    arguments = [
        "report",
        compressed.folder,
        "-o",
        path,
        "--original",
        tiny_vqa.bundle,
        "--samples",
        2,
        "--captions",
        1,
    ]
    arguments += ["--latency-samples", 0, "--diagnose-samples", 0, "--max-new-tokens", 4, "--quiet"]
    for option in ([], ["--open", "--json"]):
        monkeypatch.setattr("sys.argv", ["blipvino", *map(str, [*arguments, *option])])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert shown == ([path] if option else [])
        printed = capsys.readouterr().out
        assert printed.strip() == f"Report: {path.as_uri()}" if not option else json.loads(printed)["sizes"]


@pytest.mark.parametrize(
    ("environment", "name", "opened"),
    [({}, "firefox", False), ({"DISPLAY": ":0"}, "firefox", True), ({"WAYLAND_DISPLAY": "w"}, "w3m", False)],
)
def test_a_browser_is_opened_only_where_it_has_a_window(environment, name, opened, monkeypatch, tmp_path):
    class Browser:
        def __init__(self):
            self.name = name

        def open(self, url):
            assert url == (tmp_path / "page.html").as_uri()
            return True

    monkeypatch.setattr(browser.sys, "platform", "linux")
    monkeypatch.setattr(browser.webbrowser, "get", Browser)
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert browser.open_page(tmp_path / "page.html") is opened


def test_no_browser_is_no_failure(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(browser.webbrowser, "get", lambda: (_ for _ in ()).throw(browser.webbrowser.Error("none")))
    assert browser.open_page(tmp_path / "page.html") is False


def details(**changed):
    manifest = bundle(changed.pop("search", None)).manifest
    names = ("source", "architecture", "recipe", "calibration", "measurements", "libraries")
    return BundleDetails(**{name: getattr(manifest, name) for name in names} | changed)


SIZES = dict.fromkeys(GRAPHS, 1_000_000)


def test_the_card_of_a_hub_checkpoint_has_the_front_matter_of_the_hub(tmp_path):
    source = SourceInfo("Salesforce/blip-vqa-base", "a" * 40, DIGEST)
    text = card(details(source=source), SIZES, {"license": "bsd-3-clause"})
    (tmp_path / "README.md").write_text(text)
    front = ModelCard.load(tmp_path / "README.md").data.to_dict()
    assert front == {
        "library_name": "openvino",
        "pipeline_tag": "visual-question-answering",
        "base_model": "Salesforce/blip-vqa-base",
        "base_model_relation": "quantized",
        "license": "bsd-3-clause",
        "tags": ["openvino", "nncf", "blip", "blipvino", "int8"],
    }
    assert "| all |  | 5.00 | 10.00 | 2.00 |" in text
    assert f"--revision {'a' * 40}" in text
    assert "Neither accuracy nor speed was measured" in text
    assert "Calibrated on 300 samples (300 images) of `demo:validation`" in text


def test_the_card_of_a_folder_names_no_base_model_and_no_place():
    source = SourceInfo("/home/me/secret/blip", None, DIGEST)
    fp16 = {"name": "none", "treatments": {graph: {"method": "fp16"} for graph in GRAPHS}}
    text = card(details(source=source, recipe=fp16, calibration=None, measurements=None), SIZES, {})
    front = ModelCard(text).data.to_dict()
    assert "base_model" not in front
    assert "license" not in front
    assert front["tags"] == ["openvino", "blip", "blipvino", "fp16"]
    assert "secret" not in text
    assert "No calibration data" in text


def test_the_card_tells_how_the_recipe_was_found():
    text = card(details(search=SEARCH), SIZES, {})
    assert "chosen by accuracy on 1000 samples" in text
    assert "at most 0.7 points less finished" in text
    assert "| 1 |" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('---\nlicense: "bsd-3-clause"\ntags: [a]\n---\n# BLIP\nlicense: none', {"license": "bsd-3-clause"}),
        ("---\r\nlicense: other\r\nlicense_name: mine\r\n---\r\n", {"license": "other", "license_name": "mine"}),
        ("# BLIP\nlicense: mit", {}),
        ("---\nlicense: [\n---\n", {}),
        (None, {}),
    ],
)
def test_a_license_is_taken_from_the_checkpoints_own_card(text, expected, tmp_path):
    if text is not None:
        (tmp_path / "README.md").write_bytes(text.encode())
    assert inherited(tmp_path) == expected


def test_every_bundle_has_its_card_which_is_verified(compressed, tiny_vqa):
    assert "README.md" in compressed.manifest.files
    text = (compressed.folder / "README.md").read_text()
    assert ModelCard(text).data.to_dict()["library_name"] == "openvino"
    assert str(tiny_vqa.folder) not in text
    open_bundle(compressed.folder).verify(["README.md"])


def test_the_same_checkpoint_gives_the_same_bundle_its_card_included(tiny_vqa, tmp_path):
    again = optimize(tiny_vqa.folder, tmp_path / "again", recipe="none", show_progress=False)
    assert again.fingerprint == open_bundle(tiny_vqa.bundle).fingerprint


def test_a_checkpoints_license_comes_into_the_bundle(tmp_path):
    save_tiny(tmp_path / "captioner", "BlipForConditionalGeneration", seed=1)
    (tmp_path / "captioner" / "README.md").write_text("---\nlicense: bsd-3-clause\n---\n")
    made = optimize(tmp_path / "captioner", tmp_path / "bundle", recipe="none", show_progress=False)
    front = ModelCard.load(made.folder / "README.md").data.to_dict()
    assert front["license"] == "bsd-3-clause"
    assert front["pipeline_tag"] == "image-to-text"


def test_commands_say_how_a_bundle_was_made():
    assert optimize_command(details(), "a b") == (
        "blipvino optimize demo --output 'a b' --recipe int8 --calibration demo:validation --samples 300 --seed 42"
    )
    searched = optimize_command(details(search=SEARCH), "out")
    assert searched.endswith("--max-drop 0.7 --decide-by estimate --validation-samples 1000")
    grouped = {graph: {"method": "ptq_int8" if "answer" not in graph else "weights_int8"} for graph in GRAPHS}
    grouped["answer"] = {"method": "weights_int4", "group_size": 32}
    made = details(recipe={"name": "int8-int4", "treatments": grouped})
    assert "--group-size 32" in optimize_command(made, "out")
    assert not list(remarks(made))
    photos = {"source": "folder:photos", "samples": 10, "images": 10, "seed": 1}
    assert "write it out in full" in " ".join(remarks(details(calibration=photos)))


# The demo's terminal


@pytest.fixture
def demo_output(monkeypatch, tmp_path):
    """Runs `blipvino demo` on figures of this file, so many columns wide, with what the timing gives or raises."""

    def run_it(found, *options, columns=80):
        def timing(_folder, _reporter):
            if isinstance(found, Exception):
                raise found
            return found

        said = demo_run.DemoSample("out/scene-2.png", "a large red ring", "what size is the ring?", "large")
        made = demo_run.DemoRun((said,), timed(0.97), tmp_path / "report.html")
        monkeypatch.setattr(demo_run, "run_demo", lambda *_arguments, **_options: made)
        monkeypatch.setattr(full_size, "time_full_size", timing)
        monkeypatch.setattr(output, "console", Console(width=columns))
        return CliRunner().invoke(app, ["demo", "-o", str(tmp_path), *options])

    return run_it


FULL_SIZE = full_size.FullSize(
    full_size.Measured("FP16", 447_954_284, 1.2, 0.5, 900_000_000),
    full_size.Measured("int8", 225_000_000, 0.8, 0.4, 600_000_000),
    *(223_900_000, 20, 6, "float", "Float arithmetic with 8-bit weights: a CPU"),
)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_demo_says_in_words_that_its_own_model_is_as_fast_and_shows_the_full_size(demo_output, columns):
    printed = demo_output(FULL_SIZE, columns=columns).stdout
    words = " ".join(printed.split())
    assert "captions an image about as fast and answers a question about as fast" in words
    assert "too small to gain speed from 8 bits" in words
    assert "0.97" not in words
    assert "BLIP-base, random weights: speed and size depend on shapes alone." in words
    assert "Float arithmetic with 8-bit weights: a CPU" in words
    row = next(line for line in printed.splitlines() if "caption, 20 tokens" in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["1,200 ms", "800 ms", "1.50"]
    told = [line for line in printed.splitlines() if not line.startswith("Report: ")]
    assert max(map(len, told)) <= columns


def test_the_demos_json_has_the_latencies_and_the_full_size(demo_output):
    content = json.loads(demo_output(FULL_SIZE, "--json").stdout)
    assert content["latencies"][0]["speed_up"] == 0.97
    assert content["full_size"]["speed_up"] == pytest.approx(1.5)
    assert content["full_size"]["model"] == "BLIP-base, random weights"
    assert json.loads(demo_output(FULL_SIZE, "--json", "--no-full-size").stdout)["full_size"] is None


def test_a_machine_without_room_for_the_full_size_has_its_demo_all_the_same(demo_output):
    shown = demo_output(OutputError("out: 1.3 GB needed for the time, 0.5 GB free"))
    assert shown.exit_code == 0
    assert "a large red ring" in shown.stdout
    assert "Full size" not in shown.stdout
    assert "blipvino: not timed at full size: out: 1.3 GB needed for the time, 0.5 GB free" in shown.stderr
