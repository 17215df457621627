"""Checkpoints with random weights."""

from dataclasses import replace

import pytest
from tiny_config import TINY

from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.checkpoint.random_weights import BLIP_BASE, tensor_shapes, write_random_checkpoint
from blipvino.errors import CheckpointError


def torch_model(config, device):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    text, vision = (vars(section) for section in (config.text, config.vision))
    with torch.device(device):
        whole = transformers.BlipConfig(text_config=text, vision_config=vision)
        return transformers.BlipForConditionalGeneration(whole)


@pytest.mark.parametrize("config", [BLIP_BASE, TINY], ids=["base", "tiny"])
def test_the_random_checkpoint_has_the_tensors_of_the_class_that_it_names(config):
    model = torch_model(config, "meta")
    tied = set(model._tied_weights_keys)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items() if name not in tied}
    assert tensor_shapes(config) == expected


def test_transformers_reads_the_random_checkpoint_without_a_tensor_left_over(tmp_path):
    transformers = pytest.importorskip("transformers")
    write_random_checkpoint(tmp_path, TINY)
    model, told = transformers.BlipForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    assert model.config.text_config.num_attention_heads == 4
    weight = model.text_decoder.bert.embeddings.word_embeddings.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_same_seed_writes_the_same_checkpoint(tmp_path):
    contents = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        contents.append((write_random_checkpoint(folder, TINY, seed=seed) / "model.safetensors").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_random_weights_are_made_of_captioners_alone():
    with pytest.raises(CheckpointError, match="expected BlipForConditionalGeneration"):
        tensor_shapes(replace(TINY, architecture=QUESTION_ANSWERING))
