"""The same models give the same tokens in Node."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from onnx_subjects import LONGEST
from subjects import scene_image, scene_questions

PACKAGE = "onnxruntime-node@1.30.0"
TEXTS = 20
SCRIPT = Path(__file__).with_name("run_in_node.cjs")


@pytest.fixture(scope="session")
def packages(request):
    """Node's packages, with onnxruntime-node among them, kept between runs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    folder = request.config.cache.mkdir(PACKAGE.replace("@", "-"))
    installed = folder / "node_modules"
    if not (folder / "done").exists():
        # The package brings the library for CPUs; what its installer would fetch beside it is for GPUs.
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, PACKAGE]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        if process.returncode:
            pytest.skip(f"npm cannot install {PACKAGE}: {process.stderr.strip().splitlines()[-1:]}")
        (folder / "done").touch()
    return installed


def as_json(pixel_values):
    return {"base64": base64.b64encode(pixel_values.tobytes()).decode(), "shape": list(pixel_values.shape)}


@pytest.mark.parametrize("pair", ["demo_float", "demo_quantized"])
def test_texts_are_ours(pair, packages, tmp_path, request):
    blip, models = request.getfixturevalue(pair)
    items, ours = [], []
    for number in range(TEXTS):
        question = scene_questions(number)[0] if number % 2 else None
        image = scene_image(number)
        tokens = None if question is None else blip.texts.question(question)
        items.append({"pixels": as_json(blip.images.pixel_values([image])), "question": tokens})
        details = {"return_details": True, "max_new_tokens": LONGEST}
        made = blip.caption(image, **details) if question is None else blip.answer(image, question, **details)
        ours.append(list(made.token_ids))
    given = {"start": models.start, "end": models.end, "longest": LONGEST, "items": items}
    (tmp_path / "inputs.json").write_text(json.dumps(given))
    environment = {**os.environ, "NODE_PATH": str(packages)}
    command = ["node", SCRIPT, models.folder, tmp_path / "inputs.json"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    same = sum(one == other for one, other in zip(found, ours, strict=True))
    assert same >= (TEXTS if pair == "demo_float" else 0.9 * TEXTS)  # 8-bit kernels differ from CPU to CPU
