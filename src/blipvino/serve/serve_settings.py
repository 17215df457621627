"""What is served, to whom, and how much of it at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from blipvino.checks import integer, real
from blipvino.errors import InputError
from blipvino.files.image_files import ImageLimits
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.features import DEFAULT_CACHE_BYTES

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF")
"""Of image files that are taken, by Pillow's names. TIFF and others have readers that are rarely used and large."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Place:
    """A bundle or an index that is served.

    Attributes:
        name: that clients call it by.
        folder: where it is.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class RequestLimits:
    """What one request may ask for.

    Attributes:
        body_bytes: of a request's body.
        images: in it.
        texts: that it may ask for: captions, answers, rankings, matches.
        characters: of a question, a prompt, a text or an answer.
        answers: that a ranking may choose from.
        new_tokens: of a text.
        beams: of a text.
        megapixels: of an image.
        aspect: how many times longer one side of an image may be than the other.
        read_seconds: that sending a body may take.
        seconds: that may pass until a request is answered.
    """

    body_bytes: int = 32 * 2**20
    images: int = 16
    texts: int = 64
    characters: int = 4000
    answers: int = 4096
    new_tokens: int = 256
    beams: int = 8
    megapixels: int = 64
    aspect: int = 100
    read_seconds: float = 30.0
    seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is of another type or out of its range.
        """
        for name in ("body_bytes", "images", "texts", "characters", "answers", "new_tokens", "beams", "megapixels"):
            integer(name, getattr(self, name), 1)
        integer("aspect", self.aspect, 1)
        for name in ("read_seconds", "seconds"):
            if not real(name, getattr(self, name)) > 0:
                raise InputError(f"{name} is {getattr(self, name)}, expected more than 0")

    @property
    def image_limits(self) -> ImageLimits:
        """What images are taken."""
        return ImageLimits(FORMATS, self.megapixels * 10**6, self.aspect)


@dataclass(frozen=True)
class ServeSettings:
    """How a server runs. It goes to every worker.

    Attributes:
        models: bundles; the first that can do what is asked for is taken where a request names none.
        indexes: of photos, each made by one of the models.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        workers: processes.
        engine: how graphs are compiled.
        image_cache_bytes: of each model, for what is known of images.
        limits: of one request.
        bodies: of the largest size whose bytes may be held at a time, in each worker; what is more is refused.
        queue: texts that may be waited for at a time, in each worker; what is more is refused.
        drain_seconds: for requests that were accepted before the server was told to end.
        keys: SHA-256 digests of the API keys; where there are none, everybody may ask.
        hosts: names of this server that clients may call it by beside its address; "*" is any.
        fetch: whether images are fetched from URLs.
        json_logs: whether logs are JSON objects, one a line.
    """

    models: tuple[Place, ...]
    indexes: tuple[Place, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    engine: EngineOptions = field(default_factory=EngineOptions)
    image_cache_bytes: int = DEFAULT_CACHE_BYTES
    limits: RequestLimits = field(default_factory=RequestLimits)
    bodies: int = 8
    queue: int = 256
    drain_seconds: float = 60.0
    keys: tuple[bytes, ...] = ()
    hosts: tuple[str, ...] = ()
    fetch: bool = False
    json_logs: bool = False

    def __post_init__(self) -> None:
        """Check what goes with what.

        Raises:
            InputError: a number is out of its range, two places have one name, or there is nothing to serve.
        """
        integer("port", self.port, 0, 65535)
        integer("workers", self.workers, 1, 64)
        integer("bodies", self.bodies, 1)
        integer("image_cache_bytes", self.image_cache_bytes, 0)
        if integer("queue", self.queue, 1) < self.limits.texts:
            raise InputError(
                f"queue is {self.queue}, expected at least the {self.limits.texts} texts that one request may ask for"
            )
        if not real("drain_seconds", self.drain_seconds) >= 0:
            raise InputError(f"drain_seconds is {self.drain_seconds}, expected 0 or more")
        for places, what in ((self.models, "models"), (self.indexes, "indexes")):
            names = [place.name for place in places]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise InputError(f"two {what} are called {twice!r}; give them names: NAME=PATH")
        if not self.models:
            raise InputError("there is no model to serve; give a bundle, or an index")

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return self.host in LOOPBACK
