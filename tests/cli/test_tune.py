"""Measuring anew which way to compute each graph is the fastest."""

import json
import platform
import re
import shutil

import pytest
from command_line import run

from blipvino.demo import CHECKPOINT

MEASURED = re.compile(
    r"(vision|question(_kv)?|answer_kv)(, \d+ (tokens|positions))?: (8-bit (matmuls|convolutions)|float), "
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("tune") / "cache"


def test_what_is_measured_is_said_and_kept(bundle, cache):
    told = run("tune", bundle, "--cache", cache).stdout.splitlines()
    assert [line.split(":")[0].split(",")[0] for line in told].count("vision") == 1
    assert all(MEASURED.match(line) and line.count("8-bit") == 2 for line in told)
    shown = run("info", bundle, "--cache", cache).stdout.splitlines()
    assert [line for line in shown if MEASURED.match(line)] == told
    first = {path.name for path in cache.iterdir()}
    again = json.loads(run("tune", bundle, "--cache", cache, "--json").stdout)["measured"]
    assert [each["graph"] for each in again] == [line.split(":")[0].split(",")[0] for line in told]
    assert all(each["chosen"] in each["milliseconds"] for each in again)
    assert len({path.name for path in cache.iterdir()}) == len(first)  # each graph in one way


def test_info_tells_nothing_of_another_bundle_or_cpu(bundle, cache, monkeypatch, tmp_path):
    here = json.loads(run("info", bundle, "--cache", cache, "--json").stdout)["here"]
    assert {each["graph"] for each in here["measured"]} == {"vision", "question_kv", "question", "answer_kv"}
    run("optimize", CHECKPOINT, "-o", tmp_path / "other", "--recipe", "none", "--quiet")
    assert json.loads(run("info", tmp_path / "other", "--cache", cache, "--json").stdout)["here"]["measured"] == []
    if platform.machine() == "x86_64":
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
        assert json.loads(run("info", bundle, "--cache", cache, "--json").stdout)["here"]["measured"] == []


@pytest.mark.slow
def test_without_quantized_activations_there_is_nothing_to_choose(tmp_path):
    run("optimize", CHECKPOINT, "-o", tmp_path / "fp16", "--recipe", "none", "--quiet")
    assert "nothing to choose" in run("tune", tmp_path / "fp16", "--cache", tmp_path / "cache").stdout


def test_a_cache_that_cannot_be_made_is_refused(bundle, tmp_path):
    (tmp_path / "file").write_text("")
    refused = run("tune", bundle, "--cache", tmp_path / "file" / "cache", code=2)
    assert "Traceback" not in refused.stderr


def test_a_bundle_without_golden_samples_is_refused(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["files"]["selftest.safetensors"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused = run("tune", copy, "--cache", tmp_path / "cache", code=2)
    assert "without a self-test" in refused.stderr
