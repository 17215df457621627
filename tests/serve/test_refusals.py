"""What is refused: with the right status, one line that says what to do, and the server goes on."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import zlib
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from running_server import base64_of

from blipvino.serve.request_body import _parts
from blipvino.serve.serve_settings import RequestLimits


def png_of(width, height, mode=2):
    """A PNG whose head claims a size, with hardly any pixels in it."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def saved(form, size=(40, 30), **options):
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(buffer, form, **options)
    return buffer.getvalue()


IMAGES = {
    "bomb": (png_of(60_000, 60_000), "pixels"),
    "over the limit": (png_of(9_000, 8_000), "more than the 64,000,000 allowed"),
    "absurd": (saved("PNG", (2, 500)), "one side more than 100 times"),
    "cut off": (saved("JPEG", (300, 300))[:400], "image"),
    "empty": (b"", "cannot be read"),
    "another format": (saved("TIFF"), "cannot be read as an image"),
    "a document": (b"%PDF-1.4\n%%EOF", "cannot be read as an image"),
    "a script": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read as an image"),
}


@pytest.mark.parametrize(("content", "message"), IMAGES.values(), ids=IMAGES)
def test_images_that_are_not_taken(client, content, message):
    for response in (
        client.post("/v1/caption", files={"image": content or b" "}),
        client.post("/v1/caption", json={"image": base64_of(content)}),
    ):
        assert response.status_code == 422, response.text
        error = response.json()["error"]
        assert message in error["message"]
        assert error["message"].startswith("image: ")
        assert "\n" not in error["message"]


def test_of_an_animation_the_first_frame_is_taken(client):
    frames = [Image.new("RGB", (40, 30), (shade, 0, 0)) for shade in range(0, 250, 5)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    still = client.post("/v1/caption", json={"image": base64_of(saved_frame(frames[0]))}).json()["results"]
    assert client.post("/v1/caption", json={"image": base64_of(buffer.getvalue())}).json()["results"] == still


def saved_frame(frame):
    buffer = io.BytesIO()
    frame.save(buffer, "PNG")
    return buffer.getvalue()


FIELDS = [
    ({}, 422, "images"),
    ({"image": "!!!"}, 422, "image"),
    ({"image": "data:image/png,abc"}, 422, "image"),
    ({"image": "x", "images": ["x"]}, 422, "image"),
    ({"images": []}, 422, "images"),
    ({"images": ["eA=="] * 17}, 422, "images"),
    ({"image": "https://127.0.0.1/a.png"}, 422, "image"),
    ({"image": 5}, 422, "image"),
    ({"image": "eA==", "colour": 1}, 422, "colour"),
    ({"image": "eA==", "max_new_tokens": "5"}, 422, "max_new_tokens"),
    ({"image": "eA==", "max_new_tokens": True}, 422, "max_new_tokens"),
    ({"image": "eA==", "temperature": 0}, 422, "temperature"),
    ({"image": "eA==", "priority": 1}, 422, "priority"),
    ({"image": "eA==", "timeout": -1}, 422, "timeout"),
]


@pytest.mark.parametrize(("body", "status", "param"), FIELDS, ids=str)
def test_fields(client, body, status, param):
    response = client.post("/v1/caption", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("options", "param"),
    [({"num_beams": 9}, "num_beams"), ({"max_new_tokens": 257}, "max_new_tokens"), ({"prompt": "a" * 4001}, "prompt")],
)
def test_more_than_the_server_allows(client, files, options, param):
    response = client.post("/v1/caption", json={"image": base64_of(files[0]), **options})
    assert (response.status_code, response.json()["error"]["param"]) == (422, param)


TOO_MUCH = [
    ("/v1/caption", {"num_beams": 9}, "num_beams"),
    ("/v1/caption", {"prompt": "a" * 4001}, "prompt"),
    ("/v1/caption", {"prompt": "word " * 600}, "tokens"),
    ("/v1/caption", {"do_sample": True, "num_beams": 2}, "exclude each other"),
    ("/v1/caption", {"stream": True, "scores": True}, "scores"),
    ("/v1/answer", {"question": "q" * 4001}, "questions"),
    ("/v1/answer", {"question": " "}, "question"),
    ("/v1/answer", {"questions": ["red?"] * 65}, "65 texts"),
    ("/v1/answer", {"question": "red?", "max_new_tokens": 257}, "max_new_tokens"),
    ("/v1/rank", {"question": "red?", "answers": ["a"] * 4097}, "4097 answers"),
    ("/v1/rank", {"question": "red?", "answers": ["a" * 4001]}, "answers"),
    ("/v1/match", {"texts": ["a"] * 65}, "65 texts"),
    ("/v1/match", {"text": "a" * 4001}, "texts"),
    ("/v1/embed", {"texts": ["a"] * 64}, "65 texts"),
    ("/v1/embed", {"text": " "}, "empty"),
    ("/v1/search", {"text": "a" * 4001}, "texts"),
]


@pytest.mark.parametrize(("path", "fields", "message"), TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_no_image_is_decoded_for_what_is_refused(client, path, fields, message):
    """The image is none: what is said is about the rest, which was looked at before."""
    response = client.post(path, json={"image": "!!!", **fields})
    assert response.status_code == 422
    assert message in response.json()["error"]["message"]


def test_nor_by_other_protocols(client):
    chat = {"model": "demo", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "q" * 4001}, {"type": "image_url", "image_url": {"url": "!!!"}}
    ]}]}  # fmt: skip
    assert "questions" in client.post("/v1/chat/completions", json=chat).json()["error"]["message"]
    tensors = [
        {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["!!!"]},
        {"name": "question", "datatype": "BYTES", "shape": [65], "data": ["red?"] * 65},
    ]
    assert "65 texts" in client.post("/v2/models/demo/infer", json={"inputs": tensors}).json()["error"]
    tensors = [tensors[0], {"name": "text", "datatype": "BYTES", "shape": [65], "data": ["red"] * 65}]
    assert "65 texts" in client.post("/v2/models/finder/infer", json={"inputs": tensors}).json()["error"]


