"""The commands that say how a bundle was made."""

from report_subjects import GRAPHS, SEARCH, details

from blipvino.bundle.records import CalibrationRecord
from blipvino.optimization.commands import optimize_command, remarks
from blipvino.recipe import PTQ_INT8, Recipe, Treatment


def test_commands_say_how_a_bundle_was_made():
    assert optimize_command(details(), "a b") == (
        "blipvino optimize demo --output 'a b' --recipe int8 --calibration demo:validation --samples 300 --seed 42"
    )
    searched = optimize_command(details(search=SEARCH), "out")
    assert searched.endswith("--max-drop 0.7 --decide-by estimate --validation-samples 1000")
    grouped = dict.fromkeys(GRAPHS, PTQ_INT8) | {"answer": Treatment("weights_int4", group_size=32)}
    made = details(recipe=Recipe("int8-int4", "", grouped))
    assert "--group-size 32" in optimize_command(made, "out")
    assert not list(remarks(made))
    generated = details(calibration=CalibrationRecord("natural", 300, 300, 42))
    assert "--calibration natural" in optimize_command(generated, "out")
    assert "write it out in full" not in " ".join(remarks(generated))
    photos = CalibrationRecord("folder:photos", 10, 10, 1)
    assert "write it out in full" in " ".join(remarks(details(calibration=photos)))
