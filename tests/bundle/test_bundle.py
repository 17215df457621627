"""Bundles: written whole or not at all, and refused when anything in them has changed."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blipvino.bundle.bundle import open_bundle
from blipvino.bundle.manifest import SCHEMA_VERSION, FileEntry, Manifest, SourceInfo
from blipvino.bundle.records import CalibrationRecord, Measurements
from blipvino.bundle.search_record import Race, Score, SearchRecord, Trial
from blipvino.bundle.writing import BundleDetails, check_target, write_bundle
from blipvino.errors import BundleError, OutputError
from blipvino.files.atomic import new_folder, write_bytes
from blipvino.recipe import FP16, PTQ_INT8, WEIGHTS_INT4, WEIGHTS_INT8, Recipe

FILES = {"vision.xml": b"<net/>", "vision.bin": bytes(range(256)) * 40, "tokenizer.json": b"{}", "extra/notes.txt": b""}
RECIPE = Recipe("mine", "", {"vision": PTQ_INT8})
CALIBRATION = CalibrationRecord("demo:validation", 300, 290, 42)


def details(**changes):
    source = SourceInfo("tester/blip-tiny", "c0ffee", "ab" * 32)
    values = {"recipe": RECIPE, "calibration": CALIBRATION, "libraries": {"openvino": "2026.4"}}
    return BundleDetails(source, "BlipForQuestionAnswering", **{**values, **changes})


def fill(folder, files=FILES):
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def make(target, files=FILES, overwrite=False, **changes):
    with write_bundle(target, details(**changes), overwrite=overwrite) as folder:
        fill(folder, files)
    return target


def content_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def bundle(tmp_path):
    return make(tmp_path / "bundle")


def edit_manifest(bundle, edit):
    path = bundle / "manifest.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


# Writing, then opening


def test_opens_as_written(bundle):
    opened = open_bundle(bundle)
    manifest = opened.manifest
    assert (manifest.source, manifest.architecture) == (details().source, "BlipForQuestionAnswering")
    assert (manifest.recipe, manifest.calibration) == (RECIPE, CALIBRATION)
    assert (manifest.schema_version, manifest.libraries) == (SCHEMA_VERSION, {"openvino": "2026.4"})
    assert manifest.created.endswith("+00:00")
    assert {name: opened.path(name).read_bytes() for name in manifest.files} == FILES
    assert opened.graph_size("vision") == len(FILES["vision.bin"])
    assert opened.has("vision.xml")
    assert not opened.has("question.xml")
    with pytest.raises(BundleError, match=r"the bundle has no question\.bin, only extra/notes\.txt, tokenizer\.json"):
        opened.graph_size("question")


def test_nothing_else_is_left_beside_it(bundle):
    assert list(bundle.parent.iterdir()) == [bundle]


def test_details_may_be_filled_in_while_writing(tmp_path):
    late = details()
    with write_bundle(tmp_path / "bundle", late) as folder:
        fill(folder)
        late.measurements = Measurements(seconds={"vision": 107.5})
    assert open_bundle(tmp_path / "bundle").manifest.measurements == Measurements(seconds={"vision": 107.5})


def test_library_versions_are_recorded_by_default(tmp_path):
    source = SourceInfo("folder", None, "ab" * 32)
    with write_bundle(tmp_path / "bundle", BundleDetails(source, "BlipForQuestionAnswering", RECIPE)) as folder:
        fill(folder)
    manifest = open_bundle(tmp_path / "bundle").manifest
    assert {"openvino", "nncf"} <= manifest.libraries.keys()
    assert manifest.source.revision is None


def test_folder_follows_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        make(tmp_path / "bundle")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "bundle").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "changes",
    [{"recipe": Recipe(Path("x"), "", {})}, {"measurements": Measurements(seconds={"vision": float("nan")})}],
    ids=["folder", "nan"],
)
def test_details_that_are_not_json_are_refused_before_the_work(tmp_path, changes):
    entered = False
    with pytest.raises(BundleError, match="not JSON"), write_bundle(tmp_path / "bundle", details(**changes)):
        entered = True
    assert not entered
    assert not list(tmp_path.iterdir())


def test_links_are_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with (
        pytest.raises(BundleError, match=r"tokenizer\.json is a link"),
        write_bundle(tmp_path / "bundle", details()) as folder,
    ):
        (folder / "tokenizer.json").symlink_to(tmp_path / "tokenizer.json")
    assert not (tmp_path / "bundle").exists()


# The manifest

names = st.text("abcdefghijklmnopqrstuvwxyz._-é", min_size=1).filter(lambda name: name not in (".", ".."))
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.floats(allow_nan=False, allow_infinity=False)
treatments = st.dictionaries(
    st.text(),
    st.sampled_from([FP16, PTQ_INT8, WEIGHTS_INT8, replace(WEIGHTS_INT4, gptq=True, ignored=("a", "b"), ratio=0.5)]),
    max_size=4,
)
trials = st.builds(
    Trial,
    graph=st.none(),
    treatments=treatments,
    score=st.none() | st.builds(Score, *[numbers] * 4),
    race=st.none() | st.builds(Race, *[numbers] * 5),
)
searches = st.builds(
    SearchRecord,
    max_drop=numbers,
    seconds=numbers,
    trials=st.lists(trials, max_size=3).map(tuple),
    arithmetic=st.none() | st.text(),
)
measurements = st.builds(
    Measurements,
    fp16_bytes=st.dictionaries(st.text(), st.integers(), max_size=3),
    seconds=st.dictionaries(st.text(), numbers, max_size=3),
    search=st.none() | searches,
)
manifests = st.builds(
    Manifest,
    schema_version=st.just(SCHEMA_VERSION),
    blipvino_version=st.text(),
    created=st.text(),
    source=st.builds(SourceInfo, name=st.text(), revision=st.none() | st.text(), sha256=digests),
    architecture=st.text(),
    recipe=st.builds(Recipe, name=st.text(), summary=st.just(""), treatments=treatments),
    calibration=st.none() | st.builds(CalibrationRecord),
    measurements=measurements,
    libraries=st.dictionaries(st.text(), st.text(), max_size=4),
    files=st.dictionaries(
        st.lists(names, min_size=1, max_size=3).map("/".join),
        st.builds(FileEntry, size=st.integers(0, 2**62), sha256=digests),
        max_size=4,
    ),
)


@settings(deadline=None)
@given(manifests)
def test_manifest_round_trip(manifest):
    assert Manifest.from_json(manifest.to_json(), "manifest.json") == manifest


def test_unknown_keys_are_passed_over(bundle):
    expected = open_bundle(bundle).manifest

    def add(content):
        content["added_later"] = 1
        content["source"]["licence"] = "bsd"
        content["files"]["vision.xml"]["mode"] = 7
        content["recipe"]["added_later"] = content["calibration"]["added_later"] = 2
        content["recipe"]["treatments"]["vision"]["added_later"] = 3

    edit_manifest(bundle, add)
    assert open_bundle(bundle).manifest == expected


def test_newer_schema_is_refused(bundle):
    edit_manifest(bundle, lambda content: content.update(schema_version=3, blipvino_version="9.9", files=None))
    message = "written by blipvino 9.9 with schema 3, this version reads 2: upgrade blipvino"
    with pytest.raises(BundleError, match=message):
        open_bundle(bundle)


@pytest.mark.parametrize("field", ["schema_version", "blipvino_version", "created", "source", "recipe", "files"])
def test_missing_field(bundle, field):
    edit_manifest(bundle, lambda content: content.pop(field))
    with pytest.raises(BundleError, match=rf"manifest\.json: has no {field}"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": "1"}, "schema_version is '1', expected int"),
        ({"schema_version": True}, "schema_version is True, expected int"),
        ({"schema_version": 0}, "schema_version is 0, this version reads 2; run `blipvino optimize` again"),
        ({"architecture": 3}, "architecture is 3, expected str"),
        ({"source": {"name": "x", "sha256": 1}}, r"source\.sha256 is 1, expected str"),
        ({"libraries": {"nncf": 3.4}}, r"libraries\.nncf is 3\.4, expected str"),
        ({"calibration": []}, r"calibration is \[\], expected dict"),
        ({"calibration": {"source": "demo"}}, "calibration has no samples"),
        ({"calibration": {"source": "demo", "samples": "3", "images": 3, "seed": 1}}, "calibration .*'3' is no int"),
        ({"recipe": {"name": "mine"}}, "recipe has no treatments"),
        ({"recipe": {"name": 3, "treatments": {}}}, "recipe cannot be read .*name is 3"),
        ({"recipe": {"name": "x", "treatments": {"vision": {"method": "int2"}}}}, "recipe cannot be read .*'int2'"),
        ({"recipe": {"name": "x", "treatments": {"vision": []}}}, "recipe cannot be read"),
        ({"measurements": {"search": {"trials": 5}}}, "measurements has no measure"),
        ({"measurements": {"seconds": {"vision": float("nan")}}}, "measurements cannot be read .*nan is no number"),
        ({"recipe": {"name": "x", "treatments": {"vision": {"method": "ptq_int8", "ignored": "n"}}}}, "list of names"),
        ({"files": {"a.bin": 5}}, r"files\.a\.bin is 5, expected dict"),
        ({"files": {"a.bin": {"size": -1, "sha256": "ab" * 32}}}, r"files\.a\.bin has no valid size"),
        ({"files": {"a.bin": {"size": 1, "sha256": "xy"}}}, r"files\.a\.bin has no valid size"),
    ],
)
def test_ill_typed_field(bundle, changes, message):
    edit_manifest(bundle, lambda content: content.update(changes))
    with pytest.raises(BundleError, match=message):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..", ".", "", "a//b", "a\\b", "C:x", "./a"])
def test_paths_outside_the_bundle_are_refused(bundle, name):
    edit_manifest(bundle, lambda content: content.update(files={name: {"size": 0, "sha256": "ab" * 32}}))
    with pytest.raises(BundleError, match="not a path inside the bundle"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is not JSON"), (b"[]", "holds a JSON list"), (b"\xff\xfe", "cannot be read"), (b"[" * 99999, "not JSON")],
)
def test_garbage_manifest(bundle, content, message):
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=rf"manifest\.json: .*{message}"):
        open_bundle(bundle)


# Damage


def test_flipped_byte(bundle):
    content = bytearray(FILES["vision.bin"])
    content[5000] ^= 1
    (bundle / "vision.bin").write_bytes(content)
    with pytest.raises(BundleError, match=r"damaged: vision\.bin has changed.*run `blipvino optimize` again"):
        open_bundle(bundle)
    assert open_bundle(bundle, verify=False).has("vision.bin")


@pytest.mark.parametrize("verify", [True, False])
def test_truncated_file(bundle, verify):
    (bundle / "vision.bin").write_bytes(FILES["vision.bin"][:-1])
    with pytest.raises(BundleError, match=r"damaged: vision\.bin has 10239 bytes, expected 10240"):
        open_bundle(bundle, verify=verify)


@pytest.mark.parametrize("verify", [True, False])
def test_missing_files(bundle, verify):
    (bundle / "vision.xml").unlink()
    (bundle / "extra" / "notes.txt").unlink()
    with pytest.raises(BundleError, match=r"extra/notes\.txt is missing \(and 1 more damaged files\)"):
        open_bundle(bundle, verify=verify)


def test_no_such_folder(tmp_path):
    with pytest.raises(BundleError, match="nothing: no such folder"):
        open_bundle(tmp_path / "nothing")


def test_file_instead_of_folder(bundle):
    with pytest.raises(BundleError, match=r"vision\.xml: is a file"):
        open_bundle(bundle / "vision.xml")


def test_not_a_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        open_bundle(tmp_path)


# Targets


def test_an_empty_folder_is_a_free_target(tmp_path):
    (tmp_path / "bundle").mkdir()
    assert open_bundle(make(tmp_path / "bundle")).has("vision.xml")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_existing_bundle_needs_overwrite(bundle):
    before = content_of(bundle)
    with pytest.raises(BundleError, match=r"already holds a bundle.*--force.*overwrite=True"):
        make(bundle)
    assert content_of(bundle) == before
    make(bundle, {"vision.xml": b"new"}, overwrite=True)
    assert content_of(bundle).keys() == {"vision.xml", "manifest.json"}
    assert list(bundle.parent.iterdir()) == [bundle]


def test_a_damaged_or_newer_bundle_can_be_overwritten(bundle):
    (bundle / "vision.bin").unlink()
    edit_manifest(bundle, lambda content: content.update(schema_version=99))
    make(bundle, overwrite=True)
    assert open_bundle(bundle).has("vision.bin")


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("foreign", [{"thesis.txt": b"years"}, {"manifest.json": b"{}"}, {"manifest.json": b"\xff"}])
def test_a_folder_of_something_else_is_refused_always(tmp_path, overwrite, foreign):
    target = tmp_path / "papers"
    target.mkdir()
    fill(target, foreign)
    with pytest.raises(BundleError, match="is not a bundle, so it is left alone"):
        make(target, overwrite=overwrite)
    assert content_of(target) == foreign


def test_a_file_is_refused(tmp_path):
    (tmp_path / "bundle").write_text("text")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        check_target(tmp_path / "bundle", overwrite=True)


def test_a_link_to_a_bundle_is_followed(bundle, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(bundle)
    make(link, {"vision.xml": b"new"}, overwrite=True)
    assert link.is_symlink()
    assert (bundle / "vision.xml").read_bytes() == b"new"


def test_parent_must_exist(tmp_path):
    with pytest.raises(BundleError, match="is not a folder; create it first"):
        check_target(tmp_path / "missing" / "bundle")


def test_parent_must_be_writable(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, as in a container, may write anywhere
    with pytest.raises(BundleError, match="is not writable; choose another folder"):
        check_target(tmp_path / "bundle")


def test_space_is_looked_at_beforehand(tmp_path):
    check_target(tmp_path / "bundle", bytes_needed=1)
    with pytest.raises(BundleError, match=r"no space for .*: 1,000,000,000,000,000,000 bytes needed, [\d,]+ free"):
        check_target(tmp_path / "bundle", bytes_needed=10**18)


# Interruptions and full disks


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ZeroDivisionError, FileNotFoundError, RuntimeError])
@pytest.mark.parametrize("existing", [True, False])
def test_an_interruption_leaves_things_as_they_were(tmp_path, kind, existing):
    target = tmp_path / "bundle"
    if existing:
        make(target)
    before = content_of(tmp_path)
    with pytest.raises(kind), write_bundle(target, details(), overwrite=True) as folder:
        fill(folder, {"vision.xml": b"half"})
        raise kind("elsewhere")
    assert content_of(tmp_path) == before
    assert list(tmp_path.iterdir()) == ([target] if existing else [])


def test_failed_rename_restores_the_old_bundle(bundle, monkeypatch):
    before = content_of(bundle)
    rename = Path.rename

    def fail_for_the_new(path, target):
        if path.name.endswith(".partial"):
            raise OSError(errno.EACCES, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(BundleError, match=r"cannot be written .*Permission denied"):
        make(bundle, {"vision.xml": b"new"}, overwrite=True)
    assert content_of(bundle) == before
    assert list(bundle.parent.iterdir()) == [bundle]


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root alone")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk(tiny_disk):
    make(tiny_disk / "bundle")
    before = content_of(tiny_disk)
    with pytest.raises(BundleError, match=r"no space left .*bytes needed.*nothing was left behind"):
        make(tiny_disk / "bundle", {"a.bin": bytes(100_000), "b.bin": bytes(1_000_000)}, overwrite=True)
    assert content_of(tiny_disk) == before


def test_full_disk_under_openvino(tiny_disk):
    openvino = pytest.importorskip("openvino")
    opset, numpy = pytest.importorskip("openvino.opset13"), pytest.importorskip("numpy")
    constant = opset.constant(numpy.random.default_rng(0).random((1000, 1000), numpy.float32))
    given = opset.parameter([1, 1], numpy.float32)
    model = openvino.Model([opset.add(given, constant)], [given], "large")
    with (
        pytest.raises(BundleError, match=r"no space left .*nothing was left behind"),
        write_bundle(tiny_disk / "bundle", details()) as folder,
    ):
        openvino.save_model(model, folder / "large.xml")
    assert not list(tiny_disk.iterdir())


def test_file_size_limit(tmp_path):
    """The honest error of a full disk, where nothing can be mounted: EFBIG past the process's file size limit."""
    script = (
        "import sys; from blipvino import BundleError, Recipe; from blipvino.bundle.manifest import SourceInfo\n"
        "from blipvino.bundle.writing import BundleDetails, write_bundle\n"
        "details = BundleDetails(SourceInfo('x', None, 'ab' * 32), 'BlipForQuestionAnswering', Recipe('x', '', {}))\n"
        "try:\n"
        "    with write_bundle(sys.argv[1], details) as folder:\n"
        "        (folder / 'vision.bin').write_bytes(bytes(1_000_000))\n"
        "except BundleError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bundle")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no space left" in done.stdout
    assert not list(tmp_path.iterdir())


