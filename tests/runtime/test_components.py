"""What a bundle is run with: forms of it, its compiled graphs in a cache, and parts that are exchanged."""

import copy
import shutil
from dataclasses import replace
from functools import partial
from typing import ClassVar

import openvino as ov
import pytest
from subjects import EXACT, scene_image, with_engine

from blipvino import Blip, BundleError, EngineOptions, InputError, OverloadError, open_bundle
from blipvino.runtime.compiling import compiler
from blipvino.runtime.limits import Limits

SHORT = {"max_new_tokens": 8}


def test_forms_of_a_bundle(tiny_captioner):
    image = scene_image(0)
    expected = tiny_captioner.blip.caption(image, **SHORT)
    for given_ in (str(tiny_captioner.bundle), tiny_captioner.bundle, open_bundle(tiny_captioner.bundle)):
        assert Blip.load(given_, options=EXACT).caption(image, **SHORT) == expected


@pytest.fixture
def cached(tiny_captioner, tmp_path):
    """A copy of a bundle whose captioning graphs are in a cache already: its folder, the options, the caption."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_captioner.bundle, folder)
    options = EngineOptions(precision="f32", threads=1, cache=tmp_path / "cache")
    caption = Blip.load(folder, options=options).caption(scene_image(0), **SHORT)
    assert caption == tiny_captioner.blip.caption(scene_image(0), **SHORT)
    return folder, options, caption


def caption_again(cached):
    folder, options, _ = cached
    return Blip.load(folder, options=options).caption(scene_image(0), **SHORT)


class SpiedCore(ov.Core):
    """Notes the graphs that it reads."""

    read: ClassVar[list] = []

    def read_model(self, path):
        self.read.append(path)
        return super().read_model(path)


def test_compiled_graphs_are_cached(cached, monkeypatch):
    """The second start reads none of the graphs, so it does not mind one that is damaged."""
    folder, options, caption = cached
    assert len(list(options.cache.iterdir())) == len(list(folder.glob("*.bin")))
    weights = bytearray((folder / "vision.bin").read_bytes())
    weights[100] ^= 1
    (folder / "vision.bin").write_bytes(weights)
    monkeypatch.setattr(compiler, "openvino_core", SpiedCore)
    assert caption_again(cached) == caption
    assert SpiedCore.read == []
    with pytest.raises(BundleError, match=r"vision\.bin has changed"):
        Blip.load(folder)


@pytest.mark.parametrize("content", [b"", b"no compiled graph", bytes(100_000)])
def test_a_compiled_graph_that_cannot_be_used_is_compiled_anew(cached, content):
    for blob in cached[1].cache.iterdir():
        blob.write_bytes(content)
    assert caption_again(cached) == cached[2]
    assert all(blob.stat().st_size != len(content) for blob in cached[1].cache.iterdir())


def test_a_damaged_graph_is_refused_before_it_is_compiled_for_the_cache(cached):
    folder, options, _ = cached
    shutil.rmtree(options.cache)
    with (folder / "answer.bin").open("r+b") as weights:
        weights.write(b"damaged")
    with pytest.raises(BundleError, match=r"answer\.bin has changed"):
        caption_again(cached)
    assert not list(options.cache.glob("answer*"))


def test_a_cache_that_cannot_be_written_costs_no_caption(cached, caplog):
    _, options, caption = cached
    shutil.rmtree(options.cache)
    options.cache.write_text("a file")
    assert caption_again(cached) == caption
    assert "compiled graphs are not kept" in caplog.text


# Parts that are exchanged

PARTS = ("bundle", "config", "images", "texts", "engine", "extractor")


def test_another_engine_is_exchanged_in_one_place(tiny_vqa, monkeypatch):
    blip, engine = tiny_vqa.exact, copy.copy(tiny_vqa.exact.engine)
    changed = with_engine(blip, engine)
    assert changed.engine is changed.extractor.engine is engine
    assert blip.engine is blip.extractor.engine is not engine
    calls = []
    for name in ("image_embeds", "question_kv", "question_states", "projection", "branch"):
        original = getattr(engine, name)
        watched = partial(
            lambda name, original, *args, **options: calls.append(name) or original(*args, **options), name, original
        )
        monkeypatch.setattr(engine, name, watched)
    image = scene_image(0)
    assert changed.answer(image, "red?", **SHORT) == blip.answer(image, "red?", **SHORT)
    assert changed.rank(image, "red?", ["yes", "no"]) == blip.rank(image, "red?", ["yes", "no"])
    assert calls == ["image_embeds", "question_kv", "question_states", "projection", "question_states", "branch"]


def test_a_queue_has_a_limit(tiny_vqa):
    blip = Blip(replace(tiny_vqa.exact.components, longest_queue=0))
    with pytest.raises(OverloadError, match="0 texts are waiting already"):
        blip.caption(scene_image(0), **SHORT)


def test_what_is_not_exchanged_stays(tiny_vqa):
    parts = tiny_vqa.exact.components
    changed = replace(parts, limits=Limits(parts.config, 1))
    assert all(getattr(changed, name) is getattr(parts, name) for name in PARTS)
    with pytest.raises(InputError, match="of memory"):
        Blip(changed).caption(scene_image(0))
    assert isinstance(Blip(parts).caption(scene_image(0), **SHORT), str)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_not_exchanged_by_assignment(tiny_vqa, name):
    """It would reach some of those that use it alone."""
    with pytest.raises(AttributeError):
        setattr(tiny_vqa.exact, name, getattr(tiny_vqa.exact, name))
