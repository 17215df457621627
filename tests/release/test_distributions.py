"""Wheel and source distribution: built as they are published, and used in environments that have nothing else."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from release.interpreters import VERSIONS, interpreter

import blipvino
from blipvino.data.demo import demo_sample

ROOT = Path(__file__).parents[2]
SCENE = 2
pytestmark = pytest.mark.slow


def run(*command, **options):
    """A program's output; it must end well."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The wheel, which is built from the source distribution, and that."""
    folder = tmp_path_factory.mktemp("dist")
    pinned = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    run(sys.executable, "-m", "build", "--outdir", folder, cwd=ROOT, env=pinned)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "scene.png"
    demo_sample("test", SCENE).image().save(path)
    return path


class Bare:
    """An environment with one distribution and what it needs; programs run in it as if this checkout were not there."""

    def __init__(self, program, folder):
        run(program, "-m", "venv", folder)
        self.programs, self.home = folder / "bin", folder / "home"
        self.home.mkdir()

    def run(self, program, *arguments):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BLIPVINO"))}
        environment = {**kept, "HOME": str(self.home), "BLIPVINO_CACHE": str(self.home / "cache")}
        return run(self.programs / program, *arguments, cwd=self.home, env=environment)

    def install(self, *what):
        self.run("python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", *what)


def test_the_package_index_would_take_them(distributions):
    assert run(sys.executable, "-m", "twine", "check", "--strict", *distributions).count("PASSED") == 2


def test_the_version_is_said_in_one_place_and_carried_by_all(distributions):
    wheel, source = distributions
    version = blipvino.__version__
    assert wheel.name == f"blipvino-{version}-py3-none-any.whl" and source.name == f"blipvino-{version}.tar.gz"
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"blipvino-{version}.dist-info/METADATA"))
    assert metadata["Version"] == version and metadata["License-Expression"] == "Apache-2.0"
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    stated = re.compile(rf'version\b.*["\' ]{re.escape(version)}\b', re.IGNORECASE)
    named = [
        path.name for path in ROOT.iterdir() if path.suffix in (".cff", ".toml") and stated.search(path.read_text())
    ]
    assert named == []


def test_the_wheel_has_all_of_the_package_and_nothing_else(distributions):
    wheel, source = distributions
    tracked = run("git", "ls-files", "src/blipvino", cwd=ROOT).splitlines()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {path.removeprefix("src/") for path in tracked}
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        *tracked,
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
    }
    assert not any(name.startswith(("tests", "out", ".")) for name in names)


@pytest.mark.parametrize("version", VERSIONS, ids=[f"python{version}" for version in VERSIONS])
def test_the_wheel_captions_in_a_bare_environment(distributions, picture, tmp_path, version):
    program = interpreter(version)
    if program is None:
        pytest.skip(f"Python {version} is not at hand")
    bare = Bare(program, tmp_path / "bare")
    bare.install(distributions[0])
    assert f"blipvino {blipvino.__version__}\nPython {version}." in bare.run("blipvino", "--version")
    assert bare.run("blipvino", "caption", "demo", picture).strip() in demo_sample("test", SCENE).captions
    said = bare.run("python", "-c", "import blipvino, sys; print(blipvino.__file__, 'torch' in sys.modules)")
    assert said.startswith(str(tmp_path / "bare")) and said.endswith("False\n")


def test_the_source_distribution_serves_with_its_extra(distributions, tmp_path):
    bare = Bare(sys.executable, tmp_path / "bare")
    bare.install(f"{distributions[1]}[serve]")
    assert "Serve captions, answers and searches over HTTP" in bare.run("blipvino", "serve", "--help")
    bare.run("python", "-c", "from blipvino.serve.app import create_app")


def test_it_runs_without_being_installed(distributions, picture, tmp_path):
    """As `pipx run` has it: in an environment that pipx makes for the time."""
    settings = {
        "HOME": str(tmp_path),
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "BLIPVINO_CACHE": str(tmp_path / "cache"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = ("run", "--spec", distributions[0], "blipvino", "caption", "demo", picture)
    said = run(sys.executable, "-m", "pipx", *command, cwd=tmp_path, env={**kept, **settings})
    assert said.strip() in demo_sample("test", SCENE).captions


def test_what_it_consists_of_is_listed(distributions, tmp_path):
    """The command of `make sbom`, on an environment that has less than a user's, so that it is there in seconds."""
    import json

    bare = Bare(sys.executable, tmp_path / "bare")
    bare.install("rich", "--no-deps")
    list_ = tmp_path / "sbom.json"
    options = ("--pyproject", ROOT / "pyproject.toml", "--validate", "--output-format", "JSON", "--output-file", list_)
    run(sys.executable, "-m", "cyclonedx_py", "environment", bare.programs / "python", *options)
    content = json.loads(list_.read_text())
    assert content["bomFormat"] == "CycloneDX"
    assert content["metadata"]["component"]["name"] == "blipvino"
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert {each["name"]: each["version"] for each in content["components"]}["rich"] == pinned["rich"]
