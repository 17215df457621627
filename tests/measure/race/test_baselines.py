"""The benchmark's baselines: in float each generates transformers' own tokens, in INT8 each generates tokens at all."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from subjects import Subject, scene_image

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
graphs = pytest.importorskip("blipvino.measure.race.baselines.torch_graphs")
onnx_runtime = pytest.importorskip("blipvino.measure.race.baselines.onnx_runtime")
transformers_model = pytest.importorskip("blipvino.measure.race.baselines.transformers_model")
tutorial = pytest.importorskip("blipvino.measure.race.baselines.tutorial")

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
QUESTION, LONGER = "what color is it?", "how many red squares are in the picture?"
NEW_TOKENS = 7
FLOAT, INT8 = ("transformers", "tutorial fp16", "onnx float"), ("tutorial int8", "onnx int8")


@dataclass(frozen=True)
class Baselines:
    """A tiny checkpoint, what the builders made of it, and every contender that runs it."""

    subject: Subject
    tutorial: Path
    onnx: Path
    contenders: dict[str, Any]


def picture(index):
    return Image.fromarray(scene_image(index))


def calibration():
    return [(picture(index), question) for index, question in enumerate((QUESTION, LONGER))]


def build(subject, folder):
    tutorial.build_tutorial(subject.folder, folder / "tutorial", calibration(), samples=2)
    onnx_runtime.build_onnx(subject.folder, folder / "onnx")
    contenders = {"transformers": transformers_model.TransformersModel(subject.folder, "float32")}
    for precision in ("fp16", "int8"):
        pipeline = tutorial.TutorialPipeline(folder / "tutorial", precision, EXACT)
        contenders[f"tutorial {precision}"] = pipeline
    for precision in ("float", "int8"):
        contenders[f"onnx {precision}"] = onnx_runtime.OnnxRuntimePipeline(folder / "onnx", precision, threads=1)
    return Baselines(subject, folder / "tutorial", folder / "onnx", contenders)


@pytest.fixture(scope="module")
def answering(tiny_vqa, tmp_path_factory):
    return build(tiny_vqa, tmp_path_factory.mktemp("answering"))


@pytest.fixture(scope="module")
def captioning(tiny_captioner, tmp_path_factory):
    return build(tiny_captioner, tmp_path_factory.mktemp("captioning"))


@pytest.fixture(params=["answering", "captioning"])
def baselines(request):
    return request.getfixturevalue(request.param)


def upstream(subject, images, questions=None):
    """What the transformers model itself generates, start token left out; questions unpadded or of one length."""
    options = {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS, "do_sample": False}
    pixel_values, oracle = subject.pixel_values(images), subject.oracle
    with torch.no_grad():
        if questions is not None:
            tokens = subject.tokenizer(questions, padding=True, return_tensors="pt", return_token_type_ids=False)
            return oracle.generate(pixel_values=pixel_values, **tokens, **options)[:, 1:].tolist()
        text = oracle.config.text_config
        start = torch.full((len(images), 1), text.bos_token_id)
        embeds = oracle.vision_model(pixel_values)[0]
        closing = {"eos_token_id": text.sep_token_id, "pad_token_id": text.pad_token_id}
        generated = oracle.text_decoder.generate(start, encoder_hidden_states=embeds, **closing, **options)
        return generated[:, 1:].tolist()


@pytest.mark.parametrize("name", FLOAT)
@pytest.mark.parametrize("batch", [1, 3])
def test_captions_are_upstreams(baselines, name, batch):
    images = [picture(index) for index in range(1, batch + 1)]
    expected = upstream(baselines.subject, images)
    assert any(len(set(row)) > 1 for row in expected)  # not one token again and again
    assert baselines.contenders[name].caption(images, NEW_TOKENS) == expected


def test_captions_are_those_of_the_captioning_class(captioning):
    images = [picture(index) for index in range(3)]
    options = {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS}
    with torch.no_grad():
        expected = captioning.subject.oracle.generate(captioning.subject.pixel_values(images), **options)[:, 1:]
    assert captioning.contenders["transformers"].caption(images, NEW_TOKENS) == expected.tolist()


@pytest.mark.parametrize("name", FLOAT)
@pytest.mark.parametrize("batch", [1, 3])
def test_answers_are_upstreams(answering, name, batch):
    images = [picture(index) for index in range(batch)]
    expected = upstream(answering.subject, images, [LONGER] * batch)
    assert answering.contenders[name].answer(images, [LONGER] * batch, NEW_TOKENS) == expected


@pytest.mark.parametrize("name", ["transformers", "tutorial fp16"])
def test_padding_is_attended_to_as_upstream_does(answering, name):
    images, questions = [picture(0), picture(1)], [QUESTION, LONGER]
    expected = upstream(answering.subject, images, questions)
    assert answering.contenders[name].answer(images, questions, NEW_TOKENS) == expected


def test_padding_is_masked_by_onnx_runtime(answering):
    images, questions = [picture(0), picture(1)], [QUESTION, LONGER]
    alone = [upstream(answering.subject, [image], [text])[0] for image, text in zip(images, questions, strict=True)]
    assert answering.contenders["onnx float"].answer(images, questions, NEW_TOKENS) == alone


@pytest.mark.parametrize("name", FLOAT + INT8)
def test_a_further_question_is_answered_alike(answering, name):
    contender = answering.contenders[name]
    contender.prepare_image(picture(2))
    for question in (QUESTION, LONGER):
        expected = contender.answer([picture(2)], [question], NEW_TOKENS)
        assert contender.answer_again(question, NEW_TOKENS) == expected


@pytest.mark.parametrize("name", INT8)
def test_int8_generates_the_tokens_asked_for(baselines, name):
    contender, config = baselines.contenders[name], baselines.subject.oracle.config.text_config
    generated = contender.caption([picture(index) for index in range(3)], NEW_TOKENS)
    if baselines.subject.oracle.config.architectures == ["BlipForQuestionAnswering"]:
        generated += contender.answer([picture(0), picture(1)], [QUESTION, LONGER], NEW_TOKENS)
    assert {len(row) for row in generated} == {NEW_TOKENS}
    assert all(0 <= token < config.vocab_size and token != config.sep_token_id for row in generated for token in row)


def test_half_precision_of_upstream(answering):
    contender = transformers_model.TransformersModel(answering.subject.folder, "bfloat16")
    generated = contender.caption([picture(0)], 3) + contender.answer([picture(0)], [QUESTION], 3)
    assert [len(row) for row in generated] == [3, 3]


@pytest.mark.parametrize("name", FLOAT + INT8)
def test_parts_are_timed(baselines, name):
    seconds = baselines.contenders[name].graph_seconds(picture(0), QUESTION)
    expected = {"vision", "step"} | ({"answer_kv"} if name.startswith("onnx") else set())
    if baselines.subject.oracle.config.architectures == ["BlipForQuestionAnswering"]:
        expected |= {"question"} | ({"question_kv"} if name.startswith("onnx") else set())
    assert set(seconds) == expected
    assert min(seconds.values()) > 0


def test_tutorials_models_are_smaller_in_int8(answering):
    for name in (tutorial.VISION, tutorial.TEXT_ENCODER, tutorial.TEXT_DECODER):
        fp16, int8 = ((answering.tutorial / f"{name}{ending}.bin").stat().st_size for ending in ("", "_int8"))
        assert int8 < fp16


def test_builders_make_only_what_is_missing(answering, tmp_path):
    for source in (answering.tutorial, answering.onnx):
        for path in (path for path in source.rglob("*") if path.is_file()):
            copy = tmp_path / source.name / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    missing = {
        tmp_path / "tutorial" / f"{tutorial.TEXT_DECODER}_int8.xml",
        tmp_path / "tutorial" / f"{tutorial.VISION}.xml",
        tmp_path / "onnx" / "float" / "answer_kv.onnx",
        tmp_path / "onnx" / "int8" / "question.onnx",
    }
    for path in missing:
        path.unlink()
    graphs_there = {
        path: path.stat().st_mtime_ns for ending in ("xml", "onnx") for path in tmp_path.rglob(f"*.{ending}")
    }

    def unwanted():
        raise AssertionError("nothing needs calibration")
        yield

    tutorial.build_tutorial(answering.subject.folder, tmp_path / "tutorial", unwanted(), samples=2)
    onnx_runtime.build_onnx(answering.subject.folder, tmp_path / "onnx")
    assert all(path.exists() for path in missing)
    assert all(path.stat().st_mtime_ns == made for path, made in graphs_there.items())
    assert not list(tmp_path.rglob("*partial*"))


def test_an_interrupted_file_is_not_taken_for_whole(tmp_path):
    common = pytest.importorskip("blipvino.measure.race.baselines.common")

    def interrupted(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        common.build_once(tmp_path / "model.xml", interrupted)
    assert not (tmp_path / "model.xml").exists()
    common.build_once(tmp_path / "model.xml", lambda path: path.write_text("whole"))
    assert (tmp_path / "model.xml").read_text() == "whole"


def test_modules_compute_what_upstream_does(answering):
    oracle, generator = answering.subject.oracle, torch.Generator().manual_seed(0)
    pixel_values = answering.subject.pixel_values([picture(0), picture(1)])
    ids = torch.randint(1, 150, (2, 6), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    with torch.no_grad():
        embeds = graphs.Vision(oracle.vision_model)(pixel_values)
        torch.testing.assert_close(embeds, oracle.vision_model(pixel_values)[0])
        everywhere = torch.ones(embeds.shape[:2], dtype=torch.long)
        states = graphs.TextEncoder(oracle.text_encoder)(ids, mask, embeds, everywhere)
        expected = oracle.text_encoder(ids, attention_mask=mask, encoder_hidden_states=embeds)[0]
        torch.testing.assert_close(states[mask == 1], expected[mask == 1], rtol=1e-4, atol=1e-4)
        config = oracle.config.text_config
        heads = config.num_attention_heads
        past = [torch.zeros(2, heads, 0, config.hidden_size // heads)] * (2 * config.num_hidden_layers)
        decoder = graphs.TextDecoder(oracle.text_decoder)
        for position in range(ids.shape[1]):
            own = torch.ones(2, position + 1, dtype=torch.long)
            logits, *past = decoder(ids[:, position : position + 1], own, embeds, everywhere, *past)
        expected = oracle.text_decoder(ids, encoder_hidden_states=embeds).logits[:, -1:]
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_the_benchmark_imports_without_the_baselines_libraries():
    lines = [f"sys.modules[{name!r}] = None" for name in ("torch", "transformers", "onnx", "onnxruntime")]
    code = "\n".join(
        [
            "import sys",
            *lines,
            "import blipvino.measure.race.contender, blipvino.measure.race.baselines, blipvino.cli.main",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)
