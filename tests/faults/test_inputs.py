"""What callers may give: every wrong type and value ends in one line of ours, before any work, or simply works."""

import copy
import hashlib
import json
import pickle
import shutil
from collections import UserList
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import openvino as ov
import pytest
from subjects import EXACT, scene_image

from blipvino import (
    AnswerList,
    Blip,
    BlipvinoError,
    BundleError,
    EngineOptions,
    GenerationOptions,
    ImageError,
    ImageFeatures,
    InputError,
)
from blipvino.checkpoint.config import BlipConfig, TextConfig, VisionConfig
from blipvino.machine.memory import memory_limit
from blipvino.runtime.inputs.limits import Limits

SHORT = {"max_new_tokens": 2}


class Unspeakable:
    """Something that cannot even be shown."""

    def __repr__(self):
        raise ValueError("no words")


ODD = {
    "None": None,
    "True": True,
    "numpy True": np.True_,
    "zero": 0,
    "minus one": -1,
    "three": 3,
    "int8": np.int8(3),
    "uint64": np.uint64(2**64 - 1),
    "2**63": 2**63,
    "5000 digits": 10**5000,
    "half": 0.5,
    "float32": np.float32(0.5),
    "nan": float("nan"),
    "inf": float("-inf"),
    "float of 1e300": 1e300,
    "Decimal": Decimal("0.5"),
    "Fraction": Fraction(1, 2),
    "complex": 1j,
    "text": "red?",
    "empty text": "",
    "numpy text": np.str_("red?"),
    "null": "a\0b",
    "surrogate": "\ud800",
    "long text": "red " * 10**6,
    "bytes": b"red?",
    "bytearray": bytearray(b"red?"),
    "memoryview": memoryview(b"red?"),
    "path": Path("no such file"),
    "long path": Path("a" * 5000),
    "empty list": [],
    "list of None": [None],
    "list of lists": [["red?"]],
    "list of texts": ["red?", "is it large?"],
    "tuple": ("red?",),
    "set": {"red?"},
    "dict": {"red?": 1},
    "range": range(2),
    "empty array": np.zeros(0),
    "scalar array": np.array("red?"),
    "array of texts": np.array(["red?", "is it large?"]),
    "array of objects": np.array([None, object()], dtype=object),
    "4-D array": np.zeros((2, 8, 8, 3), np.uint8),
    "float image": np.zeros((8, 8, 3), np.float32),
    "object": object(),
    "class": dict,
    "function": len,
    "exception": ValueError("x"),
    "unspeakable": Unspeakable(),
    "list of the unspeakable": [Unspeakable()],
    "features": ImageFeatures(np.zeros((3, 4), np.float32), "other"),
    "options": EngineOptions(),
    "generator": "made anew: (text for text in ['red?'])",
}


def odd(name):
    """The odd value of this name; a generator serves once."""
    return (text for text in ["red?"]) if name == "generator" else ODD[name]


