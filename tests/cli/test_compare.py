"""A comparison on the command line."""

import json

import pytest
from command_line import run


@pytest.mark.slow
def test_compare_prints_tables_and_writes_them(bundle, tmp_path):
    process = run(
        "compare", bundle, "--samples", 24, "--latency-samples", 2, "-o", tmp_path / "out", "--json", "--quiet"
    )
    printed = json.loads(process.stdout)
    assert printed == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [size["name"] for size in printed["sizes"]] == ["vision", "text encoder", "text decoder"]
    assert all(size["rate"] > 1.5 for size in printed["sizes"])
    assert {row["task"] for row in printed["latencies"]} == {"captioning", "question answering"}
    assert printed["answers"][0]["count"] == 24
    assert len(list((tmp_path / "out").glob("picture-*.png"))) == 3