# Processes that are killed, and others that live

WRITER = """
import os, sys
from pathlib import Path
from blipvino.bundle import writing
from blipvino.bundle.writing import BundleDetails, write_bundle
from blipvino.bundle.manifest import SourceInfo
from blipvino.files.atomic import new_folder, write_bytes
from blipvino.recipe import Recipe

def stop(*_):
    print("there", flush=True)
    sys.stdin.readline()

moment, target = sys.argv[1], Path(sys.argv[2])
details = BundleDetails(SourceInfo("x", None, "ab" * 32), "BlipForQuestionAnswering", Recipe("x", "", {}))
if moment == "sealed":
    move = writing._move_into_place
    writing._move_into_place = lambda *args: (stop(), move(*args))
if moment == "between":
    rename = Path.rename
    Path.rename = lambda path, to: (path.name.endswith(".partial") and not target.exists() and stop(), rename(path, to))
if moment == "replaced":
    rmtree = writing.shutil.rmtree
    writing.shutil.rmtree = lambda *args, **more: (stop(), rmtree(*args, **more)) if not more else rmtree(*args)
if moment == "folder":
    with new_folder(target) as folder:
        (folder / "a").write_bytes(b"half")
        stop()
if moment == "file":
    Path.replace = stop
    write_bytes(target, b"half")
with write_bundle(target, details, overwrite=True) as folder:
    (folder / "vision.xml").write_bytes(b"written by " + moment.encode())
    if moment == "inside":
        stop()
"""


