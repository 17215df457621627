"""Graphs on other devices than the CPU: here those that OpenVINO makes of it."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from command_line import run
from PIL import Image
from subjects import EXACT, scene_image, scene_questions

from blipvino import Blip, EngineOptions, InputError, open_bundle
from blipvino.runtime.compiling.bundled import run_selftest
from blipvino.runtime.compiling.cache import CompiledCache

ELSEWHERE = EngineOptions(precision="f32", device="HETERO:CPU")
DEVICES = ("AUTO", "auto:gpu,cpu", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU")


@pytest.mark.parametrize("device", DEVICES)
def test_texts_are_those_of_the_cpu(tiny_vqa, device):
    blip = Blip.load(tiny_vqa.bundle, options=EngineOptions(precision="f32", device=device))
    image, questions = scene_image(0), scene_questions(0)[:3]
    assert blip.caption(image, num_beams=2) == tiny_vqa.blip.caption(image, num_beams=2)
    assert blip.answer(image, questions) == tiny_vqa.blip.answer(image, questions)


def test_throughput_asks_the_device_for_as_many_requests_as_it_runs_best(tiny_captioner):
    blip = Blip.load(tiny_captioner.bundle, options=replace(ELSEWHERE, mode="throughput"))
    pixels = blip.images.pixels([scene_image(index) for index in range(4)])
    np.testing.assert_allclose(
        blip.engine.image_embeds(pixels), tiny_captioner.blip.engine.image_embeds(pixels), atol=1e-4
    )


def test_a_device_that_is_not_there_is_one_line(tiny_captioner):
    with pytest.raises(InputError, match=r"^device GPU is not there: OpenVINO finds .*CPU.* on this machine$"):
        Blip.load(tiny_captioner.bundle, options=EngineOptions(device="gpu"))


@pytest.mark.parametrize("own", [{"threads": 1}, {"layers": "matmul"}, {"arithmetic": "int7"}])
def test_what_the_cpu_alone_has_is_refused_elsewhere(tiny_captioner, own):
    with pytest.raises(InputError, match=r"has no effect on HETERO:CPU, only on CPU; leave it out"):
        Blip.load(tiny_captioner.bundle, options=replace(ELSEWHERE, **own))


def test_quantized_graphs_run_as_they_are_or_in_float(tiny_int8):
    bundle = open_bundle(tiny_int8)
    for arithmetic, reason in (("auto", "8-bit graphs as they are, computed by HETERO:CPU"), ("float", "Float")):
        found = run_selftest(bundle, replace(ELSEWHERE, arithmetic=arithmetic))
        assert found.choice.reason.startswith(reason)
        assert found.verdicts[0].graph == "vision"
        assert found.passed or arithmetic == "auto"  # 8-bit kernels of an old CPU add products in 16 bits


def test_the_cache_keeps_devices_apart(tiny_captioner, tmp_path, caplog):
    image = scene_image(1)
    expected = tiny_captioner.blip.caption(image)
    made = []
    for options in (EXACT, ELSEWHERE, ELSEWHERE):
        assert Blip.load(tiny_captioner.bundle, options=replace(options, cache=tmp_path)).caption(image) == expected
        made.append({entry.path for entry in CompiledCache(tmp_path).entries()})
    assert len(made[1]) == 2 * len(made[0]) and made[1] == made[2]
    keys = [entry.to_json()["key"] for entry in CompiledCache(tmp_path).entries()]
    assert {key["device"] for key in keys} == {"CPU", "HETERO:CPU"}
    assert {key["details"].get("device", [""])[0] for key in keys} == {"", "HETERO:CPU"}


def test_a_device_that_cannot_export_keeps_nothing_and_says_nothing(tiny_captioner, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        options = EngineOptions(precision="f32", device="MULTI:CPU", cache=tmp_path)
        Blip.load(tiny_captioner.bundle, options=options).caption(scene_image(1))
    assert not list(tmp_path.iterdir()) and not caplog.records


def test_verbs_take_a_device(tiny_captioner, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(scene_image(2)).save(photo)
    there = run("caption", tiny_captioner.bundle, photo, "--device", "auto", "--precision", "f32", "--no-cache").stdout
    assert there.strip().removesuffix("…") == tiny_captioner.blip.caption(photo)
    absent = run("caption", tiny_captioner.bundle, photo, "--device", "NPU", "--no-cache", code=2).stderr
    assert absent.startswith("blipvino: device NPU is not there") and absent.count("\n") == 1
