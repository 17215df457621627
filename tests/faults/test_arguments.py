"""What callers may give: every wrong type and value ends in one line of ours, before any work, or simply works."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from subjects import scene_image

from blipvino import (
    AnswerList,
    Blip,
    BlipvinoError,
    EngineOptions,
    GenerationOptions,
    ImageFeatures,
    InputError,
)

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


# Numbers


def test_numpy_numbers_are_numbers(demo):
    image, asked = scene_image(0), ["what color is the circle?", "is there a ring?"]
    assert demo.blip.answer(image, asked, batch_size=np.int64(1), num_beams=np.uint8(200)) == demo.blip.answer(
        image, asked, batch_size=1, num_beams=200
    )
    ranked = demo.blip.rank(image, asked, ["yes", "no"], top_k=np.int32(1), batch_size=np.int8(2))
    assert ranked == demo.blip.rank(image, asked, ["yes", "no"], top_k=1, batch_size=2)
    for row, alone in zip(ranked, demo.blip.rank(image, asked, ["yes", "no"], top_k=1, batch_size=1), strict=True):
        assert row.answers == alone.answers
        assert row.log_likelihoods == pytest.approx(alone.log_likelihoods, abs=1e-4)
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


# Of another model


def test_answers_and_features_of_another_model_are_refused(demo, tiny_vqa):
    listed = AnswerList(["red"], demo.blip.texts)
    listed.tokens = np.array([[demo.blip.config.text.vocab_size]])
    with pytest.raises(InputError, match="another model"):
        demo.blip.rank(scene_image(0), "red?", listed)
    with pytest.raises(InputError, match="another bundle"):
        demo.blip.caption(tiny_vqa.blip.features(scene_image(0)))
    with pytest.raises(InputError, match=r"image_embeds float32 \[2, 3\], expected float32 \[145, 192\]"):
        demo.blip.caption(ImageFeatures(np.zeros((2, 3), np.float32), demo.blip.bundle.fingerprint))
