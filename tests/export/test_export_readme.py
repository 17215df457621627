"""The program of an export's README runs with nothing but what it says it needs, and is short."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
from PIL import Image
from subjects import scene_image, scene_questions

from blipvino import export_onnx, export_openvino

NEEDED = ("numpy", "tokenizers", "pillow")
GUARD = """
import runpy, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {allowed!r}:
            raise ImportError(f"{{name}} is none of the packages that the program may import")

sys.meta_path.insert(0, Guard())
{before}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# As the models' numbers say, on every CPU: no bfloat16, no 8-bit kernels.
PLAIN = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
BEFORE = {
    "onnxruntime": "",
    "openvino": f"""import openvino
compile_model = openvino.Core.compile_model
openvino.Core.compile_model = lambda core, path, device: compile_model(core, path, device, {PLAIN})""",
}


def with_requirements(names):
    """Packages, and what these need in turn, extras left out."""
    found, left = set(), list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name not in found:
            found.add(name)
            try:
                needed = importlib.metadata.requires(name) or []
            except importlib.metadata.PackageNotFoundError:  # of another system
                continue
            left += [re.match(r"[\w.-]+", each)[0] for each in needed if "extra ==" not in each]
    return found


def allowed_modules(runtime):
    packages = with_requirements((runtime, *NEEDED))
    distributions = importlib.metadata.packages_distributions()
    return sorted(
        module
        for module, names in distributions.items()
        if any(re.sub(r"[-_.]+", "-", name).lower() in packages for name in names)
    )


def lines_of_a_caption(code):
    """Lines of a program, without imports, blank ones, and what is for questions."""
    captioning = re.sub(r"^if .*\n(?: +.*\n)+", "", code, flags=re.MULTILINE)
    return sum(bool(line.strip()) and not line.startswith(("import ", "from ")) for line in captioning.splitlines())


@pytest.fixture
def program(tmp_path):
    """Runs the program of an export's README, in its folder."""
    photo = tmp_path / "photo.png"
    Image.fromarray(scene_image(2)).save(photo)

    def run(folder, *arguments):
        text = (folder / "README.md").read_text()
        (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        (runtime,) = re.findall(r"pip install (\w+) numpy tokenizers pillow", text)
        assert max(map(len, code.splitlines())) <= 120
        assert lines_of_a_caption(code) <= {"onnxruntime": 15, "openvino": 13}[runtime]
        script = tmp_path / "program.py"
        script.write_text(code)
        guard = GUARD.format(allowed=allowed_modules(runtime), before=BEFORE[runtime])
        command = [sys.executable, "-I", "-c", guard, script, photo, *arguments]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    return run


def test_the_guard_keeps_others_out(program, demo_float, tmp_path):
    _, models = demo_float
    folder = tmp_path / "other"
    folder.mkdir()
    for package in ("openvino", "blipvino", "torch"):
        text = f"With `pip install onnxruntime numpy tokenizers pillow`:\n```python\nimport {package}\n```"
        (folder / "README.md").write_text(text)
        with pytest.raises(AssertionError, match="none of the packages"):
            program(folder)
    assert models.folder != folder


@pytest.mark.parametrize("pair", ["demo_float", "demo_quantized", "tutorial_float", "tutorial_quantized"])
def test_it_captions_and_answers_as_blipvino_does(pair, program, request):
    blip, models = request.getfixturevalue(pair)
    image, question = scene_image(2), scene_questions(2)[0]
    assert program(models.folder) == blip.caption(image)
    assert program(models.folder, question) == blip.answer(image, question)


def test_a_captioner_is_not_asked(program, tiny_captioner, tmp_path):
    for write in (export_onnx, export_openvino):
        folder = write(tiny_captioner.bundle, tmp_path / write.__name__, show_progress=False).folder
        assert "question" not in (folder / "README.md").read_text().split("```python")[1]
        assert program(folder) == tiny_captioner.blip.caption(scene_image(2))
