"""ONNX models compute what the bundle computes, with the inputs and outputs that their users know."""

import json
import shutil
import sys

import numpy as np
import onnx
import pytest
from onnx_subjects import LONGEST, NAMES, exported, ratio_db
from subjects import scene_image, scene_questions

from blipvino import ExportError, InputError, OutputError, export_onnx
from blipvino.export import onnx_export

QUESTIONS, CAPTIONS = 200, 100


def asked(count):
    """Images and questions of the demo's test split."""
    pairs = ((image, question) for image in range(count) for question in scene_questions(image)[:2])
    return [pair for _, pair in zip(range(count), pairs, strict=False)]


def differing(blip, models, questions, captions):
    """Questions and scenes of which the export's tokens are not blipvino's."""
    pixels = {image: blip.images.pixel_values([scene_image(image)]) for image in range(max(questions // 2, captions))}
    found = []
    for image, question in asked(questions):
        ours = blip.answer(scene_image(image), question, return_details=True, max_new_tokens=LONGEST)
        if models.answer(pixels[image], blip.texts.question(question)) != ours.token_ids:
            found.append(question)
    for image in range(captions):
        ours = blip.caption(scene_image(image), return_details=True, max_new_tokens=LONGEST)
        if models.caption(pixels[image]) != ours.token_ids:
            found.append(image)
    return found


def test_texts_in_float_are_ours(demo_float):
    assert differing(*demo_float, QUESTIONS, CAPTIONS) == []


def test_texts_in_8_bits_are_ours(demo_quantized):
    assert differing(*demo_quantized, 40, 20) == []


def test_texts_on_8_bit_kernels_are_mostly_ours(demo_quantized):
    blip, models = demo_quantized
    here = exported(models.folder, blip, in_float=False)
    assert len(differing(blip, here, 40, 20)) <= 6


@pytest.mark.parametrize(("pair", "least"), [("demo_float", 100), ("demo_quantized", 35), ("tiny_quantized", 35)])
def test_every_model_computes_what_its_graphs_compute(pair, least, request):
    blip, models = request.getfixturevalue(pair)
    images = [scene_image(1), scene_image(2)]
    questions = blip.texts.questions(["red?", "what color is the object left of the ring?"])
    embeds = blip.components.extractor.engine.image_embeds(blip.images.pixels(images))
    assert ratio_db(embeds, models.embeds(blip.images.pixel_values(images))) > least
    engine = blip.components.extractor.engine
    states = engine.question_states(*as_tokens(questions), engine.question_kv(embeds[:1]))
    inside = questions.attention_mask == 1
    found = models.states(*as_tokens(questions), embeds[:1])  # one image, two rows
    assert ratio_db(states[inside], found[inside]) > least
    pieces = [np.array([[5, 7, 9], [5, 8, 11]]), np.array([[12, 13], [14, 15]]), np.array([[16], [17]])]
    logits = models.steps(states, questions.attention_mask, *pieces)
    assert [each.shape[:2] for each in logits] == [(2, 3), (2, 2), (2, 1)]
    with engine.lock:
        step = engine.decode(states, questions.attention_mask)
        for piece, made in zip(pieces, logits, strict=True):
            assert ratio_db(step(piece, np.arange(2)).logits(), made[:, -1]) > least


def as_tokens(batch):
    return batch.input_ids, batch.attention_mask


def test_a_text_does_not_depend_on_how_it_is_cut_into_steps(demo_float):
    blip, models = demo_float
    embeds = models.embeds(blip.images.pixel_values([scene_image(4)]))
    mask, text = np.ones(embeds.shape[:2], np.int64), np.array([[5, 20, 30, 40]])
    (whole,) = models.steps(embeds, mask, text)
    pieces = np.concatenate(models.steps(embeds, mask, text[:, :1], text[:, 1:3], text[:, 3:]), axis=1)
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_an_empty_past_is_the_first_step(demo_float):
    blip, models = demo_float
    embeds = models.embeds(blip.images.pixel_values([scene_image(4)]))
    known = {"encoder_attention_mask": np.ones(embeds.shape[:2], np.int64), "input_ids": np.array([[5, 20]])}
    made = models.run("decoder_model", {**known, "encoder_hidden_states": embeds})
    past = {key.replace("present", "past_key_values"): value for key, value in made.items() if ".encoder." in key}
    for port in models.sessions["decoder_with_past_model"].get_inputs():
        if ".decoder." in port.name:
            past[port.name] = np.zeros((1, port.shape[1], 0, port.shape[3]), np.float32)
    again = models.run("decoder_with_past_model", {**known, **past})
    np.testing.assert_allclose(again["logits"], made["logits"], atol=1e-4)


def test_masked_positions_of_a_source_do_not_count(demo_float):
    blip, models = demo_float
    embeds = models.embeds(blip.images.pixel_values([scene_image(4)]))
    text = np.array([[5, 20]])
    (short,) = models.steps(embeds[:, :9], np.ones((1, 9), np.int64), text)
    mask = np.array([[1] * 9 + [0] * (embeds.shape[1] - 9)])
    (masked,) = models.steps(embeds, mask, text)
    np.testing.assert_allclose(masked, short, atol=1e-4)


def test_names_and_shapes_are_those_of_optimum(tiny_quantized):
    _, models = tiny_quantized
    ports = {
        name: [
            {port.name: port.shape for port in ports if not any(f".{layer}." in port.name for layer in range(1, 9))}
            for ports in (session.get_inputs(), session.get_outputs())
        ]
        for name, session in models.sessions.items()
    }
    assert tuple(ports) == NAMES
    batch, tokens, sources, positions = "batch_size", "sequence_length", "source_batch_size", "encoder_sequence_length"
    past, present = "past_decoder_sequence_length", "past_decoder_sequence_length + sequence_length"
    pair = ("key", "value")
    ids, states, mask = {"input_ids": [batch, tokens]}, [sources, positions, 48], [sources, positions]
    left = {f"present.0.decoder.{kind}": [batch, 4, present, 12] for kind in pair}
    assert ports["vision_model"] == [{"pixel_values": [batch, 3, 32, 32]}, {"last_hidden_state": [batch, 17, 48]}]
    assert ports["text_encoder_model"] == [
        {**ids, "attention_mask": [batch, tokens], "encoder_hidden_states": states},
        {"last_hidden_state": [batch, tokens, 48]},
    ]
    logits = {"logits": [batch, tokens, 206]}
    projected = {f"present.0.encoder.{kind}": [sources, 4, positions, 12] for kind in pair}
    assert ports["decoder_model"] == [
        {**ids, "encoder_hidden_states": states, "encoder_attention_mask": mask},
        {**logits, **left, **projected},
    ]
    known = {f"past_key_values.0.decoder.{kind}": [batch, 4, past, 12] for kind in pair}
    known |= {f"past_key_values.0.encoder.{kind}": [sources, 4, positions, 12] for kind in pair}
    assert ports["decoder_with_past_model"] == [{**ids, "encoder_attention_mask": mask, **known}, {**logits, **left}]


@pytest.mark.parametrize("pair", ["demo_float", "demo_quantized", "tiny_quantized"])
def test_models_pass_the_checker_with_shapes_inferred(pair, request):
    _, models = request.getfixturevalue(pair)
    for name in NAMES:
        onnx.checker.check_model(str(models.folder / f"{name}.onnx"), full_check=True)


def test_weights_keep_their_bits_and_are_there_once(demo_quantized, int8):
    _, models = demo_quantized
    decoders = [onnx.load(models.folder / f"{name}.onnx", load_external_data=False) for name in NAMES[2:]]
    large = [[each for each in model.graph.initializer if each.external_data] for model in decoders]
    for tensors in large:
        assert {tensor.data_type for tensor in tensors} >= {onnx.TensorProto.INT4, onnx.TensorProto.UINT8}
    places = [{tensor.name: tuple((e.key, e.value) for e in tensor.external_data) for tensor in each} for each in large]
    assert set(places[1].values()) <= set(places[0].values())
    in_bundle = sum((int8 / f"{name}.bin").stat().st_size for name in ("answer", "answer_kv"))
    # The bundle's floats are in half precision.
    assert (models.folder / "decoder_model.onnx_data").stat().st_size < 1.2 * in_bundle


def test_a_word_table_that_projects_too_is_there_once_and_read_by_each_alone(demo_quantized):
    """ONNX Runtime fuses a product with its 8-bit weight only where nothing else reads the weight."""
    _, models = demo_quantized
    model = onnx.load(models.folder / "decoder_with_past_model.onnx", load_external_data=False)
    tables = [each for each in model.graph.initializer if list(each.dims) == [192, 206]]
    assert len(tables) == 2
    assert len({tuple((entry.key, entry.value) for entry in each.external_data) for each in tables}) == 1
    readers = {each.name: [node.op_type for node in model.graph.node if each.name in node.input] for each in tables}
    assert sorted(readers.values()) == [["DequantizeLinear"], ["Gather"]]


def test_half_precision_is_half_the_size_and_the_same_numbers(demo_float, tmp_path, demo):
    blip, models = demo_float
    half = exported(export_onnx(demo.bundle, tmp_path / "fp16", show_progress=False).folder, blip)
    pixel_values = blip.images.pixel_values([scene_image(3)])
    np.testing.assert_allclose(half.embeds(pixel_values), models.embeds(pixel_values), atol=1e-5)
    sizes = [(each.folder / "vision_model.onnx").stat().st_size for each in (half, models)]
    assert sizes[0] < 0.55 * sizes[1]


def test_a_quantized_bundle_in_float_rounds_no_activations(tiny_int8, tmp_path):
    folder = export_onnx(tiny_int8, tmp_path / "fp32", precision="fp32", show_progress=False).folder
    for name in NAMES:
        model = onnx.load(folder / f"{name}.onnx", load_external_data=False)
        assert not {node.op_type for node in model.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
        assert {each.data_type for each in model.graph.initializer} <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


def test_a_captioner_whose_towers_differ(tiny_captioner, tmp_path):
    folder = export_onnx(tiny_captioner.bundle, tmp_path / "out", precision="fp32", show_progress=False).folder
    assert not (folder / "text_encoder_model.onnx").exists()
    models = exported(folder, tiny_captioner.blip)
    for number in range(5):
        ours = tiny_captioner.blip.caption(scene_image(number), return_details=True, max_new_tokens=LONGEST)
        assert models.caption(tiny_captioner.blip.images.pixel_values([scene_image(number)])) == ours.token_ids


def test_what_is_too_large_for_a_model_lies_beside_it(demo_float, tmp_path, demo, monkeypatch):
    blip, models = demo_float
    monkeypatch.setattr(onnx_export, "LARGEST", 10_000)
    folder = export_onnx(demo.bundle, tmp_path / "out", precision="fp32", show_progress=False).folder
    assert (folder / "vision_model.onnx").stat().st_size < 1e6 < (folder / "vision_model.onnx_data").stat().st_size
    pixel_values = blip.images.pixel_values([scene_image(3)])
    np.testing.assert_array_equal(exported(folder, blip).embeds(pixel_values), models.embeds(pixel_values))


def test_the_folder_tells_what_it_was_made_of(demo_quantized, int8):
    blip, models = demo_quantized
    record = json.loads((models.folder / "export.json").read_text())
    assert (record["format"], record["precision"], record["recipe"]) == ("onnx", "int8", "int8-int4")
    assert record["bundle"] == blip.bundle.fingerprint
    assert set(record["files"]) == {path.name for path in models.folder.iterdir()} - {"export.json"}
    for name in ("tokenizer.json", "preprocessor_config.json", "config.json"):
        assert (models.folder / name).read_bytes() == (int8 / name).read_bytes()


def test_a_folder_is_replaced_only_if_it_is_an_export(demo, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ExportError, match="is not an export, so it is left alone"):
            export_onnx(demo.bundle, target, overwrite=overwrite, show_progress=False)
    assert (target / "mine.txt").read_text() == "mine"
    shutil.rmtree(target)
    export_onnx(demo.bundle, target, precision="fp32", show_progress=False)
    with pytest.raises(ExportError, match="already holds an export"):
        export_onnx(demo.bundle, target, show_progress=False)
    made = export_onnx(demo.bundle, target, overwrite=True, show_progress=False)
    assert json.loads((target / "export.json").read_text())["precision"] == made.record.precision == "fp16"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_bundle_holds_no_export(demo, tmp_path):
    for target in (demo.bundle / "onnx", demo.bundle / "deeper/onnx"):
        with pytest.raises(ExportError, match=r"is inside the bundle|is not a folder"):
            export_onnx(demo.bundle, target, show_progress=False)
    assert not (demo.bundle / "onnx").exists()


def test_a_failure_leaves_what_was_there(demo, tmp_path, monkeypatch):
    target = tmp_path / "out"
    export_onnx(demo.bundle, target, show_progress=False)
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_export, "readme", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        export_onnx(demo.bundle, target, overwrite=True, show_progress=False)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_8_bits_are_not_made_up(demo, tmp_path):
    with pytest.raises(ExportError, match="precision int8 needs 8-bit weights"):
        export_onnx(demo.bundle, tmp_path / "out", precision="int8", show_progress=False)
    with pytest.raises(InputError, match="precision is 'int7'"):
        export_onnx(demo.bundle, tmp_path / "out", precision="int7", show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_extra(demo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "blipvino.export.onnx_export", None)
    with pytest.raises(ExportError, match=r"pip install 'blipvino\[export\]'"):
        export_onnx(demo.bundle, tmp_path / "out", show_progress=False)