def ways(blip):
    """Every argument of every public call, as a function of that argument."""
    image = scene_image(0)
    generating = {
        **{f"caption {name}": lambda x, name=name: blip.caption(image, **{**SHORT, name: x}) for name in OPTIONS},
        **{f"answer {name}": lambda x, name=name: blip.answer(image, "red?", **{**SHORT, name: x}) for name in OPTIONS},
    }
    return {
        "load": Blip.load,
        "load options": lambda x: Blip.load(blip.bundle, options=x),
        "load verify": lambda x: Blip.load(blip.bundle.folder, verify=x),
        "load image_cache_bytes": lambda x: Blip.load(blip.bundle, image_cache_bytes=x),
        "caption": lambda x: blip.caption(x, **SHORT),
        "caption list": lambda x: blip.caption([image, x], **SHORT),
        "caption prompt": lambda x: blip.caption(image, x, **SHORT),
        "caption_ids": lambda x: blip.caption_ids(x, **SHORT),
        "caption_stream": lambda x: list(blip.caption_stream(x, **SHORT)),
        "caption_stream prompt": lambda x: list(blip.caption_stream([image], x, **SHORT)),
        "caption_stream batch_size": lambda x: list(blip.caption_stream([image], batch_size=x, **SHORT)),
        "answer": lambda x: blip.answer(x, "red?", **SHORT),
        "answer questions": lambda x: blip.answer(image, x, **SHORT),
        "answer_ids": lambda x: blip.answer_ids(x, x, **SHORT),
        "rank": lambda x: blip.rank(x, "red?", ["yes", "no"]),
        "rank questions": lambda x: blip.rank(image, x, ["yes", "no"]),
        "rank answers": lambda x: blip.rank(image, "red?", x),
        "rank top_k": lambda x: blip.rank(image, "red?", ["yes", "no"], top_k=x),
        "rank batch_size": lambda x: blip.rank(image, "red?", ["yes", "no"], batch_size=x),
        "features": blip.features,
        "feature_stream": lambda x: list(blip.feature_stream(x)),
        "feature_stream batch_size": lambda x: list(blip.feature_stream([image], batch_size=x)),
        "AnswerList": lambda x: AnswerList(x, blip.texts),
        "AnswerList processor": lambda x: AnswerList(["yes"], x),
        "ImageFeatures": lambda x: blip.caption(ImageFeatures(x, blip.bundle.fingerprint), **SHORT),
        "ImageFeatures model": lambda x: blip.caption(ImageFeatures(np.zeros((1, 1), np.float32), x), **SHORT),
        **{f"EngineOptions {name}": lambda x, name=name: EngineOptions(**{name: x}) for name in ENGINE_OPTIONS},
        **generating,
    }


OPTIONS = (*GenerationOptions.__dataclass_fields__, "batch_size", "show_progress", "return_details")
ENGINE_OPTIONS = ("precision", "cache", "threads", "mode")


@pytest.mark.parametrize("name", ODD)
def test_no_argument_ends_in_a_foreign_error(demo, name):
    """Quick: what is taken at all generates two tokens, and everything else is refused before work."""
    foreign = {}
    for way, call in ways(demo.blip).items():
        try:
            call(odd(name))
        except BlipvinoError as error:
            if "\n" in str(error):
                foreign[way] = f"several lines: {str(error)[:700]}"
        except Exception as error:
            foreign[way] = repr(error)[:300]
    assert not foreign


# Sequences of every kind


def test_questions_come_in_any_sequence_or_iterator(demo):
    image, asked = scene_image(0), ["what color is the circle?", "is there a ring?"]
    expected = demo.blip.answer(image, asked)
    for questions in (tuple(asked), np.array(asked), np.array(asked, dtype=object), UserList(asked)):
        assert demo.blip.answer(image, questions) == expected
    assert demo.blip.answer(image, (text for text in asked)) == expected
    assert demo.blip.answer_ids(image, iter(asked)) == demo.blip.answer_ids(image, asked)
    assert demo.blip.rank(image, np.array(asked), ["yes", "no"]) == demo.blip.rank(image, asked, ["yes", "no"])


def test_answers_come_in_any_sequence_or_iterator(demo):
    question, answers = (scene_image(0), "what color is the circle?"), ["red", "blue", "large"]
    expected = demo.blip.rank(*question, answers)
    for given in (tuple(answers), np.array(answers), iter(answers), AnswerList(np.array(answers), demo.blip.texts)):
        found = demo.blip.rank(*question, given)
        assert found == expected
        assert {type(text) for text in found.answers} == {str}


def test_images_come_in_any_sequence(demo):
    images = [scene_image(index) for index in range(2)]
    assert demo.blip.caption(UserList(images), **SHORT) == demo.blip.caption(images, **SHORT)


def test_an_iterator_of_images_is_for_a_stream(demo):
    for call in (demo.blip.caption, demo.blip.features, lambda images: demo.blip.answer(images, "red?")):
        with pytest.raises(InputError, match="caption_stream"):
            call(scene_image(index) for index in range(2))


