"""The cache on the command line: which graphs a start leaves in it, and what is told of them."""

import json
import os

from command_line import run
from typer.testing import CliRunner

from blipvino.cli.main import app


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
    assert cleared.startswith(f"{kept}: removed {count} compiled graphs, freed ")
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
