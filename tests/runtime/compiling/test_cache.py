"""Compiled graphs that are kept between starts: damage is noticed, the limit is kept, the commands tell of them."""

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from subjects import scene_image

from blipvino import Blip, EngineOptions, InputError
from blipvino.files.sealed import check_content, read_record, write_sealed
from blipvino.runtime.compiling.cache import DEFAULT_LIMIT_BYTES, CompiledCache, GraphKey, cache_limit

SHORT = {"max_new_tokens": 8}
PLAIN = {"precision": "f32", "threads": 1}
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


# A start with a damaged cache


@pytest.fixture(scope="module")
def compiled(tiny_captioner, tmp_path_factory):
    """A folder with the compiled graphs that a caption needs, and the caption's tokens without any."""
    folder = tmp_path_factory.mktemp("compiled") / "cache"
    Blip.load(tiny_captioner.bundle, options=EngineOptions(**PLAIN, cache=folder)).caption(scene_image(0), **SHORT)
    tokens = Blip.load(tiny_captioner.bundle, options=EngineOptions(**PLAIN)).caption_ids(scene_image(0), **SHORT)
    return folder, tokens


@pytest.fixture
def folder(compiled, tmp_path):
    """A copy of that folder, to be damaged."""
    return shutil.copytree(compiled[0], tmp_path / "cache")


def blobs(folder):
    return sorted(folder.glob("*.blob"))


def flip(*places):
    """Flip bytes of the file: at shares of its length, or so many bytes from its end."""

    def damage(path):
        content = bytearray(path.read_bytes())
        for place in places:
            content[int(place * len(content)) if isinstance(place, float) else place] ^= 0xFF
        path.write_bytes(content)

    return damage


def noise(path):
    content = bytearray(path.read_bytes())
    content[1000:5096] = np.random.default_rng(0).bytes(4096)
    path.write_bytes(content)


def without_record(path):
    """As they were kept before they had records."""
    with path.open("rb", buffering=0) as file:
        size = read_record(file).content_bytes
    os.truncate(path, size)


def swapped(path):
    """Two files change their names: both are whole."""
    other = next(one for one in blobs(path.parent) if one != path)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def replaced(path, *inside):
    path.unlink()
    path.mkdir()
    for name in inside:
        (path / name).write_text("text")


DAMAGES = {
    "first byte": flip(0.0),
    "a byte": flip(0.37),
    "400 bytes": flip(*0.8 * np.random.default_rng(1).random(400)),
    "record": flip(-100),
    "size of the record": flip(-20),
    "last byte": flip(-1),
    "noise": noise,
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "one byte long": lambda path: path.write_bytes(path.read_bytes() + b"0"),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "no record": without_record,
    "swapped": swapped,
    "a folder": replaced,
    "a folder of files": lambda path: replaced(path, "a", "b"),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "unreadable": lambda path: path.chmod(0),
}


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=not_as_root) if name == "unreadable" else name for name in DAMAGES]
)
def test_a_damaged_entry_is_noticed_and_replaced(tiny_captioner, compiled, folder, damage, caplog):
    def caption():
        caplog.clear()
        options = EngineOptions(**PLAIN, cache=folder)
        return Blip.load(tiny_captioner.bundle, options=options).caption_ids(scene_image(0), **SHORT)

    (path,) = folder.glob("answer-*.blob")
    DAMAGES[damage](path)
    assert caption() == compiled[1]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (2 if damage == "swapped" else 1)
    assert all("compiled again" in warning and "\n" not in warning for warning in warnings)
    assert str(path) in "".join(warnings)
    assert caption() == compiled[1]
    assert not caplog.records
    assert all(entry.record is not None for entry in CompiledCache(folder).entries())


def test_a_cache_is_used(tiny_captioner, compiled, folder, monkeypatch):
    """The tests above would pass without it."""
    monkeypatch.setattr(CompiledCache, "save", lambda *_: pytest.fail("a graph was compiled"))
    blip = Blip.load(tiny_captioner.bundle, options=EngineOptions(**PLAIN, cache=folder))
    assert blip.caption_ids(scene_image(0), **SHORT) == compiled[1]


@not_as_root
@pytest.mark.parametrize("keep", [True, False], ids=["full", "empty"])
def test_a_folder_that_cannot_be_written(tiny_captioner, compiled, folder, keep, caplog):
    """A full one is used as it is; an empty one costs one warning, however many graphs there are."""
    if not keep:
        shutil.rmtree(folder)
        folder.mkdir()
    before = blobs(folder)
    folder.chmod(0o555)
    try:
        blip = Blip.load(tiny_captioner.bundle, options=EngineOptions(**PLAIN, cache=folder))
        assert blip.caption_ids(scene_image(0), **SHORT) == compiled[1]
    finally:
        folder.chmod(0o755)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["not kept" in warning for warning in warnings] == ([] if keep else [True])
    assert blobs(folder) == before


