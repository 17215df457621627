"""Nothing is lost and nothing doubled, whatever is killed; and what would be is seen."""

import pytest

from benchmarks.ray_kills import KINDS, kill_again_and_again

pytest.importorskip("ray")


@pytest.mark.slow
def test_an_engine_a_task_a_node_and_the_driver(int8, tmp_path):
    toll = kill_again_and_again(int8, len(KINDS), 120, seed=1, work=tmp_path)
    assert toll.problems == []
    assert dict(toll.kills) == dict.fromkeys(KINDS, 1)
    assert toll.jobs >= 2
