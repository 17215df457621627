"""The cache on the command line: which graphs a start leaves in it, and what is told of them."""

import json
import os

from command_line import refused, run
from filelock import FileLock
from typer.testing import CliRunner

from blipvino.cli.main import app
from blipvino.files.staging import Stage


def test_a_start_fills_the_cache_that_is_named_and_none_without(bundle, photo, tmp_path):
    kept, other = tmp_path / "kept", tmp_path / "other"
    caption = run("caption", bundle, photo, "--cache", kept).stdout
    invoke = CliRunner().invoke
    listed = json.loads(invoke(app, ["cache", "--cache", str(kept), "--json"]).stdout)
    assert listed["folder"] == str(kept)
    assert {entry["graph"] for entry in listed["entries"]} >= {"vision", "answer"}
    assert all(bundle.name in entry["bundle"] for entry in listed["entries"])
    count = len(listed["entries"])
    told = invoke(app, ["info", str(bundle), "--cache", str(kept)]).stdout.splitlines()[-1]
    assert told.startswith(f"cache: {count} compiled graphs of this bundle, ") and told.endswith(str(kept))
    assert "now" in invoke(app, ["cache", "--cache", str(kept)]).stdout
    cleared = invoke(app, ["cache", "--cache", str(kept), "--clear"]).stdout
    assert cleared.startswith(f"{kept}: removed 0 bundles and {count} compiled graphs, freed ")
    assert (
        run("caption", bundle, photo, "--no-cache", env={**os.environ, "BLIPVINO_CACHE": str(other)}).stdout == caption
    )
    assert not other.exists()


def test_a_cache_that_cannot_be_made_costs_nothing_but_itself(bundle, photo, tmp_path):
    (tmp_path / "file").touch()
    process = run("caption", bundle, photo, "--cache", tmp_path / "file" / "cache")
    assert process.stdout.startswith("a ")
    (line,) = process.stderr.splitlines()
    assert line.startswith("blipvino: ") and line.endswith("compiled graphs are not kept (--no-cache does without)")


def test_a_checkpoint_in_place_of_a_bundle_is_kept_listed_and_removed(tiny_vqa, photo, tmp_path):
    kept = tmp_path / "kept"
    options = ("--recipe", "none", "--cache", kept, "--max-new-tokens", 3)
    first = run("caption", tiny_vqa.folder, photo, *options)
    assert "is optimized once" in " ".join(first.stderr.split())
    second = run("caption", tiny_vqa.folder, photo, *options)
    assert second.stdout == first.stdout and not second.stderr
    invoke = CliRunner().invoke
    listed = json.loads(invoke(app, ["cache", "--cache", str(kept), "--json"]).stdout)
    (bundle,) = (entry for entry in listed["entries"] if entry["kind"] == "bundle")
    assert bundle["source"] == str(tiny_vqa.folder) and bundle["recipe"] == "none" and bundle["usable"]
    assert listed["total_bytes"] == sum(entry["bytes"] for entry in listed["entries"])
    name = os.path.basename(bundle["path"])  # noqa: PTH119
    assert name[:20] in invoke(app, ["cache", "--cache", str(kept)]).stdout
    assert "begin with 'answer'; give more" in str(refused("cache", "--cache", kept, "--remove", "answer"))
    removed = json.loads(invoke(app, ["cache", "--cache", str(kept), "--remove", f"{name[:-4]}…", "--json"]).stdout)
    assert removed["removed_bundles"] == removed["removed"] == 1 and removed["freed_bytes"] == bundle["bytes"]
    assert list(kept.glob("*.blob"))
    assert run("cache", "--cache", kept, "--clear", "--older-than", 1).stdout.startswith(
        f"{kept}: removed 0 bundles and 0 compiled graphs"
    )
    assert list(kept.glob("*.blob"))
    invoke(app, ["cache", "--cache", str(kept), "--clear"])
    assert not list(kept.glob("*.blob"))


def test_what_a_killed_process_left_is_cleared_and_what_is_being_made_is_not(tmp_path):
    bundles = tmp_path / "bundles"
    left, made = (Stage(bundles / f"{name}-int8-0123456789abcdef", "89abcdef") for name in ("left", "made"))
    for stage in (left, made):
        stage.partial.mkdir(parents=True)
        (stage.partial / "vision.bin").touch()
    (other := bundles / ".somebody.else").touch()
    with FileLock(bundles / f".{made.target.name}.{made.token}.lock"):
        CliRunner().invoke(app, ["cache", "--cache", str(tmp_path), "--clear"])
        assert [left.partial.exists(), made.partial.exists(), other.exists()] == [False, True, True]


def test_what_has_no_effect_or_is_not_there_is_refused(tmp_path):
    assert "--older-than has no effect" in str(refused("cache", "--cache", tmp_path, "--older-than", 3))
    assert "give one of them" in str(refused("cache", "--cache", tmp_path, "--clear", "--remove", "x"))
    assert "holds nothing called 'x'" in str(refused("cache", "--cache", tmp_path, "--remove", "x"))
    assert "holds nothing called ''" in str(refused("cache", "--cache", tmp_path, "--remove", ""))
    assert "expected days" in str(refused("cache", "--cache", tmp_path, "--clear", "--older-than", -1))
