"""Every graph computes what the transformers module that it stands for computes, in float32.

transformers 5 drops the mask of the cross-attention (``BlipTextLayer`` takes it and passes it to nobody), so a padded
row is compared with the same row alone, without padding.
"""

import gc

import numpy as np
import pytest
from compiled_graphs import assert_close, compile_graph, random_states, random_tokens, run
from subjects import scene_image, write_preprocessor

from blipvino.checkpoint.architectures import RETRIEVAL
from blipvino.graphs.specs import GRAPHS, graph_names
from blipvino.graphs.text import cross_port

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


class Decoder:
    """The stateful `answer` graph over some sources, stepped by hand."""

    def __init__(self, compiled, cross, source_mask):
        self.request = compiled.create_infer_request()
        self.fixed = {**cross, "source_mask": source_mask}
        self.past = 0

    def step(self, tokens, beam_idx=None):
        """Feed tokens ``[R, T]``; returns the logits ``[R, vocab]`` after the last of them."""
        rows, length = tokens.shape
        positions = np.broadcast_to(np.arange(self.past, self.past + length), tokens.shape)
        self.past += length
        order = np.arange(rows) if beam_idx is None else np.array(beam_idx)
        inputs = {"input_ids": tokens, "position_ids": positions, "beam_idx": order.astype(np.int32), **self.fixed}
        return np.array(self.request.infer(inputs)["logits"])


@pytest.fixture(scope="module")
def graphs(subject):
    """The subject's graphs, dynamic, by name."""
    return {name: compile_graph(subject.folder, name) for name in graph_names(subject.exact.config.architecture)}


@pytest.fixture(scope="module")
def decoder_parts(subject):
    """The decoder alone, over random states as its sources."""
    return compile_graph(subject.folder, "answer_kv"), compile_graph(subject.folder, "answer")


def decoder_logits(oracle, tokens, states):
    """transformers' logits after every token, without a cache."""
    decoder = oracle.text_decoder
    return decoder(torch.tensor(tokens), encoder_hidden_states=torch.tensor(states)).logits.numpy()


def encoder_states(oracle, tokens, embeds):
    """transformers' question states, for questions without padding."""
    encoder = oracle.text_encoder
    return encoder(torch.tensor(tokens), encoder_hidden_states=torch.tensor(embeds))[0].numpy()


def test_vision(subject):
    images = [scene_image(index) for index in range(3)]
    compiled = compile_graph(subject.folder, "vision")
    found = run(compiled, {"pixels": subject.exact.images.pixels(images)})["image_embeds"]
    assert_close(found, subject.oracle.vision_model(pixel_values=subject.pixel_values(images))[0])


def test_vision_of_extreme_pixels(subject):
    size = subject.exact.config.vision.image_size
    images = np.stack([np.full((size, size, 3), value, np.uint8) for value in (0, 255)])
    found = run(compile_graph(subject.folder, "vision"), {"pixels": images})["image_embeds"]
    assert_close(found, subject.oracle.vision_model(pixel_values=subject.pixel_values(list(images)))[0])


def cross_modules(oracle, name):
    """The self-part of each layer's cross-attention, of the graph that projects its keys and values."""
    tower = oracle.text_encoder if name == "question_kv" else oracle.text_decoder.bert
    return [layer.crossattention.self for layer in tower.encoder.layer]


@pytest.mark.parametrize("name", ["question_kv", "answer_kv"])
def test_cross_keys_and_values(subject, name):
    config = subject.exact.config
    if name not in graph_names(config.architecture):
        pytest.skip("a captioning checkpoint has no question encoder")
    states = random_states(config.text, 2, 7)
    port = "image_embeds" if name == "question_kv" else "source_states"
    found = run(compile_graph(subject.folder, name), {port: states})
    for layer, module in enumerate(cross_modules(subject.oracle, name)):
        shape = (2, 7, config.text.num_attention_heads, config.text.head_size)
        keys = module.key(torch.tensor(states)).view(shape).permute(0, 2, 3, 1) / config.text.head_size**0.5
        assert_close(found[cross_port("key", layer)], keys)
        assert_close(found[cross_port("value", layer)], module.value(torch.tensor(states)).view(shape).transpose(1, 2))
    assert len(found) == 2 * config.text.num_hidden_layers


def test_question_states(answerer):
    config = answerer.exact.config.text
    embeds = random_states(config, 1, 5)
    tokens = random_tokens(config, 1, 9)
    cross = run(compile_graph(answerer.folder, "question_kv"), {"image_embeds": embeds})
    inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), **cross}
    found = run(compile_graph(answerer.folder, "question"), inputs)["question_states"]
    assert_close(found, encoder_states(answerer.oracle, tokens, embeds))


