"""The tutorial's models made of a bundle: its own code runs on them, and generates what blipvino does."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from PIL import Image
from subjects import EXACT, scene_image, scene_questions

from blipvino import Blip, EngineOptions, ExportError, export_openvino
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.demo import CHECKPOINT
from blipvino.errors import OutputError
from blipvino.export.tutorial_graphs import TEXT_DECODER, TEXT_ENCODER, VISION, text_decoder, text_encoder, vision_model
from blipvino.graphs.arithmetic import in_float
from blipvino.graphs.building import build_graph
from blipvino.machine.core import openvino_core

torch = pytest.importorskip("torch")
torch_graphs = pytest.importorskip("blipvino.measure.race.baselines.torch_graphs")
tutorial = pytest.importorskip("blipvino.measure.race.baselines.tutorial")

# As the bundle's numbers say, on every CPU: no 8-bit kernels, no activations rounded as they come.
PLAIN = {
    "INFERENCE_PRECISION_HINT": "f32",
    "INFERENCE_NUM_THREADS": 1,
    "LP_TRANSFORMS_MODE": "NO",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
SIMULATED = EngineOptions(precision="f32", threads=1, arithmetic="simulated")
FLOAT = EngineOptions(precision="f32", threads=1, arithmetic="float")
NEW_TOKENS = 6
LONGEST = 20


@dataclass(frozen=True)
class Exported:
    """A bundle and what became of it: the folder of its three models, and the models that run it both ways."""

    bundle: Path
    folder: Path
    precision: str
    blip: Blip

    @property
    def pipeline(self):
        return tutorial.TutorialPipeline(self.folder, self.precision, PLAIN)

    def path(self, name):
        return self.folder / f"{name}{'_int8' if self.precision == 'int8' else ''}.xml"

    def compiled(self, name):
        return openvino_core().compile_model(self.path(name), "CPU", PLAIN)


@pytest.fixture(scope="module")
def exported_fp16(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fp16") / "models"
    export_openvino(demo.bundle, folder, show_progress=False)
    return Exported(demo.bundle, folder, "fp16", demo.blip)


@pytest.fixture(scope="module")
def exported_int8(int8, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8") / "models"
    export_openvino(int8, folder, show_progress=False)
    return Exported(int8, folder, "int8", Blip.load(int8, options=SIMULATED))


@pytest.fixture(scope="module")
def exported_int8_in_float(exported_int8, tmp_path_factory):
    """The same with activations in float: quantizers turn the last bit of a sum into a step, now and then."""
    folder = shutil.copytree(exported_int8.folder, tmp_path_factory.mktemp("int8") / "float")
    for path in exported_int8.folder.glob("*.xml"):
        model = openvino_core().read_model(path)
        in_float(model)
        ov.save_model(model, folder / path.name, compress_to_fp16=False)
    return Exported(exported_int8.bundle, folder, "int8", Blip.load(exported_int8.bundle, options=FLOAT))


@pytest.fixture(params=["exported_fp16", "exported_int8"])
def exported(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["exported_fp16", "exported_int8_in_float"])
def in_floats(request):
    return request.getfixturevalue(request.param)


def picture(index):
    return Image.fromarray(scene_image(index))


def without_start(blip, rows):
    return [row[len(blip.texts.prompt(None)) :] for row in rows]


EXACTLY = {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS}


@pytest.mark.slow
def test_the_benchs_rebuild_captions_as_blipvino_does(in_floats):
    pipeline, images = in_floats.pipeline, [picture(index) for index in range(24)]
    found = [row for start in range(0, 24, 4) for row in pipeline.caption(images[start : start + 4], NEW_TOKENS)]
    assert found == without_start(in_floats.blip, in_floats.blip.caption_ids(images, **EXACTLY))
    assert len(set(map(tuple, found))) > 6


def test_the_benchs_rebuild_answers_as_blipvino_does(in_floats):
    pipeline, blip = in_floats.pipeline, in_floats.blip
    seen = set()
    for index in range(12):
        image, questions = picture(index), scene_questions(index)[:3]
        found = [pipeline.answer([image], [question], NEW_TOKENS)[0] for question in questions]
        assert found == without_start(blip, blip.answer_ids(image, questions, **EXACTLY))
        seen |= set(map(tuple, found))
    assert len(seen) > 6


def test_quantized_activations_say_what_they_do_in_the_bundle(exported_int8):
    pipeline, blip = exported_int8.pipeline, exported_int8.blip
    alike = []
    for index in range(12):
        image, questions = picture(index), scene_questions(index)[:3]
        for question, expected in zip(questions, blip.answer_ids(image, questions), strict=True):
            (told,) = without_start(blip, [expected])  # until it closes, which the pipeline never does
            alike.append(pipeline.answer([image], [question], len(told)) == [told])
    assert len(alike) > 30
    assert np.mean(alike) > 0.9  # and not 1: see `exported_int8_in_float`


@dataclass
class Notebook:
    """What the notebook's ``OVBlipModel`` and ``text_decoder_forward`` call, in their order.

    In place of `transformers`' ``generate``, whose caches today's versions make themselves, there is a greedy loop.
    """

    config: Any
    vision_model: ov.CompiledModel
    text_encoder: ov.CompiledModel | None
    text_decoder: ov.CompiledModel

    def generate_answer(self, pixel_values, input_ids, attention_mask):
        assert self.text_encoder is not None
        image_embed = self.vision_model(pixel_values)[self.vision_model.output(0)]
        image_mask = np.ones(image_embed.shape[:-1], dtype=int)
        inputs = [input_ids, attention_mask, image_embed, image_mask]
        question_embeds = self.text_encoder(inputs)[self.text_encoder.output(0)]
        start = np.full((question_embeds.shape[0], 1), fill_value=self.config.bos_token_id)
        return self._generate(start, question_embeds, np.ones(question_embeds.shape[:-1], dtype=int))

    def generate_caption(self, pixel_values, input_ids=None):
        image_embeds = self.vision_model(pixel_values)[self.vision_model.output(0)]
        if input_ids is None:
            input_ids = np.full((pixel_values.shape[0], 1), self.config.bos_token_id)
        return self._generate(input_ids, image_embeds, np.ones(image_embeds.shape[:-1], dtype=int))

    def _generate(self, input_ids, states, mask, max_new_tokens=LONGEST):
        row, past = [int(token) for token in input_ids[0]], None
        longest = len(row) + max_new_tokens
        while len(row) < longest and row[-1] != self.config.sep_token_id:
            latest = input_ids if past is None else np.array([row[-1:]])
            logits, past = self._forward(latest, np.ones((1, len(row)), dtype=int), past, states, mask)
            row.append(int(logits[0, -1].argmax()))
        return row

    def _forward(self, input_ids, attention_mask, past_key_values, encoder_hidden_states, encoder_attention_mask):
        inputs = [input_ids, attention_mask, encoder_hidden_states, encoder_attention_mask]
        if past_key_values is None:
            for port in self.text_decoder.inputs[4:]:
                shape = port.partial_shape
                shape[0], shape[2] = 1, 0
                inputs.append(ov.Tensor(ov.Type.f32, shape.get_shape()))
        else:
            inputs.extend(past_key_values)
        outputs = self.text_decoder(inputs)
        return outputs[0], list(outputs.values())[1:]


def test_the_notebooks_calls_run_on_them(in_floats):
    blip = in_floats.blip
    inputs = tutorial.Inputs.load(in_floats.folder)
    notebook = Notebook(
        inputs.config.text, *(in_floats.compiled(name) for name in (VISION, TEXT_ENCODER, TEXT_DECODER))
    )
    for index in range(4):
        image, question = picture(index), scene_questions(index)[0]
        pixel_values, tokens = inputs.pixel_values([image]), inputs.texts.questions([question])
        found = notebook.generate_answer(pixel_values, tokens.input_ids, tokens.attention_mask)
        assert blip.texts.decode(found) == blip.answer(image, question, max_new_tokens=LONGEST)
        assert blip.texts.decode(notebook.generate_caption(pixel_values)) == blip.caption(image, max_new_tokens=LONGEST)
        prompt = np.array([blip.texts.prompt("a large")])
        found = notebook.generate_caption(pixel_values, prompt)
        assert blip.texts.decode(found) == blip.caption(image, prompt="a large", max_new_tokens=LONGEST)


def ports(model):
    """Names, types and open dimensions of inputs, and the same of outputs without the names, which code never reads."""
    inputs = [(port.get_node().get_friendly_name(), port.get_element_type()) for port in model.inputs]
    assert all(name in port.get_names() for (name, _), port in zip(inputs, model.inputs, strict=True))
    shapes = [[dimension.is_dynamic for dimension in port.get_partial_shape()] for port in model.outputs]
    return inputs, shapes


@pytest.mark.slow
def test_inputs_and_outputs_are_those_of_models_that_are_converted_from_torch(exported_fp16, demo, tmp_path):
    tutorial.copy_inputs(CHECKPOINT, tmp_path)
    tutorial._convert(CHECKPOINT, tmp_path)
    core = openvino_core()
    for name in (VISION, TEXT_ENCODER, TEXT_DECODER):
        found, expected = (core.read_model(folder / f"{name}.xml") for folder in (exported_fp16.folder, tmp_path))
        inputs, shapes = ports(found)
        expected_inputs, expected_shapes = ports(expected)
        if name == TEXT_DECODER:  # the notebook's has one more input, which the bench's rebuild does without
            assert inputs.pop(1) == ("attention_mask", ov.Type.i64)
            layers = demo.oracle.config.text_config.num_hidden_layers
            past = [f"past_{kind}.{layer}" for layer in range(layers) for kind in ("key", "value")]
            assert [name for name, _ in inputs[3:]] == past
            assert [kind.split(".")[0] for kind, _ in expected_inputs[3:]] == ["past_key", "past_value"] * layers
            del inputs[3:], expected_inputs[3:]
            assert found.outputs[0].get_any_name() == "logits"
            assert [port.get_any_name() for port in found.outputs[1:]] == [
                port.replace("past", "present") for port in past
            ]
        assert inputs == expected_inputs
        assert [len(shape) for shape in shapes] == [len(shape) for shape in expected_shapes]
        assert len(found.inputs) == len(expected.inputs) + (name == TEXT_DECODER)


def test_the_notebooks_quantization_runs_on_them(exported_fp16, tmp_path):
    folder = shutil.copytree(exported_fp16.folder, tmp_path / "models")
    before = {path: path.read_bytes() for path in folder.glob("*.bin")}
    pairs = [(picture(index), scene_questions(index)[0]) for index in range(4)]
    tutorial.build_tutorial(CHECKPOINT, folder, pairs, samples=4)
    assert all(path.read_bytes() == content for path, content in before.items())
    pipeline = tutorial.TutorialPipeline(folder, "int8", PLAIN)
    assert [len(row) for row in pipeline.caption([picture(0)], 3)] == [3]
    assert [len(row) for row in pipeline.answer([picture(0)], [scene_questions(0)[0]], 3)] == [3]
    for path, content in before.items():
        assert path.with_stem(f"{path.stem}_int8").stat().st_size < 0.6 * len(content)


def test_weights_stay_as_small_as_they_were(exported):
    size = sum(path.stat().st_size for path in exported.folder.glob("*.bin"))
    assert size == pytest.approx(sum(path.stat().st_size for path in exported.bundle.glob("*.bin")), rel=0.01)
    for name in (VISION, TEXT_ENCODER):
        quantizers = [node for node in openvino_core().read_model(exported.path(name)).get_ops() if is_quantizer(node)]
        assert bool(quantizers) == (exported.precision == "int8")


def is_quantizer(node):
    return node.get_type_name() == "FakeQuantize"


@pytest.fixture(scope="module")
def graphs(tiny_vqa):
    """The three models of the tiny checkpoint in float32, compiled."""
    with load_checkpoint(tiny_vqa.folder) as opened:
        kv, question, answer_kv, answer = (
            build_graph(opened, name) for name in ("question_kv", "question", "answer_kv", "answer")
        )
        vision = vision_model(build_graph(opened, "vision"), opened.preprocessor_config)
    models = (vision, text_encoder(kv, question), text_decoder(answer_kv, answer))
    return {model.get_friendly_name(): openvino_core().compile_model(model, "CPU", PLAIN) for model in models}


@torch.no_grad()
def test_vision_is_upstreams(graphs, tiny_vqa):
    pixel_values = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = tiny_vqa.oracle.vision_model(pixel_values)[0]
    assert_close(graphs[VISION](pixel_values.numpy())[0], expected)


@torch.no_grad()
def test_both_masks_of_the_text_encoder_are_used(graphs, tiny_vqa):
    module = torch_graphs.TextEncoder(tiny_vqa.oracle.text_encoder)
    ids, mask, states, source_mask = source(tiny_vqa.oracle.config)
    expected = module(ids, mask, states, source_mask)
    assert_close(graphs[TEXT_ENCODER]([ids, mask, states, source_mask])[0], expected)
    unmasked = module(ids, mask, states, torch.ones_like(source_mask))
    assert (expected - unmasked).abs().max() > 0.01


@torch.no_grad()
def test_the_decoder_masks_its_source(graphs, tiny_vqa):
    oracle = tiny_vqa.oracle
    ids, _, states, source_mask = source(oracle.config)
    module = torch_graphs.TextDecoder(oracle.text_decoder)
    text = oracle.config.text_config
    empty = torch.zeros(2, text.num_attention_heads, 0, text.hidden_size // text.num_attention_heads)
    past = found = [empty] * (2 * text.num_hidden_layers)
    for step in range(ids.shape[1]):
        token, own = ids[:, step : step + 1], torch.ones(2, step + 1, dtype=torch.long)
        expected, *past = module(token, own, states, source_mask, *past)
        logits, *found = graphs[TEXT_DECODER]([token, own, states, source_mask, *found]).values()
        assert_close(logits, expected)
    for present, wanted in zip(found, past, strict=True):
        assert_close(present, wanted)


@torch.no_grad()
def test_the_decoder_takes_several_tokens_and_masks_some(graphs, tiny_vqa):
    oracle = tiny_vqa.oracle
    ids, mask, states, _ = source(oracle.config)
    everywhere, text = torch.ones(states.shape[:2], dtype=torch.long), oracle.config.text_config
    empty = np.zeros((2, text.num_attention_heads, 0, text.hidden_size // text.num_attention_heads), np.float32)
    options = {"encoder_hidden_states": states, "encoder_attention_mask": everywhere, "is_decoder": True}
    expected = oracle.text_decoder(ids, attention_mask=mask, **options).logits
    first, *past = graphs[TEXT_DECODER](
        [ids[:, :4], mask[:, :4], states, everywhere, *[empty] * (2 * text.num_hidden_layers)]
    ).values()
    later = graphs[TEXT_DECODER]([ids[:, 4:], mask, states, everywhere, *past])[0]
    seen = mask.bool().numpy()
    assert_close(np.concatenate([first, later], axis=1)[seen], expected[seen])
    unmasked = oracle.text_decoder(ids, attention_mask=torch.ones_like(mask), **options).logits
    assert (expected - unmasked)[seen].abs().max() > 0.01


def source(config):
    """Tokens of two rows and their mask, with padding in the middle; random states and a mask over them."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 150, (2, 6), generator=generator)
    mask, source_mask = torch.ones_like(ids), torch.ones(2, 9, dtype=torch.long)
    mask[1, 2:4], source_mask[0, 5:] = 0, 0
    return ids, mask, torch.randn(2, 9, config.vision_config.hidden_size, generator=generator), source_mask


