"""Every row once, whatever stops a job; and what it refuses."""

import errno
import functools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from batch_subjects import StoppedError, StubWorker, job, plan, text_of, write_photos
from hypothesis import given, settings
from hypothesis import strategies as st

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.job import forecast_job, run_job
from blipvino.batch.job_progress import JobProgress
from blipvino.batch.output.job_manifest import MANIFEST, SUMMARY
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.output.shard_formats import FORMATS
from blipvino.batch.row_selection import RowSelection, Sample, Share
from blipvino.batch.row_sidecars import RowSidecars
from blipvino.batch.sources.given_source import given_source
from blipvino.batch.sources.listed_rows import ListedRows
from blipvino.errors import DataError, InputError, OutputError
from blipvino.files.beside import FileWriter
from blipvino.photos.places import Describer
from blipvino.photos.text_sidecars import TextSidecars

run = functools.partial(run_job, open_worker=StubWorker)


def stopped_after(count):
    return lambda plan: StubWorker(plan, count)


def rows_of(output):
    """All rows of a job, as they are in its shards."""
    import pyarrow.parquet as pq

    found = []
    for path in sorted(output.glob("part-*")):
        if path.suffix == ".jsonl":
            found += [json.loads(line) for line in path.read_text().splitlines()]
        else:
            found += pq.read_table(path).to_pylist()
    return found


def shards_of(output):
    return {path.name: path.read_bytes() for path in output.glob("part-*")}


class TakingWorker(StubWorker):
    """Takes all rows before it gives one."""

    def run(self, rows):
        yield from super().run(list(rows))


def test_what_came_before_a_source_failed_is_made(tmp_path):
    given = replace(job(tmp_path, tmp_path / "out"), source=FailingSource())
    for _ in range(2):
        with pytest.raises(DataError, match="it ends here"):
            run_job(given, open_worker=TakingWorker)
        assert [row["id"] for row in rows_of(tmp_path / "out")] == ["0", "1", "2"]


def test_a_shard_that_was_copied_is_told(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, ["a.png", "b.png"])
    run(job(photos, output))
    (shard,) = output.glob("part-*")
    copy = shard.with_name(shard.name.replace("00000", "00007"))
    copy.write_bytes(shard.read_bytes())
    with pytest.raises(OutputError, match=rf"{copy.name}: has the row '.*a\.png', which another shard has, too"):
        run(job(photos, output))
    copy.unlink()
    assert run(job(photos, output)).rows == 2


def test_nothing_is_removed_for_a_source_that_cannot_be_read(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, ["a.png", "b.png"])
    run(job(photos, output))
    before = shards_of(output)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no images in it"):
        run(job(tmp_path / "none", output), anew=True)
    assert shards_of(output) == before
    assert run(job(photos, output)).new_rows == 0


class FailingSource:
    name = "it"
    lists_quickly = False

    def partitions(self):
        yield ListedRows(tuple(InputRow(str(number), b"") for number in range(3)))
        raise DataError("it ends here")


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_done_stays_and_what_is_new_is_done(tmp_path, form):
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, [f"{number}.png" for number in range(12)] + ["deep/bad.png"])
    summary = run(job(photos, output, form=form))
    assert (summary.rows, summary.errors, summary.new_rows, len(summary.shards)) == (13, 1, 13, 3)
    before = shards_of(output)
    assert [len(rows_of(output)), len(before)] == [13, 3]
    assert rows_of(output)[-1]["error"] == "no picture"
    again = run(job(photos, output, form=form), progress=None)
    assert (again.rows, again.errors, again.new_rows) == (13, 1, 0)
    assert shards_of(output) == before
    write_photos(photos, ["a.png", "00.png"])
    assert run(job(photos, output, form=form)).new_rows == 2
    assert before.items() < shards_of(output).items()
    rows = rows_of(output)
    assert sorted(row["id"] for row in rows) == sorted(
        path.relative_to(photos).as_posix() for path in photos.rglob("*.png")
    )
    assert all(row["caption"] == text_of(row["id"]) for row in rows if row["error"] is None)
    written = json.loads((output / SUMMARY).read_text())
    assert [shard["rows"] for shard in written["shards"]] == [5, 5, 3, 2]
    assert [shard["bytes"] for shard in written["shards"]] == [
        len(each) for _, each in sorted(shards_of(output).items())
    ]


