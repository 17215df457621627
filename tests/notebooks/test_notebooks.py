"""The notebooks: each is what its Python file says, has its outputs, and runs from top to bottom."""

from __future__ import annotations

import ast
import base64
import io
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
from nbclient.exceptions import CellExecutionError
from PIL import Image

from blipvino.data.demo import demo_sample
from blipvino.demo import NAMES as EMBEDDED
from website.notebook_pages import notebook_page
from website.notebook_runs import FOLDER, NAMES, in_few_colors, read, run, saved, source_of

ROOT = Path(__file__).parents[2]
LARGEST = 1_000_000
"""Bytes of all notebooks together, so that clones stay small."""


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    """What cells print, or show as text."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return "\n".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs)


def pictures(notebook):
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return [base64.b64decode(o["data"]["image/png"]) for o in outputs if "image/png" in o.get("data", {})]


def test_every_notebook_is_known():
    assert {path.stem for path in FOLDER.glob("*.py")} == {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)
    assert sum(saved(name).stat().st_size for name in NAMES) < LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_the_saved_notebook_is_what_its_python_file_says_and_was_run_whole(name):
    notebook, source = jupytext.read(saved(name)), read(name)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ], "run `make notebooks`"
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name", "stdout") == "stdout" for output in outputs)  # no progress bars, no warnings
    streams = [sum(output.output_type == "stream" for output in cell.outputs) for cell in code(notebook)]
    assert max(streams) == 1  # lines of a cell stand together
    assert len(pictures(notebook)) >= 4
    assert not re.search(r"/(?:tmp|home|root|work)/", texts(notebook))


@pytest.mark.parametrize("name", NAMES)
def test_one_variable_chooses_the_checkpoint(name):
    """It is the only cell that names one, and by default one that comes with blipvino."""
    first, *others = code(read(name))
    (chosen,) = ast.parse(first.source).body
    assert chosen.targets[0].id == "CHECKPOINT" and chosen.value.value in EMBEDDED
    assert not any("Salesforce/" in cell.source for cell in others)


@pytest.mark.parametrize("name", NAMES)
def test_its_links_lead_somewhere(name):
    told = source_of(name).read_text()
    for target in re.findall(r"\]\(([^)#]+)", told):
        assert (FOLDER / target).is_file(), target
    # Where Jupyter is started in notebooks/, it shows nothing of docs/.
    assert f"then `jupyter lab` there; this is `notebooks/{name}.ipynb`." in told


def test_saved_pictures_keep_their_colours_even_of_what_is_small():
    scenes = [demo_sample("test", number).image().convert("RGB") for number in (15, 20, 32, 33, 40, 75)]
    before, written = np.concatenate([np.asarray(scene) for scene in scenes], axis=1), io.BytesIO()
    Image.fromarray(before).resize((6 * 144, 144), Image.Resampling.BICUBIC).save(written, "PNG")
    small = in_few_colors(written.getvalue())
    was, is_now = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int) for png in (written.getvalue(), small))
    assert np.abs(was - is_now).max() < 20 and len(small) < len(written.getvalue()) / 2


@pytest.mark.parametrize("name", NAMES)
def test_photos_are_shown_upright(name):
    told = source_of(name).read_text()
    assert told.count("Image.open(") == told.count("ImageOps.exif_transpose(Image.open(")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_page_of_the_site_and_named_in_the_readme(name):
    notebook, page = jupytext.read(saved(name)), notebook_page(saved(name))
    assert list(page.pictures.values()) == pictures(notebook)
    assert all(f"]({picture})]({picture})" in page.text for picture in page.pictures)  # by itself it fills the screen
    assert page.text.count("```python") == len(code(notebook))
    assert "../docs" not in page.text and page.text.startswith("# ")
    assert f"notebooks/{name}.ipynb" in (ROOT / "README.md").read_text()
    assert f": {name}.md" in (ROOT / "mkdocs.yml").read_text()


def test_the_tutorials_sections_are_all_there():
    told = source_of("optimize-blip").read_text()
    for heading in (
        *("Prerequisites", "Quantize", "Prepare dataset", "Run optimized OpenVINO model", "Image Captioning"),
        *("Question Answering", "Compare file sizes", "Compare inference time of the FP16 and optimized models"),
    ):
        assert re.search(rf"^# ##+ {heading}$", told, re.MULTILINE), heading
    printed = texts(jupytext.read(saved("optimize-blip")))
    for model in ("blip_vision_model", "blip_text_encoder", "blip_text_decoder_with_past"):
        assert re.search(
            rf"{model}\n    \* FP16 IR model size: [\d.]+ KB\n    \* INT8 model size: [\d.]+ KB\n", printed
        )
    assert printed.count(" speed up: ") == 2


def test_a_notebook_takes_another_checkpoint_and_photos_of_ones_own(retrieval_int8, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(2):
        demo_sample("test", number).image().save(tmp_path / f"photos/{number}.png")
    notebook = run("search-photos", tmp_path, str(retrieval_int8))
    assert "2 new photos; 2 in the index" in texts(notebook)
    assert "new 0, moved 0, deleted 0, unchanged 2" in texts(notebook)
    assert len(pictures(notebook)) == 5 and sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


@pytest.mark.parametrize(
    ("name", "checkpoint"), [("search-photos", "blip-itm"), ("serve-and-batch", "blip-vqa")], ids=lambda each: each
)
def test_a_notebook_without_photos_says_where_they_belong(name, checkpoint, tmp_path):
    with pytest.raises(CellExecutionError, match=f"no photo in {tmp_path}/photos; put some there"):
        run(name, tmp_path, checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_its_top_to_its_bottom(name, tmp_path):
    notebook, before = run(name, tmp_path), jupytext.read(saved(name))
    assert len(pictures(notebook)) == len(pictures(before))
    assert [bool(cell.outputs) for cell in code(notebook)] == [bool(cell.outputs) for cell in code(before)]
    expected = {
        "optimize-blip": ["same answers: 100.0%", "speed up"],
        "search-photos": ["80 new photos", "new 1, moved 1, deleted 1, unchanged 78", "ranked: 100% by whole captions"],
        "serve-and-batch": ["20 rows", "60 rows, 60 different ids"],
    }
    assert all(words in texts(notebook) for words in expected[name])
