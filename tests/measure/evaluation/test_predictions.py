"""Files of predictions: those made otherwise, and spoilt ones."""

from dataclasses import replace

import pytest
from evaluation_subjects import OPTIONS, lines, quiet

from blipvino.errors import DataError, OutputError
from blipvino.measure.evaluation.evaluate import evaluate_bundle


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seed": 7}, "seed 42 there, 7 here"),
        ({"samples": 31}, "samples 30 there, 31 here"),
        ({"max_new_tokens": 8}, "max_new_tokens 32 there, 8 here"),
        ({"precision": "auto"}, "precision f32 there, auto here"),
    ],
)
def test_predictions_made_otherwise_are_refused(done, int8, changed, says):
    _, folder = done
    before = (folder / "predictions-compressed.jsonl").read_bytes()
    with pytest.raises(OutputError, match=says) as error:
        evaluate_bundle(int8, "demo:test", replace(OPTIONS, **changed), quiet(folder), beside_original=False)
    assert "--restart" in str(error.value)
    assert (folder / "predictions-compressed.jsonl").read_bytes() == before


def test_predictions_of_another_bundle_or_of_other_samples_are_refused(done, demo):
    _, folder = done
    with pytest.raises(OutputError, match=r"model .* there, .* here"):
        evaluate_bundle(demo.bundle, "demo:test", OPTIONS, quiet(folder), beside_original=False)
    with pytest.raises(OutputError, match="data demo:test there, demo:validation here, selection"):
        evaluate_bundle(done[0].compressed.place, "demo:validation", OPTIONS, quiet(folder), beside_original=False)


def test_a_spoilt_file_of_predictions_is_named_by_its_line(done, int8, tmp_path):
    whole = lines(done[1] / "predictions-compressed.jsonl")
    path = tmp_path / "predictions-compressed.jsonl"
    path.write_bytes(whole[0] + b"{]\n" + whole[2])
    with pytest.raises(DataError, match=r"predictions-compressed\.jsonl:2"):
        evaluate_bundle(int8, "demo:test", OPTIONS, quiet(tmp_path), beside_original=False)
