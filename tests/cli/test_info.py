"""What is told of a bundle and of the recipes."""

import json
from dataclasses import asdict

from command_line import run

from blipvino.machine.host import choose_arithmetic


def test_info_shows_the_bundle_and_the_recipes(bundle):
    assert "every file whole" in run("info", bundle).stdout
    assert json.loads(run("info", bundle, "--json").stdout)["recipe"]["name"] == "int8"
    listed = [line.split(":")[0] for line in run("info").stdout.splitlines()]
    assert listed == ["int8", "int8-int4", "minmax", "none", "auto", "this machine", "device CPU", "cache"]
    here = json.loads(run("info", bundle, "--json").stdout)["here"]
    devices = here.pop("devices")
    assert {**here, "measured": None} == {**asdict(choose_arithmetic()), "measured": None}
    assert devices[0]["name"] == "CPU" and "FP32" in devices[0]["capabilities"]
    assert json.loads(run("info", "--json").stdout)["here"]["devices"] == devices
    assert choose_arithmetic().reason in run("info", bundle).stdout