@pytest.fixture
def start():
    """Start writers that stop at a moment, until they read a line; they are killed at the end."""
    writers = []

    def started(moment, target):
        command = [sys.executable, "-c", WRITER, moment, str(target)]
        writers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert writers[-1].stdout.readline() == "there\n"
        return writers[-1]

    yield started
    for writer in writers:
        writer.kill()
        writer.communicate()


def kill(writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()


def go_on(writer):
    writer.communicate("\n")
    assert writer.returncode == 0


@pytest.mark.parametrize("moment", ["inside", "sealed"])
@pytest.mark.parametrize("existing", [True, False])
def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path, start, moment, existing):
    target = tmp_path / "bundle"
    if existing:
        make(target)
    kill(start(moment, target))
    assert len(list(tmp_path.glob(".bundle.*"))) == 2  # a folder and a lock
    check_target(target, overwrite=True)
    assert list(tmp_path.iterdir()) == ([target] if existing else [])
    assert not existing or open_bundle(target).has("vision.bin")
    make(target, overwrite=True)
    assert list(tmp_path.iterdir()) == [target]


def test_a_bundle_that_was_moved_aside_is_moved_back(bundle, start):
    before = content_of(bundle)
    kill(start("between", bundle))
    assert not bundle.exists()
    with pytest.raises(
        BundleError, match=r"was moved to \.bundle\.[0-9a-f]{8}\.replaced by an optimize that was stopped"
    ):
        open_bundle(bundle)
    with pytest.raises(BundleError, match="already holds a bundle"):
        check_target(bundle)
    assert content_of(bundle) == before
    assert list(bundle.parent.iterdir()) == [bundle]