def test_many_rows_share_graphs_whatever_their_length(tiny_vqa, tmp_path):
    blip = Blip.load(tiny_vqa.bundle, options=EngineOptions(**PLAIN, cache=tmp_path))
    alone = Blip.load(tiny_vqa.bundle, options=EngineOptions(**PLAIN))
    for count in (3, 12, 25):
        questions = [" ".join(["red"] * count), "is it large?"]
        expected = [alone.answer_ids(scene_image(0), question, **SHORT)[0] for question in questions]
        assert blip.answer_ids(scene_image(0), questions, **SHORT) == expected
    assert blip.caption_ids([scene_image(0), scene_image(1)], **SHORT)
    graphs = [entry.graph for entry in CompiledCache(tmp_path).entries()]
    # `answer_kv` has another graph for images, which are projected one by one
    assert sorted(graphs) == ["answer", "answer_kv", "answer_kv", "question", "question_kv", "vision"]


# The sealed file


def test_every_flipped_byte_of_a_sealed_file_is_noticed(tmp_path):
    path = tmp_path / "sealed"
    write_sealed(path, memoryview(bytes(range(200))), {"name": "value"})
    whole = path.read_bytes()
    assert whole[:200] == bytes(range(200))
    with path.open("rb", buffering=0) as file:
        record = read_record(file)
        check_content(file, record)
        assert record.fields == {"name": "value"}
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with path.open("rb", buffering=0) as file, pytest.raises(ValueError, match=r"damaged|seal|cut"):
                check_content(file, read_record(file))


@pytest.mark.parametrize("size", [0, 2**18 - 1, 2**18, 2**18 + 1, 10**6])
def test_sealed_content_of_any_size(tmp_path, size):
    path = tmp_path / "sealed"
    content = np.random.default_rng(0).bytes(size)
    write_sealed(path, memoryview(content), {})
    with path.open("rb", buffering=0) as file:
        record = read_record(file)
        check_content(file, record)
    assert path.read_bytes()[: record.content_bytes] == content


# The limit


class Exported:
    """Stands for a compiled graph that is so many bytes long."""

    def __init__(self, size):
        self._size = size

    def export_model(self):
        return BytesIO(bytes(self._size))


class Importer:
    """Stands for OpenVINO: what it makes of a graph is its content."""

    def import_model(self, tensor, _device, _properties):
        return bytes(tensor.data)


def key(graph, digest="0"):
    return GraphKey(graph, digest, {"HINT": "x"}, {"sizes": [1, 2]}, bundle="/somewhere/bundle")


def use_long_ago(folder, *graphs):
    """As if these graphs had been used in this order, hours ago."""
    for number, graph in enumerate(graphs):
        os.utime(folder / key(graph).file_name, times=(1e9 + number, 1e9 + number))


def graphs_in(folder):
    return {entry.graph for entry in CompiledCache(folder).entries()}


def test_what_was_saved_is_loaded_with_its_notes(tmp_path):
    cache = CompiledCache(tmp_path / "new" / "folder")
    assert cache.load(Importer(), key("answer")) is None
    cache.save(key("answer"), Exported(1000), {"verdict": "good", "error": 0.5})
    found = cache.load(Importer(), key("answer"))
    assert (found.compiled, found.notes) == (bytes(1000), {"verdict": "good", "error": 0.5})
    assert cache.load(Importer(), key("answer", digest="1")) is None
    cache.save(key("answer"), Exported(500))
    found = cache.load(Importer(), key("answer"))
    assert (found.compiled, found.notes) == (bytes(500), {})


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    cache = CompiledCache(tmp_path, 3500)
    for graph in ("a", "b", "c"):
        cache.save(key(graph), Exported(600))
    assert graphs_in(tmp_path) == {"a", "b", "c"}
    use_long_ago(tmp_path, "a", "b", "c")
    assert cache.load(Importer(), key("a")) is not None
    cache.save(key("d"), Exported(600))
    assert graphs_in(tmp_path) == {"a", "c", "d"}
    cache.save(key("e"), Exported(2800))
    assert graphs_in(tmp_path) == {"e"}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3500


def test_what_was_just_made_stays_though_the_clock_went_back(tmp_path):
    cache = CompiledCache(tmp_path, 1500)
    cache.save(key("a"), Exported(600))
    os.utime(tmp_path / key("a").file_name, times=(4e9, 4e9))
    cache.save(key("b"), Exported(600))
    assert graphs_in(tmp_path) == {"b"}


