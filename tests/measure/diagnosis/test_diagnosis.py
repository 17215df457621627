"""What a diagnosis found, as JSON."""

import json

from blipvino.measure.diagnosis.diagnosis import Diagnosis


def test_json_comes_back(diagnosis):
    content = json.loads(json.dumps(diagnosis.to_json()))
    assert Diagnosis.from_json(content) == diagnosis
    assert content["worst"][0] == diagnosis.worst(1)[0].label
