"""An index that nodes make is the one that one process makes; what is known is not embedded again."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from blipvino import BlipRetriever, EngineOptions
from blipvino.batch.on_ray.ray_session import RayOptions, ray_session
from blipvino.retrieval import PhotoIndex, UpdateOptions, update_index
from blipvino.runtime.reading import find_bundle

ENGINE = EngineOptions(precision="f32", threads=1)
STORE_BYTES = 100 * 2**20


def vectors(index):
    with PhotoIndex(index) as opened:
        ids = np.concatenate([ids for ids, _ in opened.records.vectors()])
        made = np.concatenate([made for _, made in opened.records.vectors()])
        files = opened.records.photos_of(ids.tolist())
        return {path: vector for image, vector in zip(ids.tolist(), made, strict=True) for path in files[image]}


@pytest.mark.slow
def test_the_index_is_that_of_one_process(photos, retrieval_int8, tmp_path):
    from blipvino.batch.on_ray.ray_index import RayReading, RemoteEmbedder

    options, on_ray = UpdateOptions(), RayOptions(cpus=1)
    shutil.copy(photos / "a" / "0.png", photos / "a" / "copy.png")
    here = update_index(tmp_path / "here", [photos], BlipRetriever.load(retrieval_int8, options=ENGINE))
    with ray_session(on_ray, object_store_bytes=STORE_BYTES) as cluster:
        model = RemoteEmbedder.of(find_bundle(retrieval_int8))
        there_options = replace(options, reader=RayReading(model, ENGINE, cluster, options.batch_size))
        there = update_index(tmp_path / "there", [photos], model, options=there_options)
        assert replace(there, seconds=0) == replace(here, seconds=0)
        assert (there.new, there.copies, there.unreadable) == (12, 1, 1)
        (photos / "a" / "0.png").rename(photos / "b" / "moved.png")
        second = update_index(tmp_path / "there", [photos], model, options=there_options)
    assert (second.moved, second.new, second.unchanged) == (1, 0, 12)
    found, expected = vectors(tmp_path / "there"), vectors(tmp_path / "here")
    assert photos / "b" / "moved.png" in found
    for path in set(found) & set(expected):
        np.testing.assert_allclose(found[path], expected[path], atol=1e-6)
