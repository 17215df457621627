"""PhotoPrism's requests, as its ``ApiRequest`` is encoded, are answered as its ``ApiResponse`` is decoded."""

from __future__ import annotations

import pytest
from running_server import base64_of
from subjects import scene_image

PATHS = ("/api/v1/vision/caption", "/api/v1/vision/caption/demo", "/api/v1/vision/caption/demo/latest")


def request(content, **changes):
    """All that PhotoPrism sends where a model is configured with a prompt and options."""
    return {
        "id": "5c1c1c1c-0000-4000-8000-000000000000",
        "version": "latest",
        "system": "You are a photography expert.",
        "prompt": "Create a caption with one sentence.",
        "suffix": "",
        "options": {"temperature": 0.1, "num_predict": 40},
        "stream": False,
        "images": [f"data:image/png;base64,{base64_of(content)}"],
        **changes,
    }


@pytest.mark.parametrize("path", PATHS)
def test_captions(client, lone, files, path):
    response = client.post(path, json=request(files[0]))
    assert response.status_code == 200, response.text
    content = response.json()
    made = lone.caption(scene_image(0), return_scores=True)
    assert content["id"] == "5c1c1c1c-0000-4000-8000-000000000000"
    assert content["code"] == 200
    assert content["model"]["name"] == "demo"
    assert content["result"]["caption"]["text"] == made.text
    assert content["result"]["caption"]["confidence"] == pytest.approx(made.confidence, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"images": []}, 400),
        ({"images": ["!!"]}, 422),
        ({"images": [], "url": "https://127.0.0.1/photo.jpg"}, 422),
        ({"model": "other"}, 404),
        ({"model": "finder"}, 422),
        ({"images": "x"}, 422),
    ],
)
def test_what_is_refused(client, files, changes, status):
    response = client.post(PATHS[0], json=request(files[0], **changes))
    content = response.json()
    assert (response.status_code, content["code"]) == (status, status)
    assert content["error"]
