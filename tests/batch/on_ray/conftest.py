"""A Ray cluster of several nodes on this machine, for the tests of this folder: CPUs are a number there."""

import os

import pytest

from blipvino.data.demo import demo_sample

ray = pytest.importorskip("ray")

STORE_BYTES = 100 * 2**20
QUICK_DEATHS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}


@pytest.fixture(scope="session", autouse=True)
def nobody_is_told():
    """Ray tells nobody of its use."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture
def make_cluster(monkeypatch):
    """Starts clusters, and ends them with all their processes."""
    from ray.cluster_utils import Cluster

    started = []

    def make(*cpus):
        head = {
            "num_cpus": 0,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
            "_system_config": QUICK_DEATHS,
        }
        cluster = Cluster(initialize_head=True, head_node_args=head)
        started.append(cluster)
        for each in cpus:
            cluster.add_node(num_cpus=each, object_store_memory=STORE_BYTES, include_dashboard=False)
        cluster.wait_for_nodes()
        return cluster

    yield make
    ray.shutdown()
    for cluster in started:
        cluster.shutdown()


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve pictures in folders below, and a file that is none."""
    folder = tmp_path / "photos"
    for number in range(12):
        path = folder / f"{'abc'[number % 3]}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        demo_sample("test", number).image().save(path)
    (folder / "b" / "bad.png").write_bytes(b"no picture")
    return folder
