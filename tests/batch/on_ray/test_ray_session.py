"""Which cluster a job runs on, and how many CPUs an engine has there."""

import importlib
from types import SimpleNamespace

import pytest

from blipvino.batch.on_ray import ray_session
from blipvino.batch.on_ray.ray_session import RayCluster, RayOptions, check_answers, check_installed
from blipvino.batch.on_ray.ray_settings import engine_on, on_this_node
from blipvino.errors import InputError
from blipvino.runtime.compiling.engine_options import EngineOptions


@pytest.fixture(autouse=True)
def no_address(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_the_address_is_given_or_the_environment_s(monkeypatch):
    assert RayOptions().found_address is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert RayOptions().found_address == "10.0.0.1:6379"
    assert RayOptions("auto").found_address == "auto"


def test_where_nothing_listens_is_told_before_any_work():
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9: no Ray cluster can be reached there"):
        check_answers(RayOptions("127.0.0.1:9"))
    check_answers(RayOptions())
    check_answers(RayOptions("auto"))


def test_ray_client_is_refused_with_what_to_do(monkeypatch):
    with pytest.raises(InputError, match="ray job submit"):
        RayOptions("ray://10.0.0.1:10001")
    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.1:10001")
    with pytest.raises(InputError, match="ray job submit"):
        RayOptions()


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"cpus": 0}, {"workers": 3, "max_workers": 2}, {"cpus": True}, {"workers": 1.5}]
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        RayOptions(**options)


@pytest.mark.parametrize(
    ("options", "nodes", "cpus"),
    [
        (RayOptions(), [16, 16], 8),
        (RayOptions(), [4, 4], 3),
        (RayOptions(), [4], 2),
        (RayOptions(), [3], 1),
        (RayOptions(), [1, 1, 1, 1], 1),
        (RayOptions(workers=4), [16], 2),
        (RayOptions(cpus=12), [16, 16], 12),
    ],
)
def test_an_engine_s_cpus_leave_some_for_the_rest(options, nodes, cpus):
    assert ray_session._engine_cpus(options, nodes) == cpus


@pytest.mark.parametrize("nodes", [[], [1], [2], [1, 1]])
def test_a_cluster_that_is_too_small_is_refused(nodes):
    with pytest.raises(InputError, match=f"has {sum(nodes)} CPUs, but this takes 3"):
        ray_session._engine_cpus(RayOptions(), nodes)


def test_one_that_grows_is_waited_for(caplog):
    assert ray_session._engine_cpus(RayOptions(cpus=4), [2]) == 4
    assert "waits for nodes" in caplog.text


def test_without_ray_there_is_a_line(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name}", name=name.partition(".")[0])

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"needs ray: pip install 'blipvino\[ray\]'"):
        check_installed()


def test_threads_are_those_that_are_reserved():
    engine = EngineOptions()
    assert engine_on(RayCluster((4,), 2, (1, 1), True, None), engine) == EngineOptions(threads=2)
    assert engine_on(RayCluster((8, 8), 7, (1, None), False, None), engine) == EngineOptions(threads=7)
    assert engine_on(RayCluster((8, 16), 8, (1, None), False, None), engine) == EngineOptions(threads=8, pinning=False)
    assert engine_on(RayCluster((), 8, (1, None), False, None), engine) == EngineOptions(threads=8, pinning=False)


def test_a_node_without_a_place_for_the_cache_does_without(tmp_path):
    (tmp_path / "file").write_text("")
    assert on_this_node(EngineOptions(cache=tmp_path / "cache")).cache == tmp_path / "cache"
    assert on_this_node(EngineOptions(cache=tmp_path / "file" / "cache")).cache is None


def test_where_ray_does_not_start_there_is_a_line():
    def late(**options):
        raise Exception("The node timed out during startup.\nMore of it.")  # as Ray does

    with pytest.raises(InputError, match=r"cannot be started on this machine \(The node timed out during startup\.\);"):
        ray_session._start_here(SimpleNamespace(init=late), RayOptions(), None)