def test_a_graph_larger_than_the_limit_is_not_kept(tmp_path, caplog):
    cache = CompiledCache(tmp_path, 2000)
    cache.save(key("a"), Exported(600))
    cache.save(key("b"), Exported(2001))
    assert graphs_in(tmp_path) == {"a"}
    assert "more than BLIPVINO_CACHE_BYTES" in caplog.text


def test_no_limit_and_nothing_at_all(tmp_path):
    CompiledCache(tmp_path, None).save(key("a"), Exported(600))
    nothing = CompiledCache(tmp_path, 0)
    nothing.save(key("b"), Exported(600))
    assert graphs_in(tmp_path) == {"a"}
    assert nothing.load(Importer(), key("a")) is None


def test_other_files_and_files_that_vanish_are_no_concern(tmp_path, monkeypatch):
    others = [tmp_path / name for name in ("notes.txt", "mine.blob", "answer-12.blob", ".hidden.partial")]
    for path in others:
        path.write_bytes(bytes(5000))
    cache = CompiledCache(tmp_path, 2000)
    for graph in ("a", "b", "c"):
        cache.save(key(graph), Exported(900))
    assert graphs_in(tmp_path) == {"c"}
    gone = tmp_path / key("gone").file_name
    monkeypatch.setattr(Path, "glob", lambda self, _: iter([gone, *self.iterdir()]))
    assert graphs_in(tmp_path) == {"c"}
    cache.save(key("d"), Exported(900))
    assert [entry.graph for entry in cache.entries()] == ["d"]
    cache.remove(cache.entries())
    assert sorted(tmp_path.iterdir()) == sorted(others)


@pytest.mark.parametrize(
    ("given", "limit"),
    [(None, DEFAULT_LIMIT_BYTES), ("", DEFAULT_LIMIT_BYTES), ("0", 0), ("123", 123), ("none", None), ("None", None)],
)
def test_the_limit_is_read_from_the_environment(monkeypatch, given, limit):
    monkeypatch.delenv("BLIPVINO_CACHE_BYTES", raising=False)
    if given is not None:
        monkeypatch.setenv("BLIPVINO_CACHE_BYTES", given)
    assert cache_limit() == limit


