"""What is asked of a server: requests that have texts, and the text that each has when it is asked alone."""

from __future__ import annotations

import base64
import io
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx
from PIL import Image

from blipvino.data.natural_pictures import natural_picture

SIDE = 384
QUESTIONS = tuple(
    f"what {what} is the {thing} {where}?"
    for what in ("color", "size", "shape", "kind")
    for thing in ("large thing", "small one", "house", "animal", "person")
    for where in ("on the left", "on the right", "in front", "behind the tree")
)
PATIENCE = 300.0


@dataclass(frozen=True)
class Request:
    """A request for one text.

    Attributes:
        path: of the server.
        body: JSON.
        expected: its text; None is not known.
    """

    path: str
    body: dict[str, Any]
    expected: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As another process reads it."""
        return asdict(self)


@dataclass(frozen=True)
class Lone:
    """Requests that were asked one after the other.

    Attributes:
        requests: with their texts.
        seconds: that each took.
    """

    requests: list[Request]
    seconds: list[float]


def captions(images: int, tokens: int) -> list[Request]:
    """A caption of each of so many images."""
    return [Request("/v1/caption", {"image": _file(seed), "max_new_tokens": tokens}) for seed in range(images)]


def further_answers(images: int, tokens: int) -> list[Request]:
    """Questions about images that will have been looked at when these were asked once."""
    files = [_file(1_000_000 + seed) for seed in range(images)]
    asked = [{"image": file, "question": question} for question in QUESTIONS for file in files]
    return [Request("/v1/answer", {**one, "max_new_tokens": tokens}) for one in asked]


def ask_alone(url: str, requests: list[Request]) -> Lone:
    """Ask one after the other."""
    told, seconds = [], []
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        for request in requests:
            begun = time.perf_counter()
            response = client.post(request.path, json=request.body).raise_for_status()
            seconds.append(time.perf_counter() - begun)
            told.append(replace(request, expected=text_of(response.json())))
    return Lone(told, seconds)


def text_of(response: dict[str, Any]) -> str:
    """The text that a response has."""
    return str(response["results"][0]["text"])


def _file(seed: int) -> str:
    """A picture with the statistics of photographs, as base64 of a JPEG."""
    file = io.BytesIO()
    Image.fromarray(natural_picture(seed, (SIDE, SIDE))).save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
