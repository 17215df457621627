"""A job on a cluster makes the rows that one process makes, and a second run does what is new."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from object_store import picture

from blipvino import EngineOptions
from blipvino.batch.job import BatchJob, forecast_job, run_job
from blipvino.batch.on_ray import ray_session
from blipvino.batch.on_ray.ray_checkpoint import RECORD, SHARDS
from blipvino.batch.on_ray.ray_job import finished_on_ray, run_job_on_ray
from blipvino.batch.on_ray.ray_session import RayOptions
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.output.remote_folder import RemoteFolder
from blipvino.batch.row_selection import RowSelection, Share
from blipvino.batch.sources.given_source import given_source
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.work_plan import TextWork, plan_work
from blipvino.errors import InputError, OutputError

ONE_CPU = RayOptions(cpus=1)
ENGINE = EngineOptions(threads=1)


@pytest.fixture(autouse=True)
def small_store(monkeypatch):
    """Clusters of this machine alone take little memory."""
    start = ray_session._start_here
    monkeypatch.setattr(
        ray_session, "_start_here", lambda ray, options, store: start(ray, options, store or 100 * 2**20)
    )


def job_of(photos, bundle, output, *tasks, form="parquet", **work):
    plan = plan_work(tasks or ("caption",), bundle, text_work=TextWork(**work), engine=ENGINE)
    return BatchJob(PhotoFiles(str(photos)), plan, LocalFolder(output), form, shard_rows=4, engine="ray")


def read(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return pq.read_table(path).to_pylist()


def rows_in(folder):
    """Rows by id, without what differs from run to run."""
    found = [row for path in folder.iterdir() if not path.name.startswith(("_", ".")) for row in read(path)]
    rows = {row["id"]: row for row in found}
    assert len(rows) == len(found)
    for row in rows.values():
        for name in [name for name in row if name.endswith("_ms")]:
            assert row.pop(name) >= 0
    return rows


def same(found, expected):
    """Whether rows are the same, but for the rounding of scores, which depends on what is computed together."""
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        scores = {
            key: pytest.approx(value, rel=0.01, abs=1e-5) for key, value in row.items() if isinstance(value, float)
        }
        assert found[name] == {**row, **scores}


def test_rows_are_those_of_one_process(photos, int8, tmp_path):
    job = job_of(photos, int8, tmp_path / "there")
    run_job(replace(job, place=LocalFolder(tmp_path / "here"), engine="local"))
    summary = run_job_on_ray(job, ONE_CPU)
    same(rows_in(tmp_path / "there" / SHARDS), rows_in(tmp_path / "here"))
    assert (summary.new_rows, summary.new_errors, summary.rows, summary.errors) == (13, 1, 13, 1)
    assert sum(shard.rows for shard in summary.shards) == 13
    assert json.loads((tmp_path / "there" / "_summary.json").read_text())["rows"] == 13
    assert pq.read_table(tmp_path / "there").num_rows == 13
    assert forecast_job(job, read=finished_on_ray).to_do == 0


@pytest.mark.slow
def test_a_second_run_does_what_is_new_and_touches_nothing(photos, int8, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # relative paths are those of whoever starts the job
    moved = tmp_path / "photos" / "a" / "0.png"
    moved.rename(tmp_path / "0.png")
    questions = ("is there a circle?", "what color is the square?")
    job = job_of("photos", int8, tmp_path / "there", "caption", "answer", form="jsonl", questions=questions)
    first = run_job_on_ray(job, ONE_CPU)
    before = {path: path.read_bytes() for path in (tmp_path / "there" / SHARDS).iterdir()}
    (tmp_path / "0.png").rename(moved)
    second = run_job_on_ray(job, ONE_CPU)
    assert (first.new_rows, second.new_rows, second.rows) == (12, 1, 13)
    assert all(path.read_bytes() == content for path, content in before.items())
    run_job(replace(job, place=LocalFolder(tmp_path / "here"), engine="local"))
    same(rows_in(tmp_path / "there" / SHARDS), rows_in(tmp_path / "here"))
    lost = next(iter(before))
    lost.unlink()  # its rows are made again
    third = run_job_on_ray(job, ONE_CPU)
    assert third.new_rows == len(before[lost].splitlines())
    same(rows_in(tmp_path / "there" / SHARDS), rows_in(tmp_path / "here"))


@pytest.mark.slow
def test_sidecars_shares_and_limits(photos, int8, tmp_path):
    from blipvino.batch.row_sidecars import RowSidecars
    from blipvino.files.beside import FileWriter
    from blipvino.photos.places import Describer
    from blipvino.photos.text_sidecars import TextSidecars

    job = job_of(photos, int8, tmp_path / "there")
    sidecars = RowSidecars(Describer([TextSidecars(FileWriter())]), job.plan.tasks, several_questions=False)
    job = replace(job, sidecars=sidecars, selection=RowSelection(Share(1, 2), limit=4))
    summary = run_job_on_ray(job, ONE_CPU)
    run_job(replace(job, place=LocalFolder(tmp_path / "here"), engine="local", sidecars=None))
    same(rows_in(tmp_path / "there" / SHARDS), rows_in(tmp_path / "here"))
    assert summary.new_rows == 4
    texts = {path.with_suffix("").name: path.read_text().strip() for path in photos.rglob("*.txt")}
    said = {Path(name).stem: row["caption"] for name, row in rows_in(tmp_path / "here").items() if row["caption"]}
    assert texts == said


def test_what_was_begun_without_ray_is_not_gone_on_with(photos, int8, tmp_path):
    job = job_of(photos, int8, tmp_path / "out")
    shutil.rmtree(photos / "b")
    shutil.rmtree(photos / "c")
    run_job(replace(job, engine="local"))
    with pytest.raises(InputError, match="engine was 'local', is 'ray'"):
        run_job_on_ray(job, ONE_CPU)
    with pytest.raises(InputError, match="was made with --engine local"):
        run_job_on_ray(job, ONE_CPU, anew=True)
    assert len(rows_in(tmp_path / "out")) == 4
    assert not (tmp_path / "out" / RECORD).exists()


def test_a_folder_of_other_things_is_left_alone(photos, int8, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        run_job_on_ray(job_of(photos, int8, tmp_path / "out"), ONE_CPU)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_from_a_bucket_into_a_bucket(bucket, int8, tmp_path):
    for number in range(6):
        bucket.put(f"photos/{number}.png", picture(number))
    bucket.put("photos/bad.png", b"no picture")
    plan = plan_work(("caption",), int8, engine=ENGINE)
    source = given_source(f"{bucket.url}/photos")
    job = BatchJob(source, plan, RemoteFolder(f"{bucket.url}/out"), shard_rows=4, engine="ray")
    assert run_job_on_ray(job, ONE_CPU).new_rows == 7
    bucket.put("photos/new.png", picture(7))
    summary = run_job_on_ray(job, ONE_CPU)
    assert (summary.new_rows, summary.rows, summary.errors) == (1, 8, 1)
    run_job(replace(job, place=LocalFolder(tmp_path / "here"), engine="local"))
    for name in bucket.names():
        if name.startswith(f"out/{SHARDS}/"):
            (tmp_path / "there").mkdir(exist_ok=True)
            (tmp_path / "there" / Path(name).name).write_bytes(bucket.get(name))
    same(rows_in(tmp_path / "there"), rows_in(tmp_path / "here"))


@pytest.mark.slow
def test_a_broken_bundle_ends_the_job_in_a_line(photos, int8, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(int8, bundle)
    job = job_of(photos, bundle, tmp_path / "out")
    graph = next(bundle.glob("vision*.bin"))
    graph.write_bytes(bytes(graph.stat().st_size))
    with pytest.raises(Exception, match="damaged") as raised:
        run_job_on_ray(job, ONE_CPU)
    assert type(raised.value).__module__ == "blipvino.errors"