def test_padded_questions_of_several_images(answerer):
    """Rows of one image follow one another (R is a multiple of B); each is what it is alone and unpadded."""
    config = answerer.exact.config.text
    embeds = random_states(config, 2, 5)
    lengths = [3, 9, 1, 6, 9, 2]
    tokens = random_tokens(config, 6, 9)
    mask = (np.arange(9) < np.array(lengths)[:, None]).astype(np.int64)
    cross = run(compile_graph(answerer.folder, "question_kv"), {"image_embeds": embeds})
    inputs = {"input_ids": np.where(mask, tokens, config.pad_token_id), "attention_mask": mask, **cross}
    found = run(compile_graph(answerer.folder, "question"), inputs)["question_states"]
    for row, length in enumerate(lengths):
        image = row // 3
        alone = encoder_states(answerer.oracle, tokens[row : row + 1, :length], embeds[image : image + 1])
        assert_close(found[row : row + 1, :length], alone)


def test_answer_prompt_and_steps(subject, decoder_parts):
    """A prompt of several tokens at once, then a token at a time."""
    config = subject.exact.config.text
    states, tokens = random_states(config, 3, 6), random_tokens(config, 3, 8)
    expected = decoder_logits(subject.oracle, tokens, states)
    kv, answer = decoder_parts
    decoder = Decoder(answer, run(kv, {"source_states": states}), np.ones((3, 6), np.int64))
    assert_close(decoder.step(tokens[:, :4]), expected[:, 3])
    for position in range(4, 8):
        assert_close(decoder.step(tokens[:, position : position + 1]), expected[:, position])


def test_answer_token_by_token_equals_all_at_once(subject, decoder_parts):
    config = subject.exact.config.text
    states, tokens = random_states(config, 2, 4), random_tokens(config, 2, 5)
    kv, answer = decoder_parts
    cross, mask = run(kv, {"source_states": states}), np.ones((2, 4), np.int64)
    at_once = Decoder(answer, cross, mask).step(tokens)
    decoder = Decoder(answer, cross, mask)
    for position in range(5):
        stepped = decoder.step(tokens[:, position : position + 1])
    assert_close(stepped, at_once)
    assert_close(at_once, decoder_logits(subject.oracle, tokens, states)[:, -1])


def test_answer_masks_its_sources(subject, decoder_parts):
    config = subject.exact.config.text
    lengths = [2, 7, 1, 5]
    states, tokens = random_states(config, 4, 7), random_tokens(config, 4, 3)
    mask = (np.arange(7) < np.array(lengths)[:, None]).astype(np.int64)
    kv, answer = decoder_parts
    decoder = Decoder(answer, run(kv, {"source_states": states}), mask)
    first, second = decoder.step(tokens[:, :2]), decoder.step(tokens[:, 2:])
    for row, length in enumerate(lengths):
        expected = decoder_logits(subject.oracle, tokens[row : row + 1], states[row : row + 1, :length])
        assert_close(first[row : row + 1], expected[:, 1])
        assert_close(second[row : row + 1], expected[:, 2])


def test_answer_over_one_source_position(subject, decoder_parts):
    config = subject.exact.config.text
    states, tokens = random_states(config, 1, 1), random_tokens(config, 1, 2)
    kv, answer = decoder_parts
    decoder = Decoder(answer, run(kv, {"source_states": states}), np.ones((1, 1), np.int64))
    expected = decoder_logits(subject.oracle, tokens, states)
    assert_close(decoder.step(tokens[:, :1]), expected[:, 0])
    assert_close(decoder.step(tokens[:, 1:]), expected[:, 1])


def test_beams_reordered_within_their_source(subject, decoder_parts):
    """Three beams each of two sources: a row that continues another has that one's whole past."""
    config = subject.exact.config.text
    states, tokens = random_states(config, 2, 6), random_tokens(config, 6, 5)
    kv, answer = decoder_parts
    decoder = Decoder(answer, run(kv, {"source_states": states}), np.ones((2, 6), np.int64))
    repeated = states.repeat(3, axis=0)
    said = tokens[:, :3]
    assert_close(decoder.step(said), decoder_logits(subject.oracle, said, repeated)[:, -1])
    for position, order in ((3, [2, 0, 0, 4, 5, 4]), (4, [1, 1, 2, 3, 5, 5])):
        said = np.concatenate([said[order], tokens[:, position : position + 1]], axis=1)
        found = decoder.step(tokens[:, position : position + 1], order)
        assert_close(found, decoder_logits(subject.oracle, said, repeated)[:, -1])


