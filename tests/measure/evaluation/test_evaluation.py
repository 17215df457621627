"""What an evaluation found, as JSON; its options."""

import json

import pytest

from blipvino.errors import DataError, InputError
from blipvino.measure.evaluation.evaluation import EvaluateOptions, read_evaluation


def test_json_comes_back_whole(done, tmp_path):
    evaluation, folder = done
    assert read_evaluation(folder) == evaluation
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["options"]["seed"] == 42 and content["machine"]["cores"] >= 1
    assert content["compressed"]["fingerprint"] != content["original"]["fingerprint"]
    del content["answers"]
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="answers"):
        read_evaluation(tmp_path)


@pytest.mark.parametrize(
    "options", [{"samples": -1}, {"max_new_tokens": 0}, {"top_k": 0}, {"samples": 0, "captions": 0}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError):
        EvaluateOptions(**options)
