"""Reading checkpoint folders as transformers writes them, and refusing the ones that are not whole."""

import hashlib
import json
import re
import shutil
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.errors import CheckpointError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
save_torch = pytest.importorskip("safetensors.torch").save_file

WEIGHTS = "model.safetensors"
QUERY = "text_encoder.encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="session")
def tiny_model():
    config = transformers.BlipConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 12,
            "patch_size": 6,
            "initializer_range": 0.02,
        },
        text_config={
            "vocab_size": 60,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "bos_token_id": 58,
            "sep_token_id": 3,
        },
    )
    torch.manual_seed(0)
    return transformers.BlipForQuestionAnswering(config).eval()


@pytest.fixture(scope="session")
def saved(tiny_model, tmp_path_factory):
    """A checkpoint with its tokenizer and image processor, in the hub's layout. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny_model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"]))
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"height": 12, "width": 12}
    transformers.BlipImageProcessorPil(size=size).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tiny")


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_reads_what_transformers_wrote(saved, tiny_model):
    with load_checkpoint(saved) as checkpoint:
        assert checkpoint.source == str(saved)
        assert checkpoint.revision is None
        assert checkpoint.folder == saved
        assert checkpoint.config.architecture == "BlipForQuestionAnswering"
        assert checkpoint.config.vision.hidden_size == 32
        assert checkpoint.raw_config["image_text_hidden_size"] == 256
        assert checkpoint.preprocessor["size"] == {"height": 12, "width": 12}
        assert checkpoint.require_tokenizer() == checkpoint.tokenizer_file == saved / "tokenizer.json"
        assert checkpoint.vocab_file == saved / "vocab.txt"
        assert checkpoint.names() == sorted(load_file(saved / WEIGHTS))
        state = tiny_model.state_dict()
        for name in checkpoint.names():
            np.testing.assert_array_equal(checkpoint.tensor(name, shape=tuple(state[name].shape)), state[name].numpy())


def test_tied_weights_are_absent(saved):
    checkpoint = load_checkpoint(saved)
    assert not checkpoint.has("text_decoder.cls.predictions.decoder.weight")
    assert checkpoint.has("text_decoder.bert.embeddings.word_embeddings.weight")
    assert checkpoint.has("text_decoder.cls.predictions.bias")


def test_tensors_share_one_read_only_map(saved):
    checkpoint = load_checkpoint(str(saved))
    first, second = checkpoint.tensor(QUERY), checkpoint.tensor(QUERY)
    assert np.shares_memory(first, second)
    assert not first.flags.writeable
    assert not first.flags.owndata


def test_arrays_outlive_the_checkpoint(saved):
    with load_checkpoint(saved) as checkpoint:
        query = checkpoint.tensor(QUERY)
    np.testing.assert_array_equal(query, load_file(saved / WEIGHTS)[QUERY])
    with pytest.raises(CheckpointError, match="closed checkpoint"):
        checkpoint.tensor(QUERY)


def test_sharded(tiny_model, tmp_path, saved):
    tiny_model.save_pretrained(tmp_path, max_shard_size="60KB")
    checkpoint, whole = load_checkpoint(tmp_path), load_checkpoint(saved)
    assert len(checkpoint.weight_files) > 2
    assert checkpoint.names() == whole.names()
    for name in whole.names():
        np.testing.assert_array_equal(checkpoint.tensor(name), whole.tensor(name))


@pytest.mark.parametrize(("dtype", "expected"), [("float16", np.float16), ("bfloat16", np.float32)])
def test_half_precision(tiny_model, saved, tmp_path, dtype, expected):
    half = type(tiny_model).from_pretrained(saved, dtype=getattr(torch, dtype))
    half.save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    stored = half.state_dict()[QUERY]
    assert checkpoint.tensor(QUERY).dtype == expected
    np.testing.assert_array_equal(checkpoint.tensor(QUERY).astype(np.float32), stored.float().numpy())


def test_bfloat16_keeps_special_values(folder):
    values = torch.tensor([0.0, -0.0, 1.5, -3e38, float("inf"), float("nan"), 1e-40], dtype=torch.bfloat16)
    save_torch({"x": values, "scalar": values[2].clone()}, folder / WEIGHTS)
    checkpoint = load_checkpoint(folder)
    np.testing.assert_array_equal(checkpoint.tensor("x"), values.float().numpy())
    np.testing.assert_array_equal(np.signbit(checkpoint.tensor("x")[:2]), [False, True])
    assert checkpoint.tensor("scalar", shape=()) == 1.5


def test_integer_tensors(folder):
    save_file({"position_ids": np.arange(4)[None], "empty": np.zeros((0, 3), np.float32)}, folder / WEIGHTS)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.tensor("position_ids").tolist() == [[0, 1, 2, 3]]
    assert checkpoint.tensor("empty").shape == (0, 3)


def test_unaligned_tensors_are_copied(folder):
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    header += b" " * (-len(header) % 8 + 1)  # an odd header, which the format allows
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + np.float32([1, 2]).tobytes())
    tensor = load_checkpoint(folder).tensor("x")
    assert tensor.tolist() == [1, 2]
    assert tensor.flags.aligned


def test_unreadable_dtype(folder):
    save_torch({"x": torch.zeros(2, dtype=torch.float8_e4m3fn)}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"'x' in model\.safetensors is stored as F8_E4M3, expected F32"):
        load_checkpoint(folder).tensor("x")


def test_missing_tensor(saved):
    checkpoint = load_checkpoint(saved)
    assert not checkpoint.has("nothing")
    with pytest.raises(CheckpointError, match=r"no tensor 'nothing' in model\.safetensors"):
        checkpoint.tensor("nothing")


def test_wrong_shape(saved):
    message = re.escape(f"tensor {QUERY!r} in model.safetensors has shape [32, 32], expected [32, 64]")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved).tensor(QUERY, shape=(32, 64))


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_weights(folder, keep):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:keep])
    with pytest.raises(CheckpointError, match=r"cannot read .*model\.safetensors.*truncated or damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "content",
    [b"\xff" * 64, struct.pack("<Q", 8) + b"not json", struct.pack("<Q", 2) + b"{}surplus"],
)
def test_corrupt_weights(folder, content):
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read .*truncated or damaged"):
        load_checkpoint(folder)


def test_git_lfs_pointer(folder):
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        load_checkpoint(folder)


def test_wrong_model_type(folder):
    edit_json(folder / "config.json", model_type="bert")
    with pytest.raises(CheckpointError, match=r"expected a BLIP checkpoint .*found 'bert'"):
        load_checkpoint(folder)


@pytest.mark.parametrize(("whole", "text", "ties"), [(None, True, True), (False, True, True), (False, False, False)])
def test_tied_unless_both_configurations_say_no(folder, whole, text, ties):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["tie_word_embeddings"] = text
    config.pop("tie_word_embeddings", None)
    (folder / "config.json").write_text(json.dumps(config))
    if whole is not None:
        edit_json(folder / "config.json", tie_word_embeddings=whole)
    assert load_checkpoint(folder).config.ties_output is ties


def test_tying_is_true_or_false(folder):
    edit_json(folder / "config.json", tie_word_embeddings="no")
    with pytest.raises(CheckpointError, match="tie_word_embeddings is 'no', expected true or false"):
        load_checkpoint(folder)


def set_text_width(folder, width):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = width
    (folder / "config.json").write_text(json.dumps(config))


def test_two_widths_cannot_answer(folder):
    """The decoder's cross-attention reads the vision model's width, and question states have the text model's."""
    set_text_width(folder, 16)
    with pytest.raises(CheckpointError, match=r"text_config\.hidden_size 16 .*vision_config\.hidden_size 32.*captions"):
        load_checkpoint(folder)


