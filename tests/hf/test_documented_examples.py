"""Programs as transformers' documentation has them, with the import changed: the same text comes out.

Each is run twice, with its classes from transformers and from blipvino.hf; the hub and the picture's address are on the
loopback interface, the hub holds the demo checkpoint in place of Salesforce's.
"""

import contextlib
import io
import warnings

import pytest
from checkpoint.loopback_hub import LoopbackHub, serve
from PIL import Image
from subjects import scene_image

from blipvino.demo import RETRIEVAL_CHECKPOINT

CAPTION = """
from io import BytesIO
from huggingface_hub.utils import httpx
from PIL import Image
from transformers import AutoProcessor
from {library} import {prefix}BlipForConditionalGeneration

processor = AutoProcessor.from_pretrained("Salesforce/blip-image-captioning-base")
model = {prefix}BlipForConditionalGeneration.from_pretrained("Salesforce/blip-image-captioning-base"{options})
with httpx.stream("GET", url) as response:
    image = Image.open(BytesIO(response.read()))

inputs = processor(images=image, return_tensors="pt")
outputs = model.generate(**inputs)
print(processor.decode(outputs[0], skip_special_tokens=True))

inputs = processor(images=image, text="A picture of", return_tensors="pt")
print(tuple(model(**inputs).logits.shape))
print(processor.decode(model.generate(**inputs, max_new_tokens=16)[0], skip_special_tokens=True))
"""
ANSWER = """
from io import BytesIO
from huggingface_hub.utils import httpx
from PIL import Image
from transformers import AutoProcessor
from {library} import {prefix}BlipForQuestionAnswering

model = {prefix}BlipForQuestionAnswering.from_pretrained("Salesforce/blip-vqa-base"{options})
processor = AutoProcessor.from_pretrained("Salesforce/blip-vqa-base")
with httpx.stream("GET", url) as response:
    image = Image.open(BytesIO(response.read()))

text = "How many objects are there?"
inputs = processor(images=image, text=text, return_tensors="pt")
outputs = model.generate(**inputs)
print(processor.decode(outputs[0], skip_special_tokens=True))
"""
MODEL_CARD = """
import requests
from PIL import Image
from transformers import BlipProcessor
from {library} import {prefix}BlipForQuestionAnswering

processor = BlipProcessor.from_pretrained("Salesforce/blip-vqa-base")
model = {prefix}BlipForQuestionAnswering.from_pretrained("Salesforce/blip-vqa-base"{options}).to("cpu")
raw_image = Image.open(requests.get(url, stream=True).raw).convert("RGB")
question = "what color is the object?"
inputs = processor(raw_image, question, return_tensors="pt").to("cpu")
out = model.generate(**inputs)
print(processor.decode(out[0], skip_special_tokens=True))
""".replace("import requests\n", "from huggingface_hub.utils import httpx\nfrom io import BytesIO\n").replace(
    "requests.get(url, stream=True).raw", "BytesIO(httpx.get(url).content)"
)
MATCH = """
from io import BytesIO
from huggingface_hub.utils import httpx
from PIL import Image
from transformers import AutoProcessor
from {library} import {prefix}BlipForImageTextRetrieval

model = {prefix}BlipForImageTextRetrieval.from_pretrained("Salesforce/blip-itm-base-coco"{options})
processor = AutoProcessor.from_pretrained("Salesforce/blip-itm-base-coco")
with httpx.stream("GET", url) as response:
    image = Image.open(BytesIO(response.read()))

inputs = processor(images=image, text="a small circle", return_tensors="pt")
outputs = model(**inputs)
print(round(outputs.itm_score.softmax(dim=-1)[0, 1].item(), 2))
print(round(model(**inputs, use_itm_head=False)[0].item(), 2))
"""
PIPELINES = """
from blipvino.hf import pipeline

pipeline_ = pipeline
pipeline = pipeline(task="visual-question-answering", model="Salesforce/blip-vqa-base", dtype="auto", device=0)
print(pipeline(image=url, question="How many objects are there?"))
captioner = pipeline_("image-to-text", model="Salesforce/blip-image-captioning-base")
print(captioner(url))
print(captioner([url, url], max_new_tokens=5))
"""


@pytest.fixture(scope="module")
def world(demo, tmp_path_factory):
    """Names that the programs find: the address of a picture; and the hub that they load from."""
    folder, patch = tmp_path_factory.mktemp("documented"), pytest.MonkeyPatch()
    (folder / "pictures").mkdir()
    Image.fromarray(scene_image(7)).save(folder / "pictures" / "scene.png")
    names = ("Salesforce/blip-image-captioning-base", "Salesforce/blip-vqa-base")
    repositories = {name: {"main": demo.folder} for name in names}
    repositories["Salesforce/blip-itm-base-coco"] = {"main": RETRIEVAL_CHECKPOINT}
    with (
        serve(LoopbackHub({**repositories, "me/pictures": {"main": folder / "pictures"}})) as hub,
        patch.context() as here,
    ):
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
            here.delenv(name, raising=False)
        here.setenv("HF_ENDPOINT", hub.url)
        here.setenv("HF_HOME", str(folder / "home"))
        # transformers reads these once, when it is imported
        here.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        here.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        here.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "home" / "hub"))
        yield {"url": f"{hub.url}/me/pictures/resolve/main/scene.png"}


def printed(program, world):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(program, dict(world))
    return output.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("program", [CAPTION, ANSWER, MODEL_CARD, MATCH], ids=["caption", "answer", "card", "match"])
def test_the_same_text_comes_out(world, program):
    ours = program.format(library="blipvino.hf", prefix="OV", options=", ov_config={'INFERENCE_PRECISION_HINT': 'f32'}")
    theirs = program.format(library="transformers", prefix="", options=", dtype='float32'")
    found = printed(ours, world)
    assert found.strip() and found == printed(theirs, world)


def test_pipelines_of_version_4_run_unchanged_and_return_the_same_structure(world):
    answers, captions, several = (eval(line) for line in printed(PIPELINES, world).splitlines())
    assert list(answers[0]) == ["score", "answer"] and len(answers) == 1
    assert list(captions[0]) == ["generated_text"] and len(captions) == 1
    assert [[list(each) for each in row] for row in several] == [[["generated_text"]]] * 2