def test_what_is_made_before_a_stop_is_kept(tmp_path):
    write_photos(tmp_path / "photos", [f"{number}.png" for number in range(12)])
    with pytest.raises(StoppedError):
        run(job(tmp_path / "photos", tmp_path / "out"), open_worker=stopped_after(7))
    assert [len(rows_of(tmp_path / "out")), len(shards_of(tmp_path / "out"))] == [7, 2]
    assert not (tmp_path / "out" / SUMMARY).exists()
    assert run(job(tmp_path / "photos", tmp_path / "out")).new_rows == 5


@settings(max_examples=30, deadline=None)
@given(
    stops=st.lists(st.integers(0, 20), max_size=5),
    sizes=st.lists(st.integers(1, 7), min_size=6, max_size=6),
    growth=st.lists(st.integers(0, 5), min_size=6, max_size=6),
)
def test_no_stops_lose_or_double_a_row(tmp_path_factory, stops, sizes, growth):
    folder = tmp_path_factory.mktemp("stops")
    photos, output = folder / "photos", folder / "out"
    known = {}
    for life, stop in enumerate([*stops, None]):
        write_photos(photos, [f"{growth[life]}/{life}-{number}.png" for number in range(6)])
        try:
            run(job(photos, output, shard_rows=sizes[life]), open_worker=stopped_after(stop))
        except StoppedError:
            assert stop is not None
        now = shards_of(output)
        assert known.items() <= now.items()
        known = now
    ids = [row["id"] for row in rows_of(output)]
    assert sorted(ids) == sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))


class FullDisk(LocalFolder):
    """A folder where a number of bytes can be written."""

    left = 0

    @contextmanager
    def write(self, name):
        with super().write(name) as file:
            real = file.write

            class Counted:
                def write(self, content):
                    if name.startswith("part-") and len(content) > 100:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return real(content)

                def __getattr__(self, asked):
                    return getattr(file, asked)

            yield Counted()


def test_a_full_disk_ends_the_job_and_leaves_nothing_half_written(tmp_path):
    write_photos(tmp_path / "photos", [f"{number}.png" for number in range(12)])
    given = job(tmp_path / "photos", tmp_path / "out", form="jsonl")
    with pytest.raises(OutputError, match="No space left"):
        run(replace(given, place=FullDisk(tmp_path / "out")))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MANIFEST, "_writer.lock"]
    assert run(given).new_rows == 12


