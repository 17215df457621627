"""What requests of OpenAI's chat completions say, and what BLIP makes of a conversation.

BLIP answers one question about one image, or captions it; it remembers nothing. Of a conversation the last image
counts, and the last text of the user. Where that asks for a description, or the model answers no questions, the image
is captioned.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from blipvino.serve.problems import RequestError

_DESCRIBE = re.compile(
    r"(please\s+)?((can|could|would)\s+you\s+)?(please\s+)?"
    r"(describe|caption|(write|give|create|generate|provide)(\s+me)?\s+an?\s+([\w-]+\s+){0,3}(caption|description)"
    r"|what\s+is\s+(in|on|shown\s+in)\s+(this|the)\s+(image|picture|photo)"
    r"|what('s|s)?\s+(in|on)\s+(this|the)\s+(image|picture|photo))\b",
    re.IGNORECASE,
)
_BEGINNING = 200
"""Characters of a text by which it is told whether it asks for a description: of millions it would take seconds."""
_MOST_STOPS = 16


class _Lax(BaseModel):
    """Clients send more fields than are used here; what is not known is passed over."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class ImageUrl(_Lax):
    """Where an image is: a data URL or, where the server allows it, an https URL."""

    url: str


class TextPart(_Lax):
    """A text in a message."""

    type: Literal["text"]
    text: str


class ImagePart(_Lax):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Message(_Lax):
    """A message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None

    @property
    def texts(self) -> list[str]:
        """Its texts."""
        if isinstance(self.content, list):
            return [part.text for part in self.content if isinstance(part, TextPart)]
        return [self.content] if self.content else []

    @property
    def images(self) -> list[str]:
        """The URLs of its images."""
        if not isinstance(self.content, list):
            return []
        return [part.image_url.url for part in self.content if isinstance(part, ImagePart)]


class StreamOptions(_Lax):
    """What a stream has beside the text."""

    include_usage: bool = False


class ResponseFormat(_Lax):
    """What the text is to be."""

    type: str = "text"


class ChatForm(_Lax):
    """``POST /v1/chat/completions``."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: int | None = Field(None, ge=1, le=16)
    stop: str | Annotated[list[str], Field(max_length=_MOST_STOPS)] | None = None
    logprobs: bool | None = None
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = None

    @property
    def image(self) -> str:
        """The URL of the last image.

        Raises:
            RequestError: there is none.
        """
        images = [image for message in self.messages for image in message.images]
        if not images:
            raise RequestError(
                422, "no_image", "no message has an image; send one as an image_url part", param="messages"
            )
        return images[-1]

    @property
    def question(self) -> str | None:
        """The last text of the user; None where there is none, or it asks for a description."""
        texts = [text for message in self.messages if message.role == "user" for text in message.texts if text.strip()]
        if not texts or _DESCRIBE.match(texts[-1].strip()[:_BEGINNING]):
            return None
        return texts[-1]

    @property
    def stops(self) -> list[str]:
        """Texts that end the text."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]

    @property
    def generation(self) -> dict[str, Any]:
        """Options of `GenerationOptions`. A temperature above 0 draws; without one the likeliest text is told.

        Raises:
            RequestError: something is asked for that BLIP cannot do.
        """
        refused = {
            "tools": bool(self.tools),
            "response_format": self.response_format is not None and self.response_format.type != "text",
            "frequency_penalty": bool(self.frequency_penalty),
            "presence_penalty": bool(self.presence_penalty),
        }
        for name, is_given in refused.items():
            if is_given:
                raise RequestError(422, "unsupported", f"{name}: BLIP has nothing like it; leave it out", param=name)
        options: dict[str, Any] = {}
        most = self.max_completion_tokens or self.max_tokens
        if most is not None:
            options["max_new_tokens"] = most
        if self.temperature:
            options |= {"do_sample": True, "temperature": max(1e-3, self.temperature), "top_k": 0}
            options |= {} if self.top_p is None else {"top_p": self.top_p}
            options |= {} if self.seed is None else {"seed": self.seed % 2**64}
        return options