@pytest.mark.parametrize("given", ["-1", "4 GB", "1e9", "all"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, given):
    monkeypatch.setenv("BLIPVINO_CACHE_BYTES", given)
    with pytest.raises(InputError, match=r"BLIPVINO_CACHE_BYTES is .*expected bytes"):
        cache_limit()


KILLED = """
import os, signal, sys
from pathlib import Path
import xxhash
from blipvino.files.sealed import write_sealed
xxhash.xxh3_128_digest = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # when all but the seal is written
write_sealed(Path(sys.argv[1]), memoryview(bytes(100_000)), {})
"""


def test_what_a_killed_process_left_is_not_believed_and_swept(tmp_path):
    path = tmp_path / key("a").file_name
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", KILLED, path], env=environment, check=False).returncode == -9
    (partial,) = tmp_path.iterdir()
    cache = CompiledCache(tmp_path)
    assert cache.load(Importer(), key("a")) is None
    assert cache.entries() == []
    os.utime(partial, times=(time.time() - 60, time.time() - 60))
    with partial.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as by a process that is still writing it
        cache.save(key("b"), Exported(100))
        assert partial.exists()
    cache.save(key("b"), Exported(100))
    assert not partial.exists()
    assert graphs_in(tmp_path) == {"b"}


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    cache = CompiledCache(tmp_path)
    for graph in ("a", "b"):
        cache.save(key(graph), Exported(100))
    assert list(tmp_path.iterdir()) == []
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


# The commands


def run(*arguments, code=0, **environment):
    command = [sys.executable, "-m", "blipvino", *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert process.returncode == code, process.stderr
    return process


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "scene.png"
    Image.fromarray(scene_image(0)).save(path)
    return path


def test_damage_is_a_line_and_status_0(tiny_captioner, photo, tmp_path):
    caption = ("caption", tiny_captioner.bundle, photo, "--max-new-tokens", 8, "--cache", tmp_path)
    expected = run("caption", tiny_captioner.bundle, photo, "--max-new-tokens", 8, "--no-cache").stdout
    first = run(*caption)
    assert (first.stdout, first.stderr) == (expected, "")
    for path in blobs(tmp_path):
        noise(path)
    second = run(*caption)
    assert second.stdout == expected
    assert len(second.stderr.splitlines()) == len(blobs(tmp_path)) == 3
    third = run(*caption)
    assert (third.stdout, third.stderr) == (expected, "")


def test_two_commands_that_start_at_once(tiny_captioner, photo, tmp_path):
    command = [sys.executable, "-m", "blipvino", "caption", tiny_captioner.bundle, photo, "--max-new-tokens", "8"]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "BLIPVINO_CACHE": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": variables}
    both = [subprocess.Popen([*map(str, command)], **pipes) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] and said[0][0] and not said[0][1]
    assert all(entry.record is not None for entry in CompiledCache(tmp_path).entries())
    assert len(list(tmp_path.iterdir())) == 3


def test_the_cache_is_listed_and_cleared(tiny_captioner, compiled, folder, tmp_path):
    blobs(folder)[0].write_bytes(b"no compiled graph")
    listed = run("cache", "--cache", folder).stdout
    assert "vision" in listed and "not usable" in listed and tiny_captioner.bundle.name in listed
    assert listed.splitlines()[-1].startswith("cache: 3 compiled graphs, ")
    content = json.loads(run("cache", "--json", BLIPVINO_CACHE=str(folder), BLIPVINO_CACHE_BYTES="none").stdout)
    size = sum(path.stat().st_size for path in blobs(folder))
    assert (content["folder"], content["limit_bytes"], content["total_bytes"]) == (str(folder), None, size)
    assert [entry["usable"] for entry in content["entries"]].count(False) == 1
    assert {entry["kind"] for entry in content["entries"]} == {"compiled graph"}
    cleared = json.loads(run("cache", "--clear", "--json", "--cache", folder).stdout)
    assert cleared == {"folder": str(folder), "removed": 3, "removed_bundles": 0, "freed_bytes": size}
    assert list(folder.iterdir()) == []
    assert (
        "removed 0 bundles and 0 compiled graphs, freed 0.0 MB"
        in run("cache", "--clear", "--cache", tmp_path / "nowhere").stdout
    )
    assert "cache: 0 compiled graphs" in run("cache", "--cache", tmp_path / "nowhere").stdout


def test_info_tells_of_the_cache(tiny_captioner, compiled):
    folder = compiled[0]
    line = run("info", "--cache", folder).stdout.splitlines()[-1]
    assert line.startswith("cache: 3 compiled graphs") and line.endswith(str(folder)) and "4,000.0 MB" in line
    line = run("info", tiny_captioner.bundle, "--cache", folder).stdout.splitlines()[-1]
    assert line.startswith("cache: 3 compiled graphs of this bundle")


def test_the_limit_reaches_the_commands(tiny_captioner, photo, tmp_path):
    caption = ("caption", tiny_captioner.bundle, photo, "--max-new-tokens", 2, "--cache", tmp_path)
    assert run(*caption, BLIPVINO_CACHE_BYTES="0").stderr == ""
    assert list(tmp_path.iterdir()) == []
    refused = run(*caption, BLIPVINO_CACHE_BYTES="much", code=2)
    assert refused.stderr.count("\n") == 1 and "BLIPVINO_CACHE_BYTES" in refused.stderr


def of_host(graph, host, digest="0"):
    return GraphKey(graph, digest, {"HINT": "x"}, {"host": host}, bundle="/somewhere/bundle")


def test_what_is_compiled_apart_takes_the_place_of_what_a_host_had(tmp_path):
    """Of these graphs and this host alone; what another host compiled, and other graphs, stay."""
    cache = CompiledCache(tmp_path, None)
    for known in (of_host("old", "here"), of_host("old", "there"), of_host("kept", "here", "1")):
        cache.save(known, Exported(100))
    with cache.apart() as fresh:
        CompiledCache(fresh, None).save(of_host("new", "here"), Exported(100))
        cache.exchange({"0"}, "here", fresh)
    found = sorted((entry.graph, entry.host) for entry in cache.entries())
    assert found == [("kept", "here"), ("new", "here"), ("old", "there")]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_what_is_stopped_apart_changes_nothing(tmp_path):
    cache = CompiledCache(tmp_path, None)
    cache.save(key("a"), Exported(100))
    with pytest.raises(KeyboardInterrupt), cache.apart() as fresh:
        CompiledCache(fresh, None).save(key("b"), Exported(100))
        with pytest.raises(InputError, match="another process is tuning"), CompiledCache(tmp_path, None).apart():
            raise AssertionError("the block began")
        raise KeyboardInterrupt
    assert graphs_in(tmp_path) == {"a"} and not [path for path in tmp_path.iterdir() if path.is_dir()]
