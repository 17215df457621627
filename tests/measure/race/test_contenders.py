"""Contenders by name, and those that cannot run."""

import pytest

from blipvino.errors import InputError
from blipvino.measure.race.contenders import find_contenders


@pytest.mark.parametrize(
    ("names", "recipes", "expected"),
    [
        (("tutorial-int8", "blipvino-int8"), None, ["tutorial-int8", "blipvino-int8"]),
        (("tutorial-int8",), ("none",), ["tutorial-int8", "blipvino-none"]),
        (("blipvino-int8", "blipvino-none"), None, ["blipvino-none", "blipvino-int8"]),
    ],
)
def test_contenders_by_name(names, recipes, expected):
    pytest.importorskip("torch")
    assert [one.name for one in find_contenders(names, recipes)] == expected


def test_a_contender_that_cannot_run_is_refused_if_it_was_asked_for(monkeypatch):
    monkeypatch.setattr("blipvino.measure.race.contenders.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"torch, transformers: pip install 'blipvino\[bench\]'"):
        find_contenders(("tutorial-int8",), None)
    assert [one.name for one in find_contenders(None, ("int8",)) if not one.missing] == ["blipvino-int8"]
