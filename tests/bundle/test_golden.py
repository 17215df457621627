"""Golden samples on disk: they come back as they were, those of before too, and damaged ones are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from blipvino.bundle.golden import FORMAT, NOISE_OF_A_BIT, Expected, Golden, GoldenInputs
from blipvino.errors import BundleError

RNG = np.random.default_rng(0)
EXPECTED = {"vision": Expected((1e-3, 2e-3)), "answer.image": Expected((1e-4,), 0.25)}
IN_7_BITS = {"vision": Expected((3e-3, 7e-3)), "answer.image": Expected((4e-4,), 0.5)}


@pytest.fixture
def golden():
    embeds = RNG.integers(-127, 128, (1, 5, 8)).astype(np.float32)
    embeds[..., 0] = 127  # in steps of 1, which the file keeps
    inputs = GoldenInputs(
        pixels=RNG.integers(0, 256, (2, 4, 4, 3)).astype(np.uint8),
        image_embeds=embeds,
        input_ids=np.array([[5, 7, 3]]),
        question_states=RNG.standard_normal((1, 3, 8)).astype(np.float32),
        texts={"image": np.array([4, 9, 9])},
    )
    results = {
        "vision": [RNG.integers(-9, 9, 6).astype(np.float32) for _ in range(2)],
        "answer.image": [np.float32([1, 2, 1e6])],  # more than half precision holds
    }
    return Golden(inputs, results, EXPECTED, {"cross_key.0": 0.5}, IN_7_BITS)


def rewrite(path, edit):
    """Change the metadata of a file."""
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["blipvino"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    edit(metadata)
    path.write_bytes(save(tensors, {"blipvino": json.dumps(metadata)}))


@pytest.mark.parametrize("in_7_bits", [IN_7_BITS, {}, None], ids=["with", "of before", "without"])
def test_they_come_back(golden, tmp_path, in_7_bits):
    path = tmp_path / "golden.safetensors"
    replace(golden, expected_in_7_bits=in_7_bits).save(path)
    loaded = Golden.load(path)
    assert loaded.expected == EXPECTED
    assert loaded.expected_in_7_bits == in_7_bits
    assert loaded.scales == golden.scales
    assert loaded.inputs.texts.keys() == {"image"}
    for name in ("pixels", "image_embeds", "input_ids", "question_states"):
        np.testing.assert_array_equal(getattr(loaded.inputs, name), getattr(golden.inputs, name))
    for case, rows in golden.results.items():
        np.testing.assert_array_equal(loaded.results[case], rows)


def test_a_file_of_before_has_none_in_7_bits(golden, tmp_path):
    path = tmp_path / "golden.safetensors"
    golden.save(path)
    rewrite(path, lambda metadata: metadata.pop("expected_in_7_bits"))
    loaded = Golden.load(path)
    assert loaded.expected == EXPECTED
    assert loaded.expected_in_7_bits == {}


def test_what_is_expected_in_7_bits(golden):
    assert golden.expectation("vision", in_7_bits=False) == EXPECTED["vision"]
    assert golden.expectation("vision", in_7_bits=True) == IN_7_BITS["vision"]
    old = replace(golden, expected_in_7_bits={})
    assert old.expectation("answer.image", in_7_bits=False) == EXPECTED["answer.image"]
    assert old.expectation("answer.image", in_7_bits=True) == Expected((NOISE_OF_A_BIT * 1e-4,), 0.25)
    assert replace(golden, expected_in_7_bits=None).expectation("vision", in_7_bits=True) == EXPECTED["vision"]


@pytest.mark.parametrize("name", ["expected", "expected_in_7_bits"])
@pytest.mark.parametrize(
    "content",
    [
        7,
        "vision",
        ["vision"],
        {"vision": None},
        {"vision": {}},
        {"vision": {"noise_to_signal": [0.1]}},
        {"vision": {"noise_to_signal": 0.1, "disagreement": 0}},
        {"vision": {"noise_to_signal": ["much"], "disagreement": 0}},
        {"vision": {"noise_to_signal": [0.1], "disagreement": [1]}},
    ],
    ids=json.dumps,
)
def test_damaged_expectations_are_refused(golden, tmp_path, name, content):
    path = tmp_path / "golden.safetensors"
    golden.save(path)
    rewrite(path, lambda metadata: metadata.update({name: content}))
    with pytest.raises(BundleError, match=r"golden\.safetensors: cannot be read as golden samples"):
        Golden.load(path)


def test_a_newer_format_is_refused(golden, tmp_path):
    path = tmp_path / "golden.safetensors"
    golden.save(path)
    rewrite(path, lambda metadata: metadata.update(format=FORMAT + 1))
    with pytest.raises(BundleError, match="upgrade blipvino"):
        Golden.load(path)
