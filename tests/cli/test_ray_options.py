"""Options of Ray, by the verbs that have them."""

import importlib
import json

import pytest
from command_line import refused, run


@pytest.fixture
def batch(bundle, tmp_path):
    return ("batch", bundle, "--input", tmp_path, "--output", tmp_path / "out", "--task", "caption")


@pytest.mark.parametrize("option", [("--address", "auto"), ("--ray-cpus", 2), ("--ray-workers", 2)])
def test_without_ray_they_are_refused(batch, option, tmp_path):
    told = f"{option[0]} has no effect without --engine ray; leave it out"
    assert str(refused(*batch, *option)) == told
    assert str(refused("index", tmp_path, "-o", tmp_path / "index", *option)) == told


def test_threads_are_those_of_an_engine(batch):
    assert "--ray-cpus" in str(refused(*batch, "--engine", "ray", "--threads", 2))


def test_ray_client_is_no_address(batch):
    assert "ray job submit" in str(refused(*batch, "--engine", "ray", "--address", "ray://host:10001"))


def test_the_extra_is_named(batch, photo, tmp_path, monkeypatch):
    (tmp_path / "photo.png").write_bytes(photo.read_bytes())
    monkeypatch.setattr(importlib, "import_module", _missing)
    assert "pip install 'blipvino[ray]'" in str(refused(*batch, "--engine", "ray"))


def test_what_would_be_done_needs_no_cluster(batch, photo, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo.read_bytes())
    told = json.loads(run(*batch, "--engine", "ray", "--dry-run", "--json").stdout)
    assert (told["to_do"], told["is_new"]) == (1, True)
    assert not (tmp_path / "out").exists()


def test_no_cluster_there_is_a_line(batch, photo, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo.read_bytes())
    done = run(*batch, "--engine", "ray", "--address", "127.0.0.1:1", code=2)
    assert "no Ray cluster can be reached there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_job_on_this_machine(batch, photo, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo.read_bytes())
    done = run(*batch, "--engine", "ray", "--ray-cpus", 1, "--quiet")
    assert "1 image; " in done.stdout
    assert done.stderr == ""


def _missing(name, *_):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
