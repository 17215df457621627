"""A few of the kills; `python -m benchmarks.bucket_kills` does 100."""

import random

import pytest

from benchmarks import bucket_kills
from benchmarks.bucket_kills import BucketJob, kill_again_and_again, run, store


@pytest.fixture(scope="module")
def client():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
            patch.setenv(name, "none")  # and afterwards as it was
        with store() as made:
            yield made


def test_kills_lose_nothing(client, monkeypatch):
    monkeypatch.setattr(bucket_kills, "IMAGES", 20)
    toll = kill_again_and_again(4, 1, client)
    assert toll.problems == ()
    assert toll.kills >= 4


def test_every_kind_of_loss_is_seen(client):
    job = BucketJob(client, "job-of-losses", "jsonl")
    client.create_bucket(Bucket=job.bucket)
    job.grow(20, random.Random(0))
    run(job)
    assert job.problems(complete=True) == []
    shard = job.before["part-00001.jsonl"]
    client.put_object(Bucket=job.bucket, Key="out/part-00009.jsonl", Body=shard)
    assert any("2 times" in problem for problem in job.problems(complete=True))
    client.delete_object(Bucket=job.bucket, Key="out/part-00009.jsonl")
    client.put_object(Bucket=job.bucket, Key="out/part-00001.jsonl", Body=shard[:-10])
    found = job.problems(complete=True)
    assert "part-00009.jsonl: changed" in found
    assert "part-00001.jsonl: changed" in found
    assert any("damaged" in problem for problem in found)
