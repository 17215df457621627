"""What is told of a bundle and of the recipes."""

import json
from dataclasses import asdict

from command_line import run

from blipvino.graphs.terms import TITLE
from blipvino.machine.host import choose_arithmetic


def test_info_shows_the_bundle_and_the_recipes(bundle):
    assert "every file whole" in run("info", bundle).stdout
    assert json.loads(run("info", bundle, "--json").stdout)["recipe"]["name"] == "int8"
    lines = run("info").stdout.splitlines()
    listed = [line.split(":")[0] for line in lines if line[:1].isalpha() and not line.startswith(TITLE)]
    assert listed == ["int8", "int8-int4", "minmax", "none", "auto", "this machine", "device CPU", "cache"]
    here = json.loads(run("info", bundle, "--json").stdout)["here"]
    devices = here.pop("devices")
    assert {**here, "measured": None} == {**asdict(choose_arithmetic()), "measured": None}
    assert devices[0]["name"] == "CPU" and "FP32" in devices[0]["capabilities"]
    assert json.loads(run("info", "--json").stdout)["here"]["devices"] == devices
    assert choose_arithmetic().reason in run("info", bundle).stdout


def test_words_are_explained_below_what_has_them(bundle):
    words = {"vision", "question_kv", "question", "answer_kv", "answer", "ptq_int8", "weights_int8"}
    assert words_below(run("info", bundle).stdout) == words
    every = words_below(run("info").stdout)
    assert every > words | {"match", "fp16", "weights_int4", "group", "SmoothQuant"}


def words_below(printed):
    table = printed[printed.index(TITLE) :].splitlines()
    return {line.split("│")[1].strip() for line in table if line.startswith("│")} - {""}
