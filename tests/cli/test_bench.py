"""The race on the command line: its options, since running it takes minutes."""

import pytest
from command_line import refused

from blipvino.errors import InputError


def test_options_reach_the_race(monkeypatch, tmp_path):
    asked = []

    def run_speed(*arguments):
        asked.extend(arguments)
        raise InputError("enough")

    monkeypatch.setattr("blipvino.measure.race.speed.run_speed", run_speed)
    names = ["--contenders", "tutorial-int8, blipvino-int8,", "--recipes", "int8", "--answer-tokens", 5, "--quick"]
    assert str(refused("bench", "demo", "-o", tmp_path, *names, "--quiet")) == "enough"
    checkpoint, work, options, _ = asked
    assert (checkpoint, work) == ("demo", tmp_path / "work")
    assert (options.contenders, options.recipes) == (("tutorial-int8", "blipvino-int8"), ("int8",))
    assert (options.answer_tokens, options.quick, options.rounds) == (5, True, None)


@pytest.mark.parametrize("name", ["blipvino-int3", "tensorflow"])
def test_an_unknown_contender_is_refused(name, tmp_path):
    assert f"no contender '{name}'" in str(refused("bench", "demo", "-o", tmp_path, "--contenders", name, "--quiet"))