def test_what_excludes_each_other(client, files):
    response = client.post("/v1/caption", json={"image": base64_of(files[0]), "do_sample": True, "num_beams": 2})
    assert response.status_code == 422
    assert "exclude each other" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 422),
        (b'{"image": NaN}', {"Content-Type": "application/json"}, 422),
        (b'{"image": "\xff"}', {"Content-Type": "application/json"}, 400),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b"image=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"", {}, 415),
        (b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (b"x", {"Content-Type": "multipart/form-data"}, 400),
        (b"x", {"Content-Type": "multipart/form-data; boundary=y"}, 400),
        (b"--y\r\n\r\nx\r\n--y--", {"Content-Type": "multipart/form-data; boundary=y; charset=rot13"}, 400),
    ],
)
def test_bodies(client, content, headers, status):
    response = client.post("/v1/caption", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"]


def test_a_body_that_is_too_large(client):
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/caption", content=b" " * (33 * 2**20), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", ["/v1/caption", "/v1/chat/completions", "/v2/models/demo/infer"])
def test_json_of_too_many_elements(client, path):
    content = b'{"images": [' + b'"",' * 100_001 + b'""]}'
    response = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 413, response.text
    assert "more than 100,000 commas" in response.text


def raw(server, content):
    """What the server answers to bytes of a request that goes on no more, and is not ended."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as opened:
        opened.sendall(b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + content)
        return opened.recv(1000)


def test_a_slow_body_that_is_too_large_is_too_large(server, monkeypatch):
    monkeypatch.setattr("blipvino.serve.request_body._DRAINED_SECONDS", 0.05)
    told = [
        raw(server, b"Content-Length: 99999999\r\n\r\n"),
        raw(server, b"Transfer-Encoding: chunked\r\n\r\n2000001\r\n" + b" " * 0x2000001 + b"\r\n"),
    ]
    assert [each.split()[1] for each in told] == [b"413", b"413"]


def test_a_slow_body_is_told_so(server, monkeypatch):
    settings = server.service.settings
    hasty = replace(settings, limits=replace(settings.limits, read_seconds=0.05))
    monkeypatch.setattr(server.service, "settings", hasty)
    assert raw(server, b"Content-Length: 99\r\n\r\n").split()[1] == b"408"


def test_parts_are_counted(client, files):
    many = [("image", ("a.png", files[0]))] * 17
    assert client.post("/v1/caption", files=many).status_code == 400
    fields = {f"field{number}": "x" for number in range(300)}
    assert client.post("/v1/caption", files={"image": files[0]}, data=fields).status_code == 400
    wrong = client.post("/v1/caption", files={"picture": files[0]})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "picture")
    twice = client.post("/v1/caption", files={"image": files[0]}, data={"prompt": ["a", "b"]})
    assert twice.status_code == 422


def test_what_begins_like_parts_is_counted_before_it_is_read(client):
    """Each takes a microsecond, so that a body of nothing else would keep all others waiting."""
    content = (
        b'--y\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + b"\r\n--yz" * 300 + b"\r\n--y--"
    )
    response = client.post("/v1/caption", content=content, headers={"Content-Type": "multipart/form-data; boundary=y"})
    assert response.status_code == 400
    assert "too many parts" in response.json()["error"]["message"]


@pytest.mark.parametrize("length", range(65_450, 65_480))
def test_a_file_is_whole_wherever_it_ends(length):
    """It is read in pieces, of which one may end within what ends the file."""
    file = bytes(length)
    sent = b'--y\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + file + b"\r\n--y--\r\n"
    assert asyncio.run(_parts(sent, b"y", RequestLimits())).files == [("image", file)]


def test_other_paths_and_methods(client):
    for response, status in ((client.get("/nothing"), 404), (client.get("/v1/caption"), 405)):
        assert response.status_code == status
        assert set(response.json()) == {"error"}
    assert (response.headers["allow"], response.json()["error"]["message"]) == (
        "POST",
        "GET is not taken here, only POST",
    )


def test_a_request_that_takes_too_long(client, files):
    body = {"images": [base64_of(content) for content in files], "timeout": 0.001}
    response = client.post("/v1/caption", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")


def test_who_goes_away_is_forgotten(server, client, files):
    body = {"images": [base64_of(content) for content in files] * 3, "num_beams": 8, "max_new_tokens": 40}
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/caption", json=body, timeout=httpx.Timeout(30, read=0.2))
    for stream in (True,):
        with httpx.stream("POST", f"{server.url}/v1/caption", json={**body, "num_beams": 1, "stream": stream}) as told:
            next(told.iter_bytes())
    for _ in range(1000):
        load = server.service.models.models["demo"].blip.components.scheduler.load
        if server.service.admission.pending == 0 and load.waiting + load.ready + load.decoded == 0:
            break
        httpx.get(f"{server.url}/health/live")
    assert server.service.admission.pending == 0
    assert client.post("/v1/caption", json={"image": body["images"][0]}).status_code == 200
