"""The self-test on the command line."""

import json

from typer.testing import CliRunner

from blipvino.cli.main import app


def test_every_graph_is_told_of_with_the_arithmetic(bundle):
    printed = CliRunner().invoke(app, ["selftest", str(bundle), "--arithmetic", "float", "--json"])
    assert printed.exit_code == 0
    content = json.loads(printed.stdout)
    assert (content["bundle"], content["arithmetic"], content["passed"]) == (str(bundle), "float", True)
    assert {verdict["graph"] for verdict in content["graphs"]} >= {"vision", "question", "answer"}
    told = CliRunner().invoke(app, ["selftest", str(bundle), "--arithmetic", "float"]).stdout
    assert "SQNR is the power of the signal" in told and "looks at an image" in told
    assert told.count("passed") == len(content["graphs"])
    assert "Every graph computes what was expected of it here" in told