def test_an_open_file_is_no_image(demo):
    with Path(__file__).open("rb") as file, pytest.raises(ImageError, match="found BufferedReader"):
        demo.blip.caption(file)


@pytest.mark.parametrize("unordered", [{"a.jpg"}, {"a.jpg": 1}])
def test_what_has_no_order_is_refused(demo, unordered):
    for call in (
        demo.blip.caption,
        demo.blip.caption_stream,
        demo.blip.feature_stream,
        lambda given: demo.blip.answer("a.jpg", given),
        lambda given: demo.blip.rank("a.jpg", "red?", given),
    ):
        with pytest.raises(InputError, match=f"found a {type(unordered).__name__}"):
            call(unordered)


# Numbers


def test_numpy_numbers_are_numbers(demo):
    image, asked = scene_image(0), ["what color is the circle?", "is there a ring?"]
    assert demo.blip.answer(image, asked, batch_size=np.int64(1), num_beams=np.uint8(200)) == demo.blip.answer(
        image, asked, batch_size=1, num_beams=200
    )
    ranked = demo.blip.rank(image, asked, ["yes", "no"], top_k=np.int32(1), batch_size=np.int8(1))
    assert ranked == demo.blip.rank(image, asked, ["yes", "no"], top_k=1)
    streamed = list(demo.blip.caption_stream([image], batch_size=np.int16(3), **SHORT))
    assert streamed == [demo.blip.caption(image, **SHORT)]
    options = GenerationOptions(
        temperature=np.float32(0.5), do_sample=np.True_, seed=np.uint64(2**63), top_k=np.int8(9)
    )
    assert [type(value) for value in (options.temperature, options.do_sample, options.seed, options.top_k)] == [
        float,
        bool,
        int,
        int,
    ]
    assert type(EngineOptions(threads=np.int64(2)).threads) is int


@pytest.mark.parametrize("value", [True, np.True_, 0, -1, 1.0, "1", [1], None])
def test_counts_are_integers_from_one(demo, value):
    image = scene_image(0)
    for call, name in (
        (lambda: demo.blip.caption(image, batch_size=value), "batch_size"),
        (lambda: demo.blip.caption_stream([image], batch_size=value), "batch_size"),
        (lambda: demo.blip.feature_stream([image], batch_size=value), "batch_size"),
        (lambda: demo.blip.rank(image, "red?", ["yes"], batch_size=value), "batch_size"),
        (lambda: demo.blip.rank(image, "red?", ["yes"], top_k=value), "top_k"),
        (lambda: EngineOptions(threads=value), "threads"),
        (lambda: GenerationOptions(num_beams=value), "num_beams"),
    ):
        if value is None and name in ("top_k", "threads"):
            continue
        with pytest.raises(InputError, match=f"{name} is .*expected"):
            call()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("precision", None, "'auto', 'f32', 'bf16'"),
        ("precision", "int8", "'auto', 'f32', 'bf16'"),
        ("mode", "x", "'latency', 'throughput'"),
        ("mode", ["latency"], "'latency', 'throughput'"),
        ("threads", 10**6, "from 1 to 1024"),
        ("cache", 3, "path"),
        ("cache", b"cache", "path"),
        ("cache", "", "path"),
        ("cache", "a\0b", "no path has"),
        ("cache", True, "path"),
    ],
)
def test_engine_options_are_checked_at_once(name, value, expected):
    with pytest.raises(InputError, match=f"{name} is .*expected.*{expected}|{name} is .*{expected}"):
        EngineOptions(**{name: value})


def test_a_cache_folder_may_be_text(demo, tmp_path):
    options = EngineOptions(precision="f32", threads=1, cache=str(tmp_path / "cache"))
    assert options.cache == tmp_path / "cache"
    assert options == EngineOptions(precision="f32", threads=1, cache=tmp_path / "cache")
    Blip.load(demo.bundle, options=options).caption(scene_image(0), **SHORT)
    assert list((tmp_path / "cache").glob("*.blob"))


# What the model and memory allow