def test_beams_reordered_across_sources(subject, decoder_parts):
    """Only the remembered self-attention moves; a row keeps its own source. The oracle's cache is moved by hand."""
    config = subject.exact.config.text
    states, tokens, order = random_states(config, 4, 6), random_tokens(config, 4, 4), [2, 0, 1, 1]
    kv, answer = decoder_parts
    decoder = Decoder(answer, run(kv, {"source_states": states}), np.ones((4, 6), np.int64))
    decoder.step(tokens[:, :3])
    found = decoder.step(tokens[:, 3:], order)
    sources = {"encoder_hidden_states": torch.tensor(states), "use_cache": True}
    cache = subject.oracle.text_decoder(torch.tensor(tokens[:, :3]), **sources).past_key_values
    unmoved = subject.oracle.text_decoder(torch.tensor(tokens), **sources).logits[:, -1].numpy()
    for layer in cache.self_attention_cache.layers:
        layer.keys, layer.values = layer.keys[order], layer.values[order]
    expected = subject.oracle.text_decoder(torch.tensor(tokens[:, 3:]), past_key_values=cache, **sources).logits
    assert_close(found, expected[:, -1])
    assert np.abs(found - unmoved).max() > 1e-2  # the order matters at all


def test_state_is_forgotten_on_reset(subject, decoder_parts):
    config = subject.exact.config.text
    states, tokens = random_states(config, 2, 3), random_tokens(config, 2, 3)
    kv, answer = decoder_parts
    decoder = Decoder(answer, run(kv, {"source_states": states}), np.ones((2, 3), np.int64))
    first = decoder.step(tokens)
    decoder.step(tokens[:, :1])
    decoder.request.reset_state()
    decoder.past = 0
    np.testing.assert_array_equal(decoder.step(tokens), first)


def test_static_shapes_compute_the_same(subject, graphs):
    """One image and one question, every shape fixed but the tokens of a step: the decoder's length grows anyway."""
    config = subject.exact.config
    pixels = subject.exact.images.pixels([scene_image(0)])
    embeds = run(graphs["vision"], {"pixels": pixels})["image_embeds"]
    tokens = random_tokens(config.text, 1, 6)
    inputs = {"vision": {"pixels": pixels}, "answer_kv": {"source_states": embeds}}
    cross = run(graphs["answer_kv"], inputs["answer_kv"])
    if config.answers_questions:
        inputs["question_kv"] = {"image_embeds": embeds}
        asked = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        inputs["question"] = {**asked, **run(graphs["question_kv"], inputs["question_kv"])}
    for name, given in inputs.items():
        static = compile_graph(subject.folder, name, {port: value.shape for port, value in given.items()})
        assert all(port.partial_shape.is_static for port in static.outputs)
        expected = run(graphs[name], given)
        for port, value in run(static, given).items():
            assert_close(value, expected[port])
    step_shapes = {"input_ids": [1, -1], "position_ids": [1, -1], "beam_idx": [1], "source_mask": embeds.shape[:2]}
    step_shapes |= {port: value.shape for port, value in cross.items()}
    mask = np.ones(embeds.shape[:2], np.int64)
    decoders = [
        Decoder(compiled, cross, mask)
        for compiled in (graphs["answer"], compile_graph(subject.folder, "answer", step_shapes))
    ]
    for position in range(4):
        dynamic, static = (decoder.step(tokens[:, position : position + 1]) for decoder in decoders)
        assert_close(static, dynamic)


def test_stored_copy_of_the_tied_output_changes_nothing(tiny_vqa, tmp_path):
    """Older checkpoints store the output projection as well, equal to the word embeddings."""
    safetensors = pytest.importorskip("safetensors.torch")
    source = tiny_vqa.folder
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = safetensors.load_file(source / "model.safetensors")
    words = tensors["text_decoder.bert.embeddings.word_embeddings.weight"]
    tensors["text_decoder.cls.predictions.decoder.weight"] = words.clone()
    safetensors.save_file(tensors, tmp_path / "model.safetensors")
    assert answer_logits(tiny_vqa, tmp_path) == pytest.approx(answer_logits(tiny_vqa, source), abs=0)


def test_untied_output_is_used(tiny_vqa, tmp_path):
    """A stored output projection that differs from the word embeddings is the one that counts."""
    safetensors = pytest.importorskip("safetensors.torch")
    for path in tiny_vqa.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = safetensors.load_file(tiny_vqa.folder / "model.safetensors")
    words = tensors["text_decoder.bert.embeddings.word_embeddings.weight"]
    tensors["text_decoder.cls.predictions.decoder.weight"] = words.flip(0).contiguous()
    safetensors.save_file(tensors, tmp_path / "model.safetensors")
    bias = tensors["text_decoder.cls.predictions.bias"].numpy()
    tied, untied = answer_logits(tiny_vqa, tiny_vqa.folder), answer_logits(tiny_vqa, tmp_path)
    assert_close(untied - bias, (tied - bias)[:, ::-1])


