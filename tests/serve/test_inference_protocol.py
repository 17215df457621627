"""Triton's own client speaks to the server."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tritonclient.http as triton
from running_server import base64_of
from subjects import scene_image
from tritonclient.utils import InferenceServerException

from blipvino.runtime.scheduling.scheduler import Scheduler
from blipvino.serve.background import Background

QUESTIONS = ["is it red?", "how many objects are there?"]


@pytest.fixture
def inference(server):
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield client
    client.close()


def tensor(name, values, binary=True):
    content = np.array(values, object)
    given = triton.InferInput(name, [len(values)], "BYTES")
    given.set_data_from_numpy(content, binary_data=binary)
    return given


def text_of(result, name="text"):
    return [value.decode() if isinstance(value, bytes) else value for value in result.as_numpy(name)]


def test_health_and_metadata(inference):
    assert inference.is_server_live()
    assert inference.is_server_ready()
    assert inference.is_model_ready("demo")
    assert not inference.is_model_ready("other")
    assert inference.get_server_metadata()["name"] == "blipvino"
    metadata = inference.get_model_metadata("demo")
    assert {each["name"] for each in metadata["inputs"]} == {"image", "question", "prompt"}
    assert {each["name"] for each in inference.get_model_metadata("finder", "1")["inputs"]} == {"image", "text"}


def test_captions(inference, lone, files):
    made = inference.infer("demo", [tensor("image", files[:2])], request_id="mine", parameters={"num_beams": 2})
    alone = lone.caption([scene_image(0), scene_image(1)], num_beams=2, return_scores=True)
    assert text_of(made) == [each.text for each in alone]
    assert made.as_numpy("logprob") == pytest.approx([each.logprob for each in alone], abs=1e-3)
    assert made.get_response()["id"] == "mine"


@pytest.mark.parametrize("binary", [True, False])
def test_answers(inference, lone, files, binary):
    image = tensor("image", [files[0]]) if binary else tensor("image", [base64_of(files[0]).encode()], False)
    outputs = [triton.InferRequestedOutput("text", binary_data=binary)]
    questions = tensor("question", [text.encode() for text in QUESTIONS], binary)
    made = inference.infer("demo", [image, questions], outputs=outputs)
    assert text_of(made) == lone.answer(scene_image(0), QUESTIONS)
    assert made.as_numpy("confidence") is None


def test_prompts(inference, lone, files):
    made = inference.infer("demo", [tensor("image", files[:1]), tensor("prompt", [b"a large red"])])
    assert text_of(made) == lone.caption([scene_image(0)], "a large red")


def test_retrieval(inference, lone_retriever, files):
    words = ["a red circle", "a blue star"]
    inputs = [tensor("image", files[:2]), tensor("text", [word.encode() for word in words])]
    made = inference.infer("finder", inputs)
    expected = lone_retriever.match([scene_image(0), scene_image(1)], words)
    assert np.allclose(made.as_numpy("match"), expected, atol=1e-5)
    embedded = inference.infer("finder", inputs[:1])
    assert np.allclose(
        embedded.as_numpy("image_embedding"), lone_retriever.embed_images([scene_image(0), scene_image(1)]), atol=1e-5
    )
    assert np.allclose(
        inference.infer("finder", inputs[1:]).as_numpy("text_embedding"), lone_retriever.embed_texts(words), atol=1e-5
    )


@pytest.mark.parametrize(("given", "meant"), [(0, 0), (1, 0), (2, -1), (9, -8), (99, -10)])
def test_priorities_are_obeyed(server, inference, files, monkeypatch, given, meant):
    jobs, submit = [], Scheduler.submit
    monkeypatch.setattr(Scheduler, "submit", lambda self, new: jobs.extend(new) or submit(self, new))
    inference.infer("demo", [tensor("image", files[:1])], priority=given, timeout=50_000_000)
    assert [job.priority for job in jobs] == [meant]
    priorities, do = [], Background.do

    def noted(self, work, priority=0):
        priorities.append(priority)
        return do(self, work, priority)

    monkeypatch.setattr(Background, "do", noted)
    inference.infer("finder", [tensor("text", [b"a red circle"])], priority=given)
    assert priorities == [meant]


@pytest.mark.parametrize(
    ("name", "inputs", "parameters", "message"),
    [
        ("other", {"image": [b"x"]}, {}, "no model 'other'"),
        ("demo", {"picture": [b"x"]}, {}, "no input 'picture'"),
        ("demo", {"question": [b"red?"]}, {}, "no input image"),
        ("demo", {"image": [b"no image"]}, {}, r"image\[0\]: cannot be read"),
        ("demo", {"image": [b"x"]}, {"num_beams": 0}, "num_beams"),
        ("finder", {"image": [b"x"] * 20}, {}, "20 images"),
    ],
)
def test_what_is_refused(inference, name, inputs, parameters, message):
    tensors = [tensor(each, values) for each, values in inputs.items()]
    with pytest.raises(InferenceServerException, match=message):
        inference.infer(name, tensors, parameters=parameters)


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"timeout": 1.5}, {"priority": "high"}, {"priority": True}])
def test_times_and_priorities_are_numbers(client, wrong):
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["!!!"]}
    response = client.post("/v2/models/demo/infer", json={"inputs": [image], "parameters": wrong})
    assert response.status_code == 422
    assert f"{next(iter(wrong))} is {str(next(iter(wrong.values())))!r}" in response.json()["error"]


def test_values_are_counted_while_they_are_read(client):
    behind = bytes(4 * 100_001)  # of no length each
    image = {"name": "image", "datatype": "BYTES", "shape": [100_001], "parameters": {"binary_data_size": len(behind)}}
    head = json.dumps({"inputs": [image]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    response = client.post("/v2/models/demo/infer", content=head + behind, headers=headers)
    assert response.status_code == 422
    assert "more than 100,000 values" in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "length", "status"),
    [
        (b"{}", None, 422),
        (b"{", None, 400),
        (b"{}", "9", 400),
        (b"{}", "-1", 400),
        (b'{"inputs":[{"name":"image","datatype":"FP32","shape":[1],"data":[1]}]}', None, 422),
        (b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[2],"data":["x"]}]}', None, 422),
        (b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[-1,-1],"data":["x"]}]}', None, 422),
        (b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":[1]}]}', None, 422),
        (b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1,1,1,1,1,1,1,1,1],"data":["x"]}]}', None, 422),
        (b'{"inputs":[%s]}' % b",".join(9 * [b'{"name":"image","datatype":"BYTES","shape":[0]}']), None, 422),
        (
            b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":9}}]}',
            None,
            422,
        ),
        (
            b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":2}}]}\x09\0',
            "96",
            422,
        ),
    ],
)
def test_bodies(client, body, length, status):
    headers = {} if length is None else {"Inference-Header-Content-Length": length}
    response = client.post("/v2/models/demo/infer", content=body, headers=headers)
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