def assert_close(found, expected):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4


def test_a_captioning_model_becomes_two(tiny_captioner, tmp_path):
    made = export_openvino(tiny_captioner.bundle, tmp_path / "models", show_progress=False)
    assert [name for name in made.sizes if name.endswith(".xml")] == [f"{name}.xml" for name in (TEXT_DECODER, VISION)]
    assert made.record.precision == "fp16"
    pipeline = tutorial.TutorialPipeline(tmp_path / "models", "fp16", PLAIN)
    images = [picture(index) for index in range(3)]
    blip = Blip.load(tiny_captioner.bundle, options=EXACT)
    assert pipeline.caption(images, NEW_TOKENS) == without_start(blip, blip.caption_ids(images, **EXACTLY))


def test_a_folder_that_holds_something_is_left_alone(demo, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ExportError, match="is not an export, so it is left alone"):
            export_openvino(demo.bundle, tmp_path, overwrite=overwrite, show_progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_model_that_is_cut_short_is_told_and_nothing_is_left(demo, tmp_path, monkeypatch):
    save = ov.save_model

    def cut_short(model, path, **options):
        save(model, path, **options)
        written = Path(path)
        if written.stem == TEXT_DECODER:
            written.write_bytes(written.read_bytes()[:1000])

    monkeypatch.setattr(ov, "save_model", cut_short)
    with pytest.raises(OutputError, match=f"{TEXT_DECODER}.xml could not be written whole; is the disk full"):
        export_openvino(demo.bundle, tmp_path / "models", show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_same_bundle_makes_the_same_files(exported_int8, tmp_path):
    export_openvino(exported_int8.bundle, tmp_path / "again", show_progress=False)
    for path in exported_int8.folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_folder_tells_what_it_was_made_of(exported_int8, exported_fp16):
    record = json.loads((exported_int8.folder / "export.json").read_text())
    assert (record["format"], record["precision"], record["recipe"]) == ("openvino", "int8", "int8-int4")
    assert record["bundle"] == exported_int8.blip.bundle.fingerprint
    assert set(record["files"]) == {path.name for path in exported_int8.folder.iterdir()} - {"export.json"}
    assert json.loads((exported_fp16.folder / "export.json").read_text())["precision"] == "fp16"


def test_a_model_for_retrieval_is_refused(tiny_retriever, tmp_path):
    with pytest.raises(ExportError, match="models for retrieval cannot be exported"):
        export_openvino(tiny_retriever.bundle, tmp_path / "export", show_progress=False)
    assert not (tmp_path / "export").exists()
