"""What `transformers`' tests of its BLIP classes ask of each, as far as it concerns models that are not trained."""

import importlib
import inspect

import pytest

from blipvino import hf

CLASSES = ("BlipForQuestionAnswering", "BlipForConditionalGeneration", "BlipForImageTextRetrieval")


@pytest.mark.parametrize("name", CLASSES)
def test_forward_takes_what_upstreams_takes_in_the_same_order(name):
    upstream = getattr(importlib.import_module("transformers"), name)
    expected = [
        parameter.name
        for parameter in inspect.signature(upstream.forward).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    found = list(inspect.signature(getattr(hf, f"OV{name}").forward).parameters)
    assert len(expected) > 4
    assert found[: len(expected)] == expected


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_called_after_upstreams_and_runs_its_checkpoints_alone(name):
    ours = getattr(hf, f"OV{name}")
    assert name in ours.architectures
    assert set(ours.architectures) <= set(CLASSES)
