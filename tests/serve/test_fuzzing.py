"""Whatever bytes come as an image, as JSON or as a form: an answer of one of the expected statuses, and in time."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from running_server import base64_of
from subjects import scene_image

EXPECTED = {200, 400, 408, 413, 415, 422}
FORMS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
FUZZ = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
A_FEW = settings(max_examples=25, derandomize=True, **FUZZ)
MANY = settings(max_examples=300, **FUZZ)


def saved(form):
    buffer = io.BytesIO()
    Image.fromarray(scene_image(0)).save(buffer, form)
    return buffer.getvalue()


FILES = [saved(form) for form in FORMS]


@st.composite
def damaged(draw):
    """An image file with bytes changed, cut off, put in or doubled."""
    content = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        what = draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if what == "change":
            content[place : place + 4] = draw(st.binary(min_size=1, max_size=8))
        elif what == "cut":
            del content[place:]
        elif what == "insert":
            content[place:place] = draw(st.binary(max_size=64))
        else:
            content += content[place:]
    return bytes(content[:200_000])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
HEAD = b'Content-Disposition: form-data; name="image"; filename="a"'
NAMES = """image images model stream num_beams max_new_tokens temperature seed prompt timeout question questions
messages inputs priority"""
names = st.sampled_from(NAMES.split())
objects = st.dictionaries(names | st.text(max_size=5), values, max_size=6)
PATHS = """/v1/caption /v1/answer /v1/match /v1/search /v1/chat/completions /v2/models/demo/infer
/api/v1/vision/caption"""
paths = st.sampled_from(PATHS.split())


def ask_images(client, content):
    response = client.post("/v1/caption", json={"image": base64_of(content), "max_new_tokens": 1})
    assert response.status_code in EXPECTED, response.text
    assert client.post("/v1/caption", files={"image": content}, data={"max_new_tokens": "1"}).status_code in EXPECTED


def ask_json(client, path, body, good):
    if good and "image" in body:
        body = {**body, "image": base64_of(FILES[0])}
    response = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code in EXPECTED | {404, 504}, response.text


def ask_bytes(client, content, form):
    kind = "multipart/form-data; boundary=x" if form else "application/json"
    response = client.post("/v1/caption", content=content, headers={"Content-Type": kind})
    assert response.status_code in EXPECTED, response.text


def fuzz(server, examples):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        examples(given(damaged() | st.binary(max_size=200))(lambda content: ask_images(client, content)))()
        asked = given(paths, objects, st.booleans())
        examples(asked(lambda path, body, good: ask_json(client, path, body, good)))()
        parts = st.lists(
            st.binary(max_size=60)
            | st.sampled_from(
                [b"--x\r\n", b"--x--", b"\r\n\r\n", b'Content-Disposition: form-data; name="image"; filename="a"']
            ),
            max_size=8,
        )
        examples(given(parts, st.booleans())(lambda content, form: ask_bytes(client, b"".join(content), form)))()
        assert client.post("/v1/caption", files={"image": FILES[0]}).status_code == 200
        assert server.service.admission.pending == 0


def test_a_little(server):
    fuzz(server, A_FEW)


@pytest.mark.slow
def test_a_lot(server):
    fuzz(server, MANY)
