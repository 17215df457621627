"""The graphs of retrieval compute what `BlipForImageTextRetrieval` of transformers computes, in float32.

Absolutely within 1e-4 too: embeddings are of length 1, and logits are compared as they are.
"""

import gc

import numpy as np
import pytest
from compiled_graphs import TOLERANCE, assert_close, compile_graph, random_states, random_tokens, run
from subjects import scene_image, write_preprocessor

from blipvino.checkpoint.architectures import RETRIEVAL
from blipvino.graphs.specs import graph_names
from blipvino.graphs.text import cross_port

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = (
    "ring",
    "a red circle",
    "a small striped red circle to the left of a large dotted green star and a tiny blue cross",
    "the star is above the ring",
)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def padded(rows, config):
    """Texts of several lengths side by side: ids and mask."""
    length = max(map(len, rows))
    ids = np.full((len(rows), length), config.pad_token_id)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    mask = (np.arange(length) < np.array([len(row) for row in rows])[:, None]).astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask}


def of_length_1(rows):
    """As an engine makes them of what the graphs make."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def expected_match(oracle, ids, embeds):
    """transformers' matching logits of texts without padding and what they are about."""
    states = oracle.text_encoder(torch.tensor(ids), encoder_hidden_states=torch.tensor(embeds))[0]
    return oracle.itm_head(states[:, 0]).numpy()


def assert_within(found, expected):
    """As `assert_close`, and absolutely within the tolerance."""
    assert_close(found, expected)
    assert np.abs(found - np.asarray(expected)).max() < TOLERANCE


def test_image_embedding(retriever):
    images = [scene_image(index) for index in range(3)]
    states = retriever.oracle.vision_model(pixel_values=retriever.pixel_values(images))[0]
    found = run(compile_graph(retriever.folder, "image_embedding"), {"image_embeds": states.numpy()})
    expected = torch.nn.functional.normalize(retriever.oracle.vision_proj(states[:, 0]), dim=-1)
    assert_within(of_length_1(found["image_embedding"]), expected)


def test_text_embedding_of_padded_texts(retriever):
    config = retriever.exact.config.text
    rows = [list(random_tokens(config, 1, length, length)[0]) for length in (3, 9, 1, 6)]
    found = run(compile_graph(retriever.folder, "text_embedding"), padded(rows, config))["text_embedding"]
    found = of_length_1(found)
    for place, row in enumerate(rows):
        state = retriever.oracle.text_encoder(torch.tensor([row]))[0][:, 0]
        expected = torch.nn.functional.normalize(retriever.oracle.text_proj(state), dim=-1)
        assert_within(found[place : place + 1], expected)


def test_match_kv(retriever):
    config = retriever.exact.config.text
    states = random_states(config, 2, 7)
    found = run(compile_graph(retriever.folder, "match_kv"), {"image_embeds": states})
    shape = (2, 7, config.num_attention_heads, config.head_size)
    for layer, module in enumerate(retriever.oracle.text_encoder.encoder.layer):
        attention = module.crossattention.self
        keys = attention.key(torch.tensor(states)).view(shape).permute(0, 2, 3, 1) / config.head_size**0.5
        assert_close(found[cross_port("key", layer)], keys)
        values = attention.value(torch.tensor(states)).view(shape).transpose(1, 2)
        assert_close(found[cross_port("value", layer)], values)
    assert len(found) == 2 * config.num_hidden_layers


def test_match_of_padded_texts_with_several_images(retriever):
    """Rows of one image follow one another (R is a multiple of B); each is what it is alone and unpadded."""
    config = retriever.exact.config.text
    embeds = random_states(config, 2, 5)
    rows = [list(random_tokens(config, 1, length, length)[0]) for length in (3, 9, 1, 6, 8, 2)]
    cross = run(compile_graph(retriever.folder, "match_kv"), {"image_embeds": embeds})
    found = run(compile_graph(retriever.folder, "match"), {**padded(rows, config), **cross})["match_logits"]
    for place, row in enumerate(rows):
        image = place // 3
        expected = expected_match(retriever.oracle, [row], embeds[image : image + 1])
        assert_within(found[place : place + 1], expected)


