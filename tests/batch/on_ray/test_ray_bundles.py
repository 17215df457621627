"""Bundles on nodes: the folder where it is there, else a copy, which is made once and checked."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blipvino.batch.on_ray.ray_bundles import SentBundle
from blipvino.batch.on_ray.ray_engine import placed, sent_bundles
from blipvino.batch.work_plan import plan_work
from blipvino.bundle.amending import write_confidence
from blipvino.bundle.bundle import open_bundle
from blipvino.bundle.records import FittedConfidence
from blipvino.errors import BundleError

FITTED = FittedConfidence(2.0, -0.5, "demo:validation", 300, 42, 0.9)


@pytest.fixture
def moved(compressed, tmp_path):
    """A bundle in a folder that may be moved away, as another node would not have it."""
    import shutil

    folder = tmp_path / "bundle"
    shutil.copytree(compressed.folder, folder)
    return open_bundle(folder)


class Store:
    """An object store that counts what is fetched."""

    def __init__(self):
        self.objects = []
        self.fetched = []

    def put(self, content):
        self.objects.append(content)
        return len(self.objects) - 1

    def get(self, reference):
        self.fetched.append(reference)
        return self.objects[reference]


def test_a_bundle_that_is_there_is_used_in_place(moved, tmp_path):
    store = Store()
    sent = SentBundle.of(moved, store.put)
    assert sent.find(store.get, tmp_path / "received") == moved.folder
    assert store.fetched == []


def test_elsewhere_it_is_received_once(moved, tmp_path):
    store = Store()
    sent = SentBundle.of(moved, store.put)
    moved.folder.rename(tmp_path / "gone")
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: sent.find(store.get, tmp_path / "received"), range(8)))
    (folder,) = found
    assert folder.parent == tmp_path / "received"
    assert open_bundle(folder).fingerprint == moved.fingerprint
    assert sorted(store.fetched) == list(range(len(store.objects)))


def test_another_bundle_at_its_place_is_not_taken_for_it(moved, tiny_int8, tmp_path):
    store = Store()
    sent = SentBundle.of(moved, store.put)
    moved.folder.rename(tmp_path / "gone")
    moved.folder.symlink_to(tiny_int8)
    assert sent.find(store.get, tmp_path / "received").parent == tmp_path / "received"


def test_one_whose_confidence_was_fitted_anew_is_not_taken_for_it_either(moved, tmp_path):
    store, received = Store(), tmp_path / "received"
    before, fitted = SentBundle.of(moved, store.put), write_confidence(moved, {"captions": FITTED})
    assert before.find(store.get, received) != moved.folder
    after = SentBundle.of(fitted, store.put)
    assert after.find(store.get, received) == moved.folder
    moved.folder.rename(tmp_path / "gone")
    assert open_bundle(after.find(store.get, received)).manifest.confidence.captions == FITTED
    assert open_bundle(before.find(store.get, received)).manifest.confidence is None


def test_a_plan_on_a_node_makes_the_rows_of_the_job(moved):
    write_confidence(moved, {"captions": FITTED})
    plan = plan_work(("caption",), moved.folder)
    assert plan.texts.calibration is not None
    assert placed(plan, sent_bundles(plan, None)).fingerprint == plan.fingerprint


def test_what_comes_damaged_is_refused_and_not_kept(moved, tmp_path):
    store = Store()
    sent = SentBundle.of(moved, store.put)
    moved.folder.rename(tmp_path / "gone")
    name = next(name for name in sent.files if name.endswith(".bin"))
    whole = store.objects[sent.files[name]]
    store.objects[sent.files[name]] = whole[:-1] + bytes([whole[-1] ^ 1])
    with pytest.raises(BundleError, match="damaged"):
        sent.find(store.get, tmp_path / "received")
    store.objects[sent.files[name]] = whole
    assert sent.find(store.get, tmp_path / "received") == tmp_path / "received" / moved.fingerprint


def test_a_bundle_that_was_not_sent_must_stay(moved, tmp_path):
    sent = SentBundle.of(moved, None)
    moved.folder.rename(tmp_path / "gone")
    with pytest.raises(BundleError, match="not there any more"):
        sent.find(Path, tmp_path / "received")