def answer_logits(subject, folder):
    """The logits of one step of the checkpoint in a folder, which has the subject's shape."""
    config = subject.exact.config.text
    states, tokens = random_states(config, 2, 4), random_tokens(config, 2, 3)
    cross = run(compile_graph(folder, "answer_kv"), {"source_states": states})
    return Decoder(compile_graph(folder, "answer"), cross, np.ones((2, 4), np.int64)).step(tokens)


def test_half_precision_checkpoint(tiny_vqa, tmp_path):
    """The published layout and the demo's: fp16 tensors. The tiny weights fit fp16, so the graphs are equal."""
    model = transformers.BlipForQuestionAnswering.from_pretrained(tiny_vqa.folder, dtype=torch.float16)
    model.save_pretrained(tmp_path)
    write_preprocessor(tmp_path, tiny_vqa.exact.config.vision.image_size)
    pixels = tiny_vqa.exact.images.pixels([scene_image(1)])
    full, half = (run(compile_graph(folder, "vision"), {"pixels": pixels}) for folder in (tiny_vqa.folder, tmp_path))
    np.testing.assert_array_equal(half["image_embeds"], full["image_embeds"])
    np.testing.assert_array_equal(answer_logits(tiny_vqa, tmp_path), answer_logits(tiny_vqa, tiny_vqa.folder))


@pytest.fixture(scope="module")
def base_expectations(tmp_path_factory):
    """Full-size BLIP with random weights: its folder, and what transformers computes. The model itself is let go of."""
    folder = tmp_path_factory.mktemp("base")
    config = transformers.BlipConfig(
        text_config={"num_attention_heads": 12, "initializer_range": 0.02, "eos_token_id": 102, "sep_token_id": 102},
        vision_config={"initializer_range": 0.02},
    )
    torch.manual_seed(0)
    model = transformers.BlipForQuestionAnswering(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(folder)
    write_preprocessor(folder, 384)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 384, 384, 3), dtype=np.uint8)
    question, said = rng.integers(1, 30524, (1, 9)), rng.integers(1, 30524, (1, 5))
    processor = transformers.models.blip.image_processing_pil_blip.BlipImageProcessorPil.from_pretrained(folder)
    with torch.no_grad():
        embeds = model.vision_model(processor(list(pixels), return_tensors="pt")["pixel_values"])[0].numpy()
        states = encoder_states(model, question, embeds)
        answers, captions = decoder_logits(model, said, states), decoder_logits(model, said, embeds)
    del model
    gc.collect()
    return folder, {"pixels": pixels, "question": question, "said": said}, (embeds, states, answers, captions)


@pytest.mark.slow
def test_full_size(base_expectations):
    """Each graph of BLIP-base in turn, on the oracle's own inputs, one graph in memory at a time."""
    folder, given, (embeds, states, answers, captions) = base_expectations
    assert_close(run(compile_graph(folder, "vision"), {"pixels": given["pixels"]})["image_embeds"], embeds)
    gc.collect()
    cross = run(compile_graph(folder, "question_kv"), {"image_embeds": embeds})
    gc.collect()
    question = given["question"]
    inputs = {"input_ids": question, "attention_mask": np.ones_like(question), **cross}
    assert_close(run(compile_graph(folder, "question"), inputs)["question_states"], states)
    gc.collect()
    answer_kv = compile_graph(folder, "answer_kv")
    crosses = [run(answer_kv, {"source_states": source}) for source in (states, embeds)]
    del answer_kv
    gc.collect()
    answer = compile_graph(folder, "answer")
    for cross, source, expected in zip(crosses, (states, embeds), (answers, captions), strict=True):
        decoder = Decoder(answer, cross, np.ones(source.shape[:2], np.int64))
        assert_close(decoder.step(given["said"][:, :4]), expected[:, 3])
        assert_close(decoder.step(given["said"][:, 4:]), expected[:, 4])


COMPARED = {
    "vision": test_vision,
    "question_kv": test_cross_keys_and_values,
    "question": test_question_states,
    "answer_kv": test_cross_keys_and_values,
    "answer": test_answer_prompt_and_steps,
}
"""The test that sets each graph beside `transformers`; those of retrieval alone are in ``test_retrieval_graphs.py``."""


def test_every_graph_is_compared_here():
    assert set(COMPARED) == set(GRAPHS) - set(graph_names(RETRIEVAL)[1:])