def test_a_bundle_that_was_moved_aside_is_moved_back_into_an_empty_folder(bundle, start):
    before = content_of(bundle)
    kill(start("between", bundle))
    bundle.mkdir()
    check_target(bundle, overwrite=True)
    assert content_of(bundle) == before


def test_a_predecessor_that_was_replaced_is_removed(bundle, start):
    kill(start("replaced", bundle))
    check_target(bundle, overwrite=True)
    assert (bundle / "vision.xml").read_bytes() == b"written by replaced"
    assert list(bundle.parent.iterdir()) == [bundle]


@pytest.mark.parametrize("moment", ["inside", "sealed", "between", "replaced"])
def test_a_living_writer_is_left_alone(bundle, start, moment):
    writer = start(moment, bundle)
    before = {path.name for path in bundle.parent.glob(".bundle.*")}
    make(bundle, overwrite=True)
    assert before <= {path.name for path in bundle.parent.iterdir()}
    go_on(writer)
    expected = FILES["vision.xml"] if moment == "replaced" else f"written by {moment}".encode()
    assert (bundle / "vision.xml").read_bytes() == expected
    assert list(bundle.parent.iterdir()) == [bundle]
    open_bundle(bundle)


def test_of_a_living_and_a_killed_writer_the_killed_ones_folder_goes(tmp_path, start):
    target = tmp_path / "bundle"
    living, killed = start("inside", target), start("inside", target)
    kept = {path.name for path in tmp_path.glob("*.partial")}
    kill(killed)
    check_target(target)
    (left,) = tmp_path.glob("*.partial")
    assert left.name in kept
    go_on(living)
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "vision.xml").read_bytes() == b"written by inside"