def test_a_retriever_is_the_checkpoint_as_transformers_documents_it(retriever):
    """The whole model, from pictures and texts to similarities and logits."""
    images = [scene_image(index) for index in range(3)]
    model, pixels = retriever.exact, retriever.pixel_values(images)
    similarities = model.embed_images(images) @ model.embed_texts(TEXTS).T
    logits = model.match_logits(images, TEXTS)
    for place, text in enumerate(TEXTS):
        tokens = retriever.tokenizer(text, return_tensors="pt")
        given = {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}
        expected = retriever.oracle(pixel_values=pixels, use_itm_head=False, **given).itm_score
        assert np.abs(similarities[:, place : place + 1] - expected.numpy()).max() < TOLERANCE
        for image in range(len(images)):
            expected = retriever.oracle(pixel_values=pixels[image : image + 1], use_itm_head=True, **given).itm_score
            assert np.abs(logits[image, place] - expected[0].numpy()).max() < TOLERANCE
    assert np.ptp(logits) > 0.1


@pytest.mark.slow
def test_full_size(tmp_path):
    """Each graph of BLIP-base in turn, on the oracle's own inputs, one graph in memory at a time."""
    text = {"num_attention_heads": 12, "initializer_range": 0.02, "eos_token_id": 102, "sep_token_id": 102}
    torch.manual_seed(0)
    model = transformers.BlipForImageTextRetrieval(
        transformers.BlipConfig(text_config=text, vision_config={"initializer_range": 0.02})
    ).eval()
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(tmp_path)
    write_preprocessor(tmp_path, 384)
    rng = np.random.default_rng(0)
    pixels, ids = rng.integers(0, 256, (1, 384, 384, 3), dtype=np.uint8), rng.integers(1, 30524, (1, 9))
    processor = transformers.models.blip.image_processing_pil_blip.BlipImageProcessorPil.from_pretrained(tmp_path)
    states = model.vision_model(processor(list(pixels), return_tensors="pt")["pixel_values"])[0]
    embeds = states.numpy()
    expected = {
        "image_embedding": torch.nn.functional.normalize(model.vision_proj(states[:, 0]), dim=-1).numpy(),
        "text_embedding": torch.nn.functional.normalize(
            model.text_proj(model.text_encoder(torch.tensor(ids))[0][:, 0]), dim=-1
        ).numpy(),
        "match_logits": expected_match(model, ids, embeds),
    }
    del model
    gc.collect()
    assert_close(run(compile_graph(tmp_path, "vision"), {"pixels": pixels})["image_embeds"], embeds)
    gc.collect()
    texts = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    found = run(compile_graph(tmp_path, "image_embedding"), {"image_embeds": embeds})
    found |= run(compile_graph(tmp_path, "text_embedding"), texts)
    gc.collect()
    cross = run(compile_graph(tmp_path, "match_kv"), {"image_embeds": embeds})
    gc.collect()
    found |= run(compile_graph(tmp_path, "match"), {**texts, **cross})
    for name in ("image_embedding", "text_embedding"):
        found[name] = of_length_1(found[name])
    for name, values in expected.items():
        assert np.abs(found[name] - values).max() < TOLERANCE * max(1, np.abs(values).max())


COMPARED = {
    "image_embedding": test_image_embedding,
    "text_embedding": test_text_embedding_of_padded_texts,
    "match_kv": test_match_kv,
    "match": test_match_of_padded_texts_with_several_images,
}
"""The test that sets each graph beside `transformers`."""


def test_every_graph_of_retrieval_is_compared_here():
    assert tuple(COMPARED) == graph_names(RETRIEVAL)[1:]
