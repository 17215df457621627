"""What the model's shape and memory do not allow is refused before work; what they allow works."""

from dataclasses import replace

import pytest
from subjects import scene_image

from blipvino import (
    Blip,
    GenerationOptions,
    InputError,
)
from blipvino.checkpoint.config import BlipConfig, TextConfig, VisionConfig
from blipvino.runtime.limits import Limits

SHORT = {"max_new_tokens": 2}


@pytest.fixture
def idle(demo, monkeypatch):
    """The demo model, which fails the test if it begins to work."""

    def begin(*_, **__):
        raise AssertionError("work has begun")

    blip = demo.blip
    scheduler = blip.components.scheduler
    for owner, name in ((scheduler, "submit"), (blip.engine, "decode"), (blip.extractor, "extract")):
        monkeypatch.setattr(owner, name, begin)
    return blip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 10**7}, "num_beams is 10000000, expected at most the 206 words"),
        ({"num_beams": 207}, "num_beams is 207, expected at most the 206 words"),
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