@pytest.mark.parametrize("architecture", ["BlipForConditionalGeneration", "BlipForImageTextRetrieval"])
def test_two_widths_are_no_matter_without_answers(folder, architecture):
    set_text_width(folder, 16)
    edit_json(folder / "config.json", architectures=[architecture])
    text = load_checkpoint(folder).config.text
    assert (text.hidden_size, text.encoder_hidden_size) == (16, 32)


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_damaged_config(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_checkpoint(folder)


def test_no_config(folder):
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json in .*expected a Hugging Face BLIP checkpoint"):
        load_checkpoint(folder)


def test_no_weights(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors in"):
        load_checkpoint(folder)


def test_a_bundle_is_no_checkpoint(folder):
    (folder / WEIGHTS).unlink()
    (folder / "manifest.json").touch()
    with pytest.raises(CheckpointError, match="is a bundle, made already; expected the checkpoint"):
        load_checkpoint(folder)


def test_only_a_pickle_says_how_to_convert_it(folder, tiny_model):
    (folder / WEIGHTS).unlink()
    torch.save(tiny_model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"only pytorch_model\.bin") as caught:
        load_checkpoint(folder)
    recipe = re.search(r'python -c "(.*)"$', str(caught.value))[1]
    exec(recipe, {})
    np.testing.assert_array_equal(load_checkpoint(folder).tensor(QUERY), tiny_model.state_dict()[QUERY].numpy())


@pytest.fixture
def sharded(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "sharded", max_shard_size="60KB")
    return tmp_path / "sharded"


def test_missing_shard(sharded):
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=rf"names {re.escape(shard.name)}, which is not in"):
        load_checkpoint(sharded)


def test_shard_without_its_tensor(sharded):
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    tensors = load_file(shard)
    removed = sorted(tensors)[0]
    del tensors[removed]
    save_file(tensors, shard)
    with pytest.raises(CheckpointError, match=rf"no tensor {re.escape(repr(removed))} in {re.escape(shard.name)}"):
        load_checkpoint(sharded)


@pytest.mark.parametrize("weight_map", [None, {}, {"x": "../elsewhere.safetensors"}])
def test_damaged_index(sharded, weight_map):
    edit_json(sharded / "model.safetensors.index.json", weight_map=weight_map)
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json (has no weight_map|names '\.\./)"):
        load_checkpoint(sharded)


def test_missing_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    checkpoint = load_checkpoint(folder)
    assert checkpoint.tokenizer_file is None
    assert checkpoint.require_tokenizer() == folder / "vocab.txt"
    (folder / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json and no vocab\.txt"):
        checkpoint.require_tokenizer()


def test_preprocessor_of_a_whole_processor(folder):
    """transformers 5 saves a BlipProcessor's image settings as a section of processor_config.json."""
    expected = load_checkpoint(folder).preprocessor
    processor = transformers.BlipProcessor(
        transformers.BlipImageProcessorPil.from_pretrained(folder), transformers.BertTokenizer.from_pretrained(folder)
    )
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no preprocessor_config\.json"):
        _ = load_checkpoint(folder).preprocessor
    processor.save_pretrained(folder)
    assert not (folder / "preprocessor_config.json").exists()
    found = load_checkpoint(folder).preprocessor
    assert {key: found[key] for key in ("size", "image_mean", "image_std", "resample")} == {
        key: expected[key] for key in ("size", "image_mean", "image_std", "resample")
    }


def test_fingerprint_is_of_config_and_weights(folder, saved):
    expected = hashlib.sha256()
    for name in ("config.json", WEIGHTS):
        content = (saved / name).read_bytes()
        expected.update(f"{name}\0{len(content)}\0".encode() + content)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.sha256 == expected.hexdigest()
    (folder / "vocab.txt").write_text("other")
    assert load_checkpoint(folder).sha256 == checkpoint.sha256
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert load_checkpoint(folder).sha256 != checkpoint.sha256


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "~/no-such-checkpoint", "a/b/c", "tiny", "a/", "..\\x"])
def test_missing_folder_is_not_a_hub_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder; give an existing checkpoint folder or a hub id"):
        load_checkpoint(name)


def test_missing_path_object(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        load_checkpoint(tmp_path / "nothing")


def test_empty_name():
    with pytest.raises(CheckpointError, match="name is empty"):
        load_checkpoint("")


def test_file_instead_of_folder(saved):
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        load_checkpoint(saved / WEIGHTS)


def test_folder_has_no_revision(saved):
    with pytest.raises(CheckpointError, match="has no revision 'v2'"):
        load_checkpoint(saved, revision="v2")
