"""``blipvino export``."""

import json

from command_line import run


def test_it_writes_models_and_says_what_is_next(bundle, tmp_path):
    printed = run("export", bundle, "-o", tmp_path / "out", "--quiet").stdout
    assert "onnx, int8" in printed and "decoder_with_past_model.onnx" in printed and "README.md" in printed
    again = run("export", bundle, "-o", tmp_path / "out", code=2)
    assert again.stderr.startswith("blipvino: ") and "already holds an export" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    made = json.loads(run("export", bundle, "-o", tmp_path / "out", "--precision", "fp16", "-f", "--json").stdout)
    assert (made["format"], made["precision"], made["source"]) == ("onnx", "fp16", "demo")
    assert made["files"]["vision_model.onnx"] == (tmp_path / "out" / "vision_model.onnx").stat().st_size
