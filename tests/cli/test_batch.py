"""Batch jobs on the command line."""

import json
import signal
import subprocess
import sys
import time
from io import BytesIO

import pyarrow.parquet as pq
import pytest
from command_line import refused, run

from blipvino.batch.remote_files import StoreError
from blipvino.bundle.bundle import open_bundle
from blipvino.cli.main import app
from blipvino.errors import BlipvinoError

BAD = ("00.png", "06.png")
"""Those of `photos` that cannot be read, but for one that is missing."""


@pytest.fixture(scope="module")
def folder(photos):
    return photos[0].parent


def rows_of(output):
    return [row for path in sorted(output.glob("part-*")) for row in pq.read_table(path).to_pylist()]


def test_a_folder_becomes_shards_and_again_is_nothing_to_do(bundle, folder, photos, blip, tmp_path):
    output = tmp_path / "out"
    command = ("batch", bundle, "--input", folder, "--output", output, "--task", "caption", "--shard-rows", 7)
    dry = run(*command, "--dry-run").stdout
    assert "18 images, of which 0 are finished and 18 are" in " ".join(dry.split())
    assert not output.exists()
    first = run(*command, code=3)
    assert "18 images, 1 with an error" in first.stdout
    assert "00.png: cannot be decoded" in first.stderr
    rows = rows_of(output)
    good = [path for path in photos[:-1] if path.name not in BAD]
    assert [row["id"] for row in rows] == ["00.png", *(path.name for path in good)]
    assert [row["caption"] for row in rows[1:]] == blip.caption(good)
    assert [row["image"] for row in rows] == [str(folder / row["id"]) for row in rows]
    shards = {path.name: path.read_bytes() for path in output.glob("part-*")}
    assert len(shards) == 3
    again = json.loads(run(*command, "--json").stdout)
    assert (again["new_rows"], again["rows"], again["errors"]) == (0, 18, 1)
    assert {path.name: path.read_bytes() for path in output.glob("part-*")} == shards
    assert "num-beams was 1, is 2" in str(refused(*command, "--num-beams", 2))


