"""The size of installations."""

import tomllib
from pathlib import Path

from blipvino.measure.race import disk_space


def test_install_sizes_follow_requirements():
    assert disk_space.install_bytes(["no-such-package"]) is None
    assert (
        disk_space.install_bytes(["openvino"]) > disk_space.install_bytes(["numpy"]) > 10_000_000
    )  # openvino requires numpy
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert [line.split(">=")[0] for line in project["dependencies"]] == list(disk_space.CORE)
