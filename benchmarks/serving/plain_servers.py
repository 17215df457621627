"""Two servers as they are written in an afternoon: FastAPI around one model, one text at a time.

python -m benchmarks.serving.plain_servers transformers CHECKPOINT --port 8001
python -m benchmarks.serving.plain_servers locked BUNDLE --port 8001

``transformers`` is the checkpoint as PyTorch runs it, in float32; ``locked`` is a `Blip` of the same bundle as the
server beside it. Both take and give what ``/v1/caption`` and ``/v1/answer`` do, of one text.
"""

from __future__ import annotations

import argparse
import base64
import io
import threading
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel
from tokenizers import Tokenizer

from blipvino import Blip, EngineOptions
from blipvino.measure.race.baselines.transformers_model import TransformersModel


class Asked(BaseModel):
    """A request."""

    image: str
    question: str = ""
    max_new_tokens: int

    @property
    def picture(self) -> Image.Image:
        """The image, decoded."""
        return Image.open(io.BytesIO(base64.b64decode(self.image))).convert("RGB")


class Model(Protocol):
    """Makes one text."""

    def caption(self, image: Image.Image, tokens: int) -> str:
        """A caption of at most so many tokens."""
        ...

    def answer(self, image: Image.Image, question: str, tokens: int) -> str:
        """An answer of at most so many tokens."""
        ...


class LockedBlip:
    """A `Blip`."""

    def __init__(self, bundle: Path, cache: Path) -> None:
        self._blip = Blip.load(bundle, options=EngineOptions(cache=cache))

    def caption(self, image: Image.Image, tokens: int) -> str:
        """See `Model`."""
        return self._blip.caption(image, max_new_tokens=tokens)

    def answer(self, image: Image.Image, question: str, tokens: int) -> str:
        """See `Model`."""
        return self._blip.answer(image, question, max_new_tokens=tokens)


class Transformers:
    """A checkpoint in PyTorch."""

    def __init__(self, checkpoint: Path) -> None:
        self._model = TransformersModel(checkpoint)
        self._tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def caption(self, image: Image.Image, tokens: int) -> str:
        """See `Model`."""
        return str(self._tokenizer.decode(self._model.caption([image], tokens)[0]))

    def answer(self, image: Image.Image, question: str, tokens: int) -> str:
        """See `Model`."""
        return str(self._tokenizer.decode(self._model.answer([image], [question], tokens)[0]))


def plain_app(model: Model) -> FastAPI:
    """The whole server."""
    app, lock = FastAPI(), threading.Lock()

    @app.get("/health/ready")
    def ready() -> dict[str, str]:
        return {}

    @app.post("/v1/caption")
    def caption(asked: Asked) -> dict[str, Any]:
        with lock:
            return {"results": [{"text": model.caption(asked.picture, asked.max_new_tokens)}]}

    @app.post("/v1/answer")
    def answer(asked: Asked) -> dict[str, Any]:
        with lock:
            return {"results": [{"text": model.answer(asked.picture, asked.question, asked.max_new_tokens)}]}

    return app


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("transformers", "locked"))
    parser.add_argument("place", type=Path)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--cache", type=Path, default=Path("out/cache"), help="folder for compiled graphs")
    options = parser.parse_args()
    locked = options.model == "locked"
    model = LockedBlip(options.place, options.cache) if locked else Transformers(options.place)
    uvicorn.run(plain_app(model), port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