def test_lists_questions_shares_and_sidecars(bundle, photo, tmp_path):
    listed, output = tmp_path / "list.jsonl", tmp_path / "out"
    photo_here = tmp_path / "scene.png"
    photo_here.write_bytes(photo.read_bytes())
    records = [{"key": f"q{number}", "path": "scene.png"} for number in range(6)]
    records[3]["ask"] = "is there a circle?"
    listed.write_text("".join(json.dumps(record) + "\n" for record in records))
    answers = tmp_path / "answers.txt"
    answers.write_text("yes\nno\n")
    command = (
        *("batch", bundle, "--input", listed, "--output", output, "--task", "rank", "--task", "answer", "--quiet"),
        *("--question", "is there a star?", "--answers", answers, "--id-column", "key", "--question-column", "ask"),
        *("--format", "jsonl", "--sidecar", "txt", "--overwrite"),
    )
    for share in ("1/2", "2/2"):
        run(*command, "--shard", share)
    rows = [json.loads(line) for path in output.glob("*/part-*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == [f"q{number}" for number in range(6)]
    assert {row["question"] for row in rows if row["id"] != "q3"} == {"is there a star?"}
    assert {row["ranked_answer"] for row in rows} <= {"yes", "no"}
    assert (tmp_path / "scene.txt").read_text().strip() in {row["answer"] for row in rows}
    assert {path.name for path in output.iterdir()} == {"1-of-2", "2-of-2"}


def test_what_ends_a_run_loses_nothing(bundle, folder, tmp_path):
    output = tmp_path / "out"
    command = ("batch", bundle, "--input", folder, "--output", output, "--task", "caption", "--batch-size", 1)
    many = (*command, "--num-beams", 12, "--min-new-tokens", 40, "--max-new-tokens", 45, "--quiet")
    process = subprocess.Popen([sys.executable, "-m", "blipvino", *map(str, many)], stderr=subprocess.PIPE, text=True)
    while not list(output.glob(".blipvino-*")) and process.poll() is None and not list(output.glob("part-*")):
        time.sleep(0.05)
        if (output / "_manifest.json").exists():
            break
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    process.wait()
    before = rows_of(output)
    run(*many, code=3 if not any(row["error"] for row in before) else 0)
    ids = [row["id"] for row in rows_of(output)]
    assert len(ids) == len(set(ids)) == 18
    assert rows_of(output)[: len(before)] == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no task"),
        (("--task", "caption", "--question", "what?"), "--question has no effect without --task answer or rank"),
        (("--task", "embed"), "embed needs one such as"),
        (("--task", "rank", "--question", "what?"), "no answers to rank"),
        (("--task", "answer"), "no question"),
        (("--task", "caption", "--shard", "3/2"), "--shard is 3/2"),
        (("--task", "caption", "--sample", "few"), "--sample is few"),
        (("--task", "caption", "--id-column", "key"), "is no list"),
        (("--task", "caption", "--temperature", "2"), "without --do-sample"),
        (("--task", "answer", "--question", "a?", "--question", "b?", "--sidecar", "txt"), "one question"),
        (("--task", "caption", "--prefix", "x"), "without --sidecar txt"),
    ],
)
def test_what_has_no_effect_or_cannot_be_is_refused_before_any_work(bundle, folder, tmp_path, options, message):
    output = tmp_path / "out"
    assert message in str(refused("batch", bundle, "--input", folder, "--output", output, *options))
    assert not output.exists()


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("none", (), "no images in it"),
        ("photos", ("--output", "photos"), "is not empty"),
        ("photos", ("--task", "embed"), "embed needs one for retrieval beside it"),
        ("photos", ("--retrieval", "demo-retrieval"), "has nothing to do without the task embed"),
        ("photos", ("--task", "rank", "--question", "what?"), "no answers to rank"),
        ("list.jsonl", ("--image-column", "file"), "no column 'file', only path"),
        ("list.jsonl", (), "no credentials"),
    ],
)
def test_no_checkpoint_is_optimized_in_vain(tmp_path, monkeypatch, given, options, message):
    (tmp_path / "none").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    (tmp_path / "list.jsonl").write_text('{"path": "s3://bucket/a.png"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("blipvino.optimization.optimize.optimize", None)
    monkeypatch.setattr("blipvino.batch.batch_rows.read_url", _no_credentials)
    output = () if "--output" in options else ("--output", "out")
    command = ("batch", "demo", "--input", given, "--task", "caption", "--cache", "cache", *output, *options)
    with pytest.raises(BlipvinoError, match=message):
        app([*command], standalone_mode=False)
    assert not (tmp_path / "out").exists()


def _no_credentials(url):
    raise StoreError(f"{url}: there are no credentials for it")


def test_quiet_is_quiet_while_a_checkpoint_is_optimized(bundle, folder, tmp_path, monkeypatch):
    shown = []

    def bundle_of(source, wanted=None, *, cache=None, show_progress=True):
        shown.append(show_progress)
        return open_bundle(bundle)

    monkeypatch.setattr("blipvino.pretrained.optimized_once.bundle_of", bundle_of)
    for quiet in ((), ("--quiet",)):
        command = ("batch", "demo", "--input", folder, "--output", tmp_path / "out", "--task", "caption", "--dry-run")
        app([*map(str, command), *quiet], standalone_mode=False)
    assert shown == [True, False]


def test_a_bucket_is_captioned_into_a_bucket(bundle, folder, photos, blip, bucket):
    good = [path for path in photos[:-1] if path.name not in BAD]
    for path in (photos[0], *good):
        bucket.put(f"photos/{path.name}", path.read_bytes())
    command = ("batch", bundle, "--input", f"{bucket.url}/photos", "--output", f"{bucket.url}/captions", "--task")
    first = run(*command, "caption", "--shard-rows", 7, code=3)
    assert f"{bucket.url}/captions has 18 rows in 3 shards, 1 failed" in " ".join(first.stdout.split())
    names = [key for key in bucket.names() if key.startswith("captions/")]
    assert names == [
        *("captions/_manifest.json", "captions/_summary.json"),
        *(f"captions/part-{number:05}.parquet" for number in range(3)),
    ]
    shards = {name: bucket.get(name) for name in names[2:]}
    rows = [row for content in shards.values() for row in pq.read_table(BytesIO(content)).to_pylist()]
    assert [row["image"] for row in rows] == [f"{bucket.url}/photos/{path.name}" for path in (photos[0], *good)]
    assert [row["caption"] for row in rows[1:]] == blip.caption(good)
    assert rows[0]["error"].startswith(f"{bucket.url}/photos/00.png: cannot be ")
    assert json.loads(run(*command, "caption", "--json").stdout)["new_rows"] == 0
    assert {name: bucket.get(name) for name in shards} == shards
    for place, message in (
        (f"{bucket.url}/none", "there is no such file or folder"),
        ("s3://no-such-bucket-here/photos", "there is no such bucket"),
    ):
        told = run(*command[:3], place, "--output", f"{bucket.url}/new", "--task", "caption", code=2).stderr
        assert f"{place}: {message}" in " ".join(told.split())
        assert not [key for key in bucket.names() if key.startswith("new/part")]