def test_one_that_is_full_from_the_first_is_named(tmp_path, monkeypatch):
    def full(place, text, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_photos(tmp_path / "photos", ["a.png"])
    given = job(tmp_path / "photos", tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match=r"out: cannot be written \(No space left on device\); check the disk"):
            run(given)
    assert run(given).new_rows == 1  # the lock was let go


def test_another_job_is_refused_with_the_difference_named(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, ["a.png", "b.png"])
    run(job(photos, output))
    before = shards_of(output)
    changes = (
        (job(photos, output, plan=plan(generation={"num_beams": 3})), "num-beams was 1, is 3"),
        (
            job(photos, output, plan=replace(plan(), texts=replace(plan().texts, fingerprint="1" * 64))),
            "model was '0000",
        ),
        (job(tmp_path, output), r"input was '.*photos['…], is '"),  # long paths are cut
        (job(photos, output, form="jsonl"), "format was 'parquet', is 'jsonl'"),
        (job(photos, output, sidecar_options={"sidecar": ["txt"]}), r"sidecar was None, is \['txt'\]"),
    )
    for changed, message in changes:
        for refused in (run, forecast_job):
            with pytest.raises(InputError, match=message):
                refused(changed)
    assert shards_of(output) == before
    assert run(job(photos, output, shard_rows=1)).new_rows == 0
    assert run(changes[0][0], anew=True).new_rows == 2
    assert shards_of(output).keys() == before.keys()
    assert json.loads((output / MANIFEST).read_text())["job"]["num-beams"] == 3
    assert run(changes[3][0], anew=True).new_rows == 2
    assert list(shards_of(output)) == ["part-00000.jsonl"]


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    write_photos(tmp_path / "photos", ["a.png"])
    output = tmp_path / "out"
    output.mkdir()
    (output / "part-00000.parquet").write_bytes(b"somebody's")
    for anew in (False, True):
        with pytest.raises(OutputError, match="is not empty"):
            run(job(tmp_path / "photos", output), anew=anew)
    assert [path.name for path in output.iterdir()] == ["part-00000.parquet"]
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError):
            run(job(tmp_path / "photos", place))


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_shard_is_named_and_done_again_when_it_is_removed(tmp_path, form):
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, [f"{number}.png" for number in range(12)])
    run(job(photos, output, form=form))
    shard = output / f"part-00001{FORMATS[form].suffix}"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(OutputError, match=r"part-00001.*damaged.*remove it"):
        run(job(photos, output, form=form))
    shard.unlink()
    assert run(job(photos, output, form=form)).new_rows == 5
    assert len({row["id"] for row in rows_of(output)}) == len(rows_of(output)) == 12


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 1, "begun": 3, "job": {}}'])
def test_a_damaged_manifest_is_named(tmp_path, content):
    write_photos(tmp_path / "photos", ["a.png"])
    run(job(tmp_path / "photos", tmp_path / "out"))
    (tmp_path / "out" / MANIFEST).write_bytes(content)
    with pytest.raises(OutputError, match="damaged"):
        run(job(tmp_path / "photos", tmp_path / "out"))
    (tmp_path / "out" / MANIFEST).write_text('{"version": 99}')
    with pytest.raises(OutputError, match="newer blipvino"):
        run(job(tmp_path / "photos", tmp_path / "out"))
    assert run(job(tmp_path / "photos", tmp_path / "out"), anew=True).new_rows == 1


def test_a_second_run_is_refused_while_the_first_is_at_work(tmp_path):
    write_photos(tmp_path / "photos", [f"{number}.png" for number in range(3)])
    given = job(tmp_path / "photos", tmp_path / "out")

    class Meanwhile(StubWorker):
        def run(self, rows):
            with pytest.raises(OutputError, match=f"process {os.getpid()} on .* is writing it"):
                run(given)
            yield from super().run(rows)

    assert run(given, open_worker=Meanwhile).new_rows == 3


