"""The race: who runs when, what is counted, and what comes of failures. No timings."""

import os

import pytest
from race_subjects import calls, race

from blipvino.measure.race.race import Pace
from blipvino.measure.race.work import Work

CAPTION = Work("caption", "caption", 1, 2)


def test_contenders_take_turns_and_the_first_round_is_not_counted(tmp_path):
    runners, log = race(tmp_path, "abc", Pace(rounds=3))
    with runners:
        series = runners.run(CAPTION, list("abc"))
    assert calls(log) == [*"abc", *"bca", *"cab", *"abc"]
    assert [(one.contender, len(one.seconds)) for one in series] == [("a", 3), ("b", 3), ("c", 3)]
    assert len({line.split()[3] for line in log.read_text().splitlines()}) == 3  # processes, alive all the time
    assert all(one.agreement == 1 for one in series)


def test_a_contender_without_time_left_still_does_two_rounds(tmp_path):
    runners, _ = race(tmp_path, "ab", Pace(rounds=5, budget=0))
    with runners:
        assert [len(one.seconds) for one in runners.run(CAPTION, ["a", "b"])] == [2, 2]


def test_failing_contenders_are_reported_and_the_others_go_on(tmp_path):
    runners, _ = race(tmp_path, "abcd", Pace(rounds=2), a="raise", b="die", c="short")
    with runners:
        for _ in range(2):
            assert [one.contender for one in runners.run(CAPTION, list("abcd"))] == ["d"]
    assert runners.failures["a"] == "caption: ValueError: no more"
    assert "exit code 7" in runners.failures["b"] and "b.log" in runners.failures["b"]
    assert "expected 1 texts of 2 tokens" in runners.failures["c"]


def test_leaving_the_race_ends_the_processes(tmp_path):
    runners, log = race(tmp_path, "a", Pace(rounds=2))
    with pytest.raises(KeyboardInterrupt), runners:
        runners.run(CAPTION, ["a"])
        raise KeyboardInterrupt
    process = int(log.read_text().split()[3])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