@pytest.fixture
def idle(demo, monkeypatch):
    """The demo model, which fails the test if it begins to work."""

    def begin(*_, **__):
        raise AssertionError("work has begun")

    blip = demo.blip
    for owner, name in ((blip.engine, "prepare"), (blip.engine, "decode"), (blip.extractor, "extract")):
        monkeypatch.setattr(owner, name, begin)
    return blip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 10**7}, "num_beams is 10000000, expected at most the 204 words"),
        ({"num_beams": 205}, "num_beams is 205, expected at most the 204 words"),
        ({"num_beams": 10**5000}, "num_beams is "),
        ({"max_new_tokens": 10**5000}, "64 positions"),
        ({"max_new_tokens": 64}, "64 positions"),
        ({"seed": 2**64}, "seed is .*from 0 to 2"),
        ({"repetition_penalty": 1e300}, "repetition_penalty is 1e.300"),
        ({"temperature": 10**400}, "temperature is inf"),
    ],
)
def test_what_the_model_does_not_allow_is_refused_before_work(idle, options, message):
    image = scene_image(0)
    for call in (
        lambda: idle.caption([image] * 3, **options),
        lambda: next(idle.caption_stream([image], **options)),
        lambda: idle.answer(image, ["red?"], **options),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_what_memory_does_not_allow_is_refused_before_work(idle):
    idle = Blip(replace(idle.components, limits=Limits(idle.config, 2**26)))
    image = scene_image(0)
    for call, named in (
        (lambda: idle.caption([image] * 64, batch_size=64, num_beams=64), "a batch of 64 with num_beams 64"),
        (lambda: idle.caption_stream([image], batch_size=10**30), "batch_size"),
        (lambda: idle.feature_stream([image], batch_size=10**30), "batch_size"),
        (lambda: idle.answer(image, ["red?"] * 64, batch_size=64, num_beams=64), "a batch of 64 with num_beams 64"),
        (lambda: idle.rank(image, ["red?"] * 4096, ["yes"], batch_size=4096), "ranking for 4096 questions at a time"),
        (lambda: idle.features([image] * 4096), "features of 4096 images"),
    ):
        with pytest.raises(InputError, match=rf"{named}.* would take .* of memory, expected at most 32 MiB"):
            call()


def test_many_beams_and_large_batches_work(demo):
    images = [scene_image(index) for index in range(2)]
    assert demo.blip.caption(images, num_beams=64, **SHORT) == [
        demo.blip.caption(image, num_beams=64, **SHORT) for image in images
    ]
    assert demo.blip.caption(images, batch_size=10**30, **SHORT) == demo.blip.caption(images, **SHORT)
    assert len(demo.blip.answer(images[0], ["red?"] * 300, batch_size=300, **SHORT)) == 300


BASE = BlipConfig("BlipForQuestionAnswering", VisionConfig(), TextConfig(num_attention_heads=12))


def allowed(check, *args, **options):
    try:
        check(*args, **options)
    except InputError:
        return False
    return True


def test_a_model_of_common_size_is_not_held_back():
    """BLIP-base: keys and values of a row of 20 tokens are 1.5 MB, those of an image 43 MB."""
    small, common = Limits(BASE, 8 * 2**30), Limits(BASE, 16 * 2**30)
    for beams in (1, 8, 64):
        assert allowed(small.check_generation, 5, 8, 577, GenerationOptions(num_beams=beams))
        assert allowed(common.check_generation, 5, 64, 577, GenerationOptions(num_beams=min(beams, 32)))
    assert not allowed(common.check_generation, 5, 8, 577, GenerationOptions(num_beams=4000))
    assert not allowed(common.check_generation, 5, 1, 577, GenerationOptions(num_beams=30524))
    assert not allowed(common.check_generation, 5, 400, 577, GenerationOptions())
    assert allowed(Limits(BASE, None).check_generation, 5, 10**9, 577, GenerationOptions())


def test_memory_is_that_of_the_machine_or_of_a_container_around(tmp_path):
    machine = memory_limit(tmp_path)
    assert machine == memory_limit(tmp_path / "no such root") > 2**28
    groups = tmp_path / "sys/fs/cgroup"
    inner = groups / "outer/inner"
    inner.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    membership = tmp_path / "proc/self/cgroup"
    membership.write_text("0::/outer/inner\n")
    (inner / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) == machine
    (groups / "outer/memory.max").write_text("3000000\n")
    assert memory_limit(tmp_path) == 3000000
    (inner / "memory.max").write_text("2000000\n")
    assert memory_limit(tmp_path) == 2000000
    membership.write_text("0::/\n")  # a container that sees its own group as the top
    (groups / "memory.max").write_text("1000000\n")
    assert memory_limit(tmp_path) == 1000000
    membership.write_text("9:cpu:/elsewhere\n4:cpuset,memory:/docker/0123\n0::/\n")
    (groups / "memory.max").unlink()
    (groups / "memory").mkdir()
    (groups / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory_limit(tmp_path) == machine
    (groups / "memory/memory.limit_in_bytes").write_text("500000\n")
    assert memory_limit(tmp_path) == 500000


# What the library keeps


def test_what_is_kept_cannot_be_written_to(demo):
    blip, question = Blip.load(demo.bundle, options=EXACT), "is there a ring?"
    features, answers = blip.features(scene_image(0)), AnswerList(["yes", "no"], blip.texts)

    def work():
        return blip.caption(features), blip.answer(features, question), blip.rank(features, question, answers)

    expected = work()
    kept = [features.image_embeds, *blip.extractor.question_kv(features).tensors.values()]
    kept += [answers.tokens, answers.lengths, answers.prefixes]
    for array in kept:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert work() == expected


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_kept_keys_and_values_are_bound_without_a_copy(demo, precision):
    blip = Blip.load(demo.bundle, options=EngineOptions(precision=precision, threads=1))
    projected = blip.extractor.question_kv(blip.features(scene_image(0)))

    class Request:
        bound: ClassVar = {}

        def get_tensor(self, name):
            element = {"float32": ov.Type.f32, "uint16": ov.Type.bf16}[projected.tensors[name].dtype.name]
            return ov.Tensor(element, ov.Shape([1]))

        def set_tensor(self, name, tensor):
            self.bound[name] = tensor

    projected.bind(Request())
    for name, array in projected.tensors.items():
        assert not array.flags.writeable
        assert np.shares_memory(Request.bound[name].data, array)


def test_features_survive_pickling(demo):
    features = demo.blip.features(scene_image(0))
    expected = demo.blip.answer(features, "is there a ring?")
    assert demo.blip.answer(pickle.loads(pickle.dumps(features)), "is there a ring?") == expected


def test_a_model_is_not_pickled_but_its_bundle_named(demo):
    for refused in (pickle.dumps, copy.deepcopy):
        with pytest.raises(InputError, match=f"{demo.bundle}.*Blip.load"):
            refused(demo.blip)
    assert copy.copy(demo.blip).caption(scene_image(0)) == demo.blip.caption(scene_image(0))


# Bundles that are whole, and yet wrong


def resealed(bundle, folder, name, content):
    """A copy of a bundle with another content in a file, and a manifest to match."""
    shutil.copytree(bundle, folder)
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


NOT_OBJECTS = (b"", b"not JSON", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000)
WRONG_OBJECTS = (b"{}", b'{"model_type": "blip"}', b'{"size": 7}', b'{"image_std": 3}', b'{"do_resize": 0}')


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", NOT_OBJECTS)
def test_settings_that_are_no_object_are_named(tiny_captioner, tmp_path, name, content):
    with pytest.raises(BundleError, match=name.replace(".", r"\.")) as refused:
        Blip.load(resealed(tiny_captioner.bundle, tmp_path / "bundle", name, content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("config.json", content) for content in WRONG_OBJECTS),
        *(("preprocessor_config.json", content) for content in WRONG_OBJECTS[2:]),  # the others leave all at default
        *(("tokenizer.json", content) for content in WRONG_OBJECTS),
    ],
)
def test_settings_of_another_kind_are_named(tiny_captioner, tmp_path, name, content):
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Blip.load(resealed(tiny_captioner.bundle, tmp_path / "bundle", name, content))


def test_a_tokenizer_of_another_model_is_named(tiny_captioner, tmp_path):
    tokenizer = json.loads((tiny_captioner.bundle / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    larger = {**tokenizer, "model": {**tokenizer["model"], "vocab": {**vocab, "extra": len(vocab)}}}
    foreign = resealed(tiny_captioner.bundle, tmp_path / "larger", "tokenizer.json", json.dumps(larger).encode())
    with pytest.raises(BundleError, match=r"tokenizer\.json.*not this model's"):
        Blip.load(foreign)


GRAPHS = (b"", b"no graph", b'<?xml version="1.0"?><net name="x" version="11"></net>', b"<net>" * 1000)


@pytest.mark.parametrize("content", GRAPHS)
@pytest.mark.parametrize("name", ["vision", "answer"])
def test_a_file_that_is_no_graph_is_named(tiny_captioner, tmp_path, name, content):
    blip = Blip.load(resealed(tiny_captioner.bundle, tmp_path / "bundle", f"{name}.xml", content), options=EXACT)
    with pytest.raises(BundleError, match=rf"{name}\.xml") as refused:
        blip.caption(scene_image(0))
    assert "\n" not in str(refused.value)


def test_another_graph_is_named(tiny_vqa, tmp_path):
    other = {end: (tiny_vqa.bundle / f"answer_kv.{end}").read_bytes() for end in ("xml", "bin")}
    folder = resealed(tiny_vqa.bundle, tmp_path / "half", "vision.xml", other["xml"])
    folder = resealed(folder, tmp_path / "whole", "vision.bin", other["bin"])
    with pytest.raises(BundleError, match=r"vision\.xml: not the graph vision: its inputs are source_states"):
        Blip.load(folder, options=EXACT).caption(scene_image(0))


def test_weights_that_are_cut_off_are_named(tiny_vqa, tmp_path):
    weights = (tiny_vqa.bundle / "vision.bin").read_bytes()
    folder = resealed(tiny_vqa.bundle, tmp_path / "bundle", "vision.bin", weights[:-1000])
    with pytest.raises(BundleError, match=r"vision\.xml"):
        Blip.load(folder, options=EXACT).caption(scene_image(0))


@pytest.mark.parametrize("bundle", [None, 123, b"bundle", ["bundle"], "", "a\0b", True])
def test_what_is_no_path_is_no_bundle(bundle):
    with pytest.raises(InputError, match=r"bundle is .*path"):
        Blip.load(bundle)


@pytest.mark.parametrize("value", [None, -1, 1.5, "1", True])
def test_image_cache_bytes_are_checked(demo, value):
    with pytest.raises(InputError, match=r"image_cache_bytes is .*expected"):
        Blip.load(demo.bundle, image_cache_bytes=value)


@pytest.mark.parametrize("value", ["f32", {"precision": "f32"}, 1, GenerationOptions()])
def test_options_are_engine_options(demo, value):
    with pytest.raises(InputError, match=r"options are .*expected EngineOptions"):
        Blip.load(demo.bundle, options=value)


def test_answers_and_features_of_another_model_are_refused(demo, tiny_vqa):
    listed = AnswerList(["red"], demo.blip.texts)
    listed.tokens = np.array([[demo.blip.config.text.vocab_size]])
    with pytest.raises(InputError, match="another model"):
        demo.blip.rank(scene_image(0), "red?", listed)
    with pytest.raises(InputError, match="another bundle"):
        demo.blip.caption(tiny_vqa.blip.features(scene_image(0)))
    with pytest.raises(InputError, match=r"image_embeds float32 \[2, 3\], expected float32 \[37, 192\]"):
        demo.blip.caption(ImageFeatures(np.zeros((2, 3), np.float32), demo.blip.bundle.fingerprint))