def test_a_killed_run_lets_go_of_the_folder_and_leaves_no_half_written_file(tmp_path):
    write_photos(tmp_path / "photos", [f"{number}.png" for number in range(3)])
    given = job(tmp_path / "photos", tmp_path / "out")
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from blipvino.batch.output.local_folder import LocalFolder\n"
        "place = LocalFolder(Path(sys.argv[1]))\n"
        "with place.sole_writer(), place.write('part-00000.parquet'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run(given, anew=True)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "out")], check=False)
    assert [path.suffix for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == [".partial"]
    assert run(given).new_rows == 0
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_ids_that_come_twice_are_named_and_done_once(tmp_path):
    listed = tmp_path / "list.jsonl"
    listed.write_text("".join(json.dumps({"id": number % 4, "path": f"{number}.png"}) + "\n" for number in range(6)))
    given = replace(job(tmp_path, tmp_path / "out"), source=given_source(str(listed)))
    for new in (4, 0):
        summary = run(given)
        assert (summary.new_rows, summary.duplicates, summary.duplicate_ids) == (new, 2, ["0", "1"])
    assert [row["image"] for row in rows_of(tmp_path / "out")] == [
        str(tmp_path / f"{number}.png") for number in range(4)
    ]


def test_all_runs_of_a_job_draw_by_one_seed(tmp_path):
    write_photos(tmp_path / "photos", [f"{number}.png" for number in range(12)])
    given = job(tmp_path / "photos", tmp_path / "out", plan=plan(generation={"do_sample": True}))
    seeds = []

    def opened(plan):
        seeds.append(plan.seed)
        return StubWorker(plan, 7)

    with pytest.raises(StoppedError):
        run(given, open_worker=opened)
    run(given, open_worker=opened)
    assert seeds[0] == seeds[1] is not None
    with pytest.raises(InputError, match="seed was"):
        run(job(tmp_path / "photos", tmp_path / "out", plan=plan(generation={"do_sample": True, "seed": seeds[0] + 1})))


def test_a_dry_run_tells_what_a_run_then_does_and_does_nothing(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, [f"{number}.png" for number in range(12)])
    forecast = forecast_job(job(photos, output))
    assert not output.exists()
    assert (forecast.is_new, forecast.selected, forecast.to_do, forecast.shards) == (True, 12, 12, 3)
    run(job(photos, output, selection=RowSelection(limit=5)))
    listed = sorted(output.iterdir())
    forecast = forecast_job(job(photos, output))
    assert (forecast.is_new, forecast.finished, forecast.to_do, forecast.shards) == (False, 5, 7, 2)
    assert sorted(output.iterdir()) == listed
    assert run(job(photos, output)).new_rows == 7


def test_shares_and_samples_are_jobs_of_their_own(tmp_path):
    photos = tmp_path / "photos"
    write_photos(photos, [f"{number}.png" for number in range(40)])
    found = []
    for number in (1, 2, 3):
        output = tmp_path / f"{number}"
        run(job(photos, output, selection=RowSelection(Share(number, 3), Sample(30, 1))))
        found += [row["id"] for row in rows_of(output)]
    assert len(found) == len(set(found)) == 30


def test_texts_are_kept_beside_their_photos_and_what_goes_wrong_is_the_rows_error(tmp_path):
    photos = tmp_path / "photos"
    write_photos(photos, ["a.png", "b.png", "bad.png"])
    (photos / "b.txt").write_text("the owner's")
    sidecars = RowSidecars(Describer([TextSidecars(FileWriter())]), ("caption",), several_questions=False)
    summary = run(job(photos, tmp_path / "out", sidecars=sidecars))
    assert (photos / "a.txt").read_text() == f"{text_of('a.png')}\n"
    assert (photos / "b.txt").read_text() == "the owner's"
    assert not (photos / "bad.txt").exists()
    assert summary.errors == 2
    errors = {row["id"]: row["error"] for row in rows_of(tmp_path / "out")}
    assert errors["a.png"] is None
    assert "b.txt" in errors["b.png"]
    with pytest.raises(InputError):
        RowSidecars(Describer([]), ("embed",), several_questions=False)
    with pytest.raises(InputError):
        RowSidecars(Describer([]), ("answer",), several_questions=True)


def test_nothing_is_loaded_where_nothing_is_to_be_done(tmp_path):
    write_photos(tmp_path / "photos", ["a.png"])
    run(job(tmp_path / "photos", tmp_path / "out"))
    assert run(job(tmp_path / "photos", tmp_path / "out"), open_worker=None).new_rows == 0


def test_progress_tells_the_first_errors_and_counts_the_rest(tmp_path, capsys):
    write_photos(tmp_path / "photos", [f"bad{number}.png" for number in range(30)])
    told = []
    run(job(tmp_path / "photos", tmp_path / "out"), JobProgress(True, told.append))
    assert told == ["no picture"] * 20 + ["further errors are in the column `error` alone"]
