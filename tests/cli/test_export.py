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


def test_it_writes_the_tutorials_models(bundle, tmp_path):
    out, openvino = tmp_path / "out", ("--format", "openvino", "--quiet")
    printed = run("export", bundle, "-o", out, *openvino).stdout
    assert "openvino, int8" in printed and "blip_text_decoder_with_past_int8.bin" in printed and "README.md" in printed
    assert "already holds an export" in run("export", bundle, "-o", out, code=2).stderr
    made = json.loads(run("export", bundle, "-o", out, *openvino, "--force", "--json").stdout)
    assert (made["format"], made["precision"], made["source"]) == ("openvino", "int8", "demo")
    assert made["files"]["blip_vision_model_int8.xml"] == (out / "blip_vision_model_int8.xml").stat().st_size


def test_the_tutorials_models_have_no_precision_of_their_own(bundle, tmp_path):
    command = ("export", bundle, "-o", tmp_path / "out", "--format", "openvino", "--precision", "int8")
    assert run(*command, code=2).stderr == (
        "blipvino: --precision has no effect with --format openvino, whose models keep the bundle's; leave it out\n"
    )
    assert list(tmp_path.iterdir()) == []