def test_another_writer_that_was_faster_is_not_overwritten_unasked(tmp_path):
    target = tmp_path / "bundle"
    with pytest.raises(BundleError, match="already holds a bundle"), write_bundle(target, details()) as folder:
        fill(folder)
        make(target, {"vision.xml": b"faster"})
    assert (target / "vision.xml").read_bytes() == b"faster"
    assert list(tmp_path.iterdir()) == [target]


def test_names_of_other_targets_are_left_alone(tmp_path):
    others = [".bundle.12345678.partial.1a2b3c4d.partial", ".bundle2.12345678.partial", ".bundle.12345678.kept"]
    others += [".bundle.1234567.partial", "bundle.12345678.partial"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / ".bundle.12345678.partial").mkdir()
    (tmp_path / ".bundle.12345678.partial.search.x").mkdir()
    check_target(tmp_path / "bundle")
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_what_cannot_be_tidied_up_stops_no_writer(tmp_path, monkeypatch):
    left = tmp_path / ".bundle.12345678.partial"
    left.mkdir()
    (tmp_path / ".bundle.12345678.lock").mkdir()  # not a file, so it cannot be locked
    assert open_bundle(make(tmp_path / "bundle"))
    assert left.exists()


@pytest.mark.parametrize("moment", ["folder", "file"])
def test_what_a_killed_writer_left_of_results_is_removed_by_the_next(tmp_path, start, moment):
    target = tmp_path / "results"
    kill(start(moment, target))
    assert len(list(tmp_path.iterdir())) == 2
    if moment == "folder":
        with new_folder(target) as folder:
            (folder / "a").write_bytes(b"whole")
    else:
        write_bytes(target, b"whole")
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "a" if moment == "folder" else target).read_bytes() == b"whole"


def test_results_beside_a_missing_folder_are_refused_and_make_none(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "missing" / "a.json", b"{}")
    assert list(tmp_path.iterdir()) == []
