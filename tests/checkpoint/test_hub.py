"""Loading from a hub, against a real HTTP server on the loopback interface."""

import errno
import json
import socket

import numpy as np
import pytest
from checkpoint.loopback_hub import LoopbackHub, serve
from safetensors.numpy import save_file

from blipvino.checkpoint import hub as hub_module
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.errors import CheckpointError

REPOSITORY = "tester/blip-tiny"
WEIGHTS = "model.safetensors"
CONFIG = {"model_type": "blip", "architectures": ["BlipForQuestionAnswering"]}


def write_repository(folder, value, config=CONFIG):
    folder.mkdir()
    save_file({"weight": np.full((100, 100), value, np.float32)}, folder / WEIGHTS)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("[PAD]\n")
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5]}')
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with two revisions of one repository, and an environment that points at it and at an empty cache."""
    main, second = write_repository(tmp_path / "main", 1), write_repository(tmp_path / "v2", 2)
    with serve(LoopbackHub({REPOSITORY: {"main": main, "v2": second}})) as running:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setattr("time.sleep", lambda _: None)  # huggingface_hub waits a second before each retry
        yield running


def test_downloads_what_is_needed_into_hf_home(hub, tmp_path):
    checkpoint = load_checkpoint(REPOSITORY)
    assert checkpoint.source == REPOSITORY
    assert checkpoint.revision == hub.commit(REPOSITORY, "main")
    assert checkpoint.folder.is_relative_to(tmp_path / "home" / "hub")
    assert (checkpoint.tensor("weight", shape=(100, 100)) == 1).all()
    assert checkpoint.preprocessor == {"image_mean": [0.5, 0.5, 0.5]}
    assert checkpoint.require_tokenizer().read_text() == "[PAD]\n"
    assert not hub.fetched("pytorch_model.bin")
    assert not (checkpoint.folder / "pytorch_model.bin").exists()


def test_hf_hub_cache_wins_over_hf_home(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert load_checkpoint(REPOSITORY).folder.is_relative_to(tmp_path / "cache")


def test_second_load_downloads_nothing(hub):
    load_checkpoint(REPOSITORY)
    hub.requests.clear()
    load_checkpoint(REPOSITORY)
    assert hub.requests  # it did ask whether the revision moved
    assert not [request for request in hub.requests if request.method == "GET" and "/resolve/" in request.path]


@pytest.mark.parametrize("as_commit", [False, True])
def test_revision(hub, as_commit):
    commit = hub.commit(REPOSITORY, "v2")
    checkpoint = load_checkpoint(REPOSITORY, revision=commit if as_commit else "v2")
    assert checkpoint.revision == commit
    assert (checkpoint.tensor("weight") == 2).all()


def test_unknown_revision(hub):
    with pytest.raises(CheckpointError, match="has no revision 'v3'"):
        load_checkpoint(REPOSITORY, revision="v3")


def test_local_folder_wins_over_hub_id(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tester").mkdir()
    write_repository(tmp_path / REPOSITORY, 3)
    checkpoint = load_checkpoint(REPOSITORY)
    assert checkpoint.revision is None
    assert (checkpoint.tensor("weight") == 3).all()
    assert not hub.requests


@pytest.mark.parametrize("from_environment", [False, True])
def test_token_is_sent(hub, monkeypatch, from_environment):
    hub.tokens[REPOSITORY] = "hf_secret"
    if from_environment:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
    load_checkpoint(REPOSITORY, token=None if from_environment else "hf_secret")
    assert {request.token for request in hub.requests} == {"hf_secret"}


@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_unauthorised(hub, token):
    hub.tokens[REPOSITORY] = "hf_secret"
    with pytest.raises(CheckpointError, match=r"refused access \(HTTP 401\).*HF_TOKEN") as caught:
        load_checkpoint(REPOSITORY, token=token)
    assert "hf_secret" not in str(caught.value)


def test_gated(hub):
    hub.gated.add(REPOSITORY)
    with pytest.raises(CheckpointError, match=r"is gated: ask for access.*HF_TOKEN"):
        load_checkpoint(REPOSITORY)


def test_unknown_repository(hub):
    with pytest.raises(CheckpointError, match="tester/other was not found at http://127"):
        load_checkpoint("tester/other")


def test_server_fault(hub):
    hub.status = 500
    with pytest.raises(CheckpointError, match="answered HTTP 500"):
        load_checkpoint(REPOSITORY)


@pytest.mark.parametrize("bad", ["tester/blip tiny", "tester/a--b", "tester/.hidden"])
def test_bad_id(hub, bad):
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        load_checkpoint(bad)
    assert not hub.requests


def unused_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_no_connection(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", unused_url())
    with pytest.raises(CheckpointError, match=r"no connection to http://127\.0\.0\.1.*check the network"):
        load_checkpoint(REPOSITORY)


def test_no_connection_uses_the_cache(hub, monkeypatch):
    online = load_checkpoint(REPOSITORY)
    monkeypatch.setenv("HF_ENDPOINT", unused_url())
    assert load_checkpoint(REPOSITORY).folder == online.folder


def test_offline_uses_the_cache(hub, monkeypatch):
    online = load_checkpoint(REPOSITORY)
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert load_checkpoint(REPOSITORY).folder == online.folder
    assert not hub.requests


def test_offline_with_nothing_cached(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="cache and HF_HUB_OFFLINE is set"):
        load_checkpoint(REPOSITORY)
    assert not hub.requests


@pytest.mark.parametrize("endpoint", ["hub.example.org", "file:///tmp", "http://"])
def test_bad_endpoint(hub, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(CheckpointError, match=r"HF_ENDPOINT is .*expected a URL"):
        load_checkpoint(REPOSITORY)


def test_broken_connection_is_resumed_where_it_broke(hub, monkeypatch):
    # huggingface_hub keeps whole chunks of 10 MB; this file is 40 kB.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    hub.break_after[WEIGHTS] = 10_000
    checkpoint = load_checkpoint(REPOSITORY)
    assert (checkpoint.tensor("weight") == 1).all()
    assert [request.range for request in hub.fetched(WEIGHTS)] == [None, "bytes=10000-"]


def test_connection_that_stays_broken_fails_and_the_next_run_completes(hub):
    hub.break_after[WEIGHTS], hub.breaks = 0, 1_000_000
    with pytest.raises(CheckpointError, match=r"no connection.*files already complete are kept"):
        load_checkpoint(REPOSITORY)
    assert len(hub.fetched("vocab.txt")) == 1
    hub.break_after.clear()
    assert (load_checkpoint(REPOSITORY).tensor("weight") == 1).all()
    assert len(hub.fetched("vocab.txt")) == 1


def test_full_disk(hub, monkeypatch):
    def no_space(*_args, **_keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub_module, "snapshot_download", no_space)
    with pytest.raises(CheckpointError, match=r"no space left.*HF_HOME"):
        load_checkpoint(REPOSITORY)


def test_repository_with_only_a_pickle(hub):
    (hub.repositories[REPOSITORY]["main"] / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors.*refs/pr/N"):
        load_checkpoint(REPOSITORY)


def test_messages_are_one_line(hub):
    hub.status = 503
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(REPOSITORY)
    assert "\n" not in str(caught.value)
