"""Where calibration samples come from: the demo's world for the demo alone, and what is said of it."""

import shutil

import pytest
from listener import Listener
from pictures import noise
from PIL import Image

from blipvino import CalibrationOptions, optimize
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.data import DemoSource, NaturalSource, PhotoSource
from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT
from blipvino.errors import DataError, InputError
from blipvino.optimization.calibration_source import calibration_source


def source_of(folder, options=None):
    """The source for a checkpoint, and the lines about it."""
    listener = Listener()
    with load_checkpoint(folder) as checkpoint:
        return calibration_source(options or CalibrationOptions(), checkpoint, listener), listener.said


@pytest.mark.parametrize("embedded", [CHECKPOINT, RETRIEVAL_CHECKPOINT])
def test_the_demo_is_calibrated_on_its_own_world_by_any_name(embedded, tmp_path):
    copy = shutil.copytree(embedded, tmp_path / "copy")
    (copy / "README.md").write_text("what is not configuration or weights does not matter")
    for folder in (embedded, copy):
        source, said = source_of(folder)
        assert source == DemoSource("validation")
        assert len(said) == 1 and said[0].startswith("Calibrating on demo:validation: ")


def test_all_others_are_calibrated_on_generated_pictures(tiny_vqa, tmp_path):
    source, said = source_of(tiny_vqa.folder)
    assert source == NaturalSource()
    assert len(said) == 1 and said[0].startswith("Calibrating on natural: ")


def test_one_weight_makes_another_checkpoint(tmp_path):
    copy = shutil.copytree(CHECKPOINT, tmp_path / "copy")
    (weights,) = copy.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert source_of(copy)[0] == NaturalSource()


def test_what_is_asked_for_is_taken(tiny_vqa, tmp_path):
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    photos = PhotoSource((tmp_path / "a.png",))
    for folder in (CHECKPOINT, tiny_vqa.folder):
        assert source_of(folder, CalibrationOptions("demo:train")) == (DemoSource("train"), [])
        assert source_of(folder, CalibrationOptions("natural")) == (NaturalSource(), [])
        assert source_of(folder, CalibrationOptions(photos)) == (photos, [])
        assert source_of(folder, CalibrationOptions(f"folder:{tmp_path}"))[0].name == f"folder:{tmp_path.name}"


@pytest.mark.parametrize(("source", "error"), [("automatic", DataError), ("", DataError), (None, InputError)])
def test_what_is_no_source_is_refused(source, error):
    with pytest.raises(error):
        source_of(CHECKPOINT, CalibrationOptions(source))


@pytest.mark.slow
def test_the_manifest_and_the_card_say_what_was_really_used(tiny_vqa, tmp_path):
    def made(name, source, samples):
        options = CalibrationOptions(source, samples)
        return optimize(tiny_vqa.folder, tmp_path / name, calibration=options, show_progress=False)

    by_default = made("default", "auto", 6)
    assert (by_default.manifest.calibration.source, by_default.manifest.calibration.images) == ("natural", 6)
    assert "`natural`" in (by_default.folder / "README.md").read_text()
    for number in range(4):
        Image.fromarray(noise(40, 40, seed=number)).save(tmp_path / f"{number}.png")
    photos = PhotoSource(tuple(sorted(tmp_path.glob("*.png"))))
    on_photos = made("photos", photos, 8)
    assert (on_photos.manifest.calibration.source, on_photos.manifest.calibration.images) == ("photos", 4)
    assert str(tmp_path) not in (on_photos.folder / "README.md").read_text().replace(str(tiny_vqa.folder), "")
