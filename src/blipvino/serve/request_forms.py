"""What requests of ``/v1`` may say: the fields of each, their types and ranges."""

from __future__ import annotations

from dataclasses import fields as fields_of
from typing import Annotated, Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from blipvino.runtime.async_blip import Urgency
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.serve.image_intake import Sent
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import JSON, Body

_Form = TypeVar("_Form", bound="ImageForm")
_Model = TypeVar("_Model", bound=BaseModel)
Texts = Annotated[list[str], Field(min_length=1)]
_IMAGE = "Base64 of an image file, or a data URL of it; where the server allows it, an https URL."
_UPLOADS = ("image", "images", "image[]", "images[]", "file", "files")
"""Fields of a multipart body that have image files."""
LEAST_PRIORITY = -10


class Form(BaseModel):
    """What every request may say."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

    model: str | None = Field(None, description="Name of a model; by default the first that can do this.")
    timeout: float | None = Field(None, gt=0, description="Seconds after which nobody waits any more.")
    priority: int = Field(0, ge=LEAST_PRIORITY, le=0, description="Below 0 others go first.")

    @property
    def urgency(self) -> Urgency:
        """How soon it is to be answered."""
        return Urgency(self.priority, self.timeout)


class ImageForm(Form):
    """What a request about an image may say."""

    image: str | None = Field(None, description=_IMAGE)
    _files: list[Sent] = PrivateAttr(default_factory=list)

    def take_images(self) -> list[Sent]:
        """The images, each with its name for messages. The form has them no longer: whoever decodes them lets them go.

        Raises:
            RequestError: they came in two ways.
        """
        given = self._take_given()
        if given and self._files:
            raise RequestError(422, "invalid_field", "images came as files and as text; send them as one of these")
        taken, self._files = given or self._files, []
        return taken

    def _take_given(self) -> list[Sent]:
        """Those that came as text."""
        image, self.image = self.image, None
        return [] if image is None else [("image", image)]


class ImagesForm(ImageForm):
    """What a request about images may say."""

    images: Texts | None = Field(None, description=f"Several: {_IMAGE}")

    def _take_given(self) -> list[Sent]:
        if self.image is not None and self.images is not None:
            raise RequestError(422, "invalid_field", "image and images are one thing; give one of them", param="image")
        images, self.images = self.images or (), None
        return [(f"images[{place}]", image) for place, image in enumerate(images)] or super()._take_given()


class GeneratingForm(ImagesForm):
    """What a request for texts may say. The options are those of `GenerationOptions`."""

    stream: bool = Field(False, description="Tell texts as they grow, as server-sent events.")
    scores: bool = Field(False, description="Tell the logarithm of each token's probability, too.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Texts that are less sure are blank.")
    max_new_tokens: int | None = Field(None, ge=1, description="Of a text at the most.")
    min_new_tokens: int | None = Field(None, ge=0)
    num_beams: int | None = Field(None, ge=1)
    length_penalty: float | None = Field(None, ge=-10, le=10)
    do_sample: bool | None = None
    temperature: float | None = Field(None, ge=1e-3)
    top_k: int | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=0, lt=2**64)
    repetition_penalty: float | None = Field(None, ge=1e-6, le=1e6)
    no_repeat_ngram_size: int | None = Field(None, ge=0)

    @property
    def generation(self) -> dict[str, Any]:
        """The options that were given."""
        given = {option.name: getattr(self, option.name) for option in fields_of(GenerationOptions)}
        return {name: value for name, value in given.items() if value is not None}


class CaptionForm(GeneratingForm):
    """``POST /v1/caption``."""

    prompt: str | None = Field(None, description="Text that every caption continues.")


class AnswerForm(GeneratingForm):
    """``POST /v1/answer``."""

    question: str | None = Field(None, description="Asked of every image.")
    questions: Texts | None = Field(None, description="All about the one image, or one an image.")


class RankForm(ImagesForm):
    """``POST /v1/rank``."""

    question: str | None = Field(None, description="Asked of every image.")
    questions: Texts | None = Field(None, description="All about the one image, or one an image.")
    answers: Texts = Field(description="To choose from.")
    top_k: int | None = Field(128, ge=1, description="Rank those whose first token is likeliest; null ranks all.")


class EmbedForm(ImagesForm):
    """``POST /v1/embed``."""

    text: str | None = Field(None, description="One text.")
    texts: Texts | None = Field(None, description="Several.")


class MatchForm(EmbedForm):
    """``POST /v1/match``."""


class SearchForm(ImageForm):
    """``POST /v1/search``."""

    index: str | None = Field(None, description="Name of an index; by default the first.")
    text: str | None = Field(None, description="What the photos show.")
    image: str | None = Field(None, description=f"What they are like. {_IMAGE}")
    top: int = Field(10, ge=1, le=100, description="Photos to find.")
    rerank: int = Field(32, ge=0, le=100, description="Nearest photos that are looked at again, with the text.")
    thumbnails: bool = Field(False, description="Give a small JPEG of each, as a data URL.")


def one_or_more(one: str | None, several: list[str] | None, name: str, names: str) -> list[str]:
    """A field that may be given as one or as several.

    Raises:
        RequestError: it is given as both, or not at all.
    """
    if (one is None) == (several is None):
        raise RequestError(422, "invalid_field", f"give either {name} or {names}", param=names)
    return [one] if one is not None else list(several or ())


def read_form(kind: type[_Form], body: Body) -> _Form:
    """A request's fields, checked, with the image files that came with them.

    Raises:
        RequestError: a field is unknown, missing, of another type or out of its range.
    """
    try:
        if body.json is not None:
            return kind.model_validate_json(body.json, strict=True)
        form = kind.model_validate(_plain(kind, body.fields))
    except ValidationError as error:
        raise refused_fields(error) from None
    for name, _ in body.files:
        if name not in _UPLOADS:
            raise RequestError(
                422, "invalid_field", f"a file came in the field {name[:40]!r}, expected image or images", param=name
            )
    names = ["image"] if len(body.files) == 1 else [f"images[{place}]" for place in range(len(body.files))]
    form._files = [(name, content) for name, (_, content) in zip(names, body.files, strict=True)]
    return form


def read_json(kind: type[_Model], body: Body) -> _Model:
    """A request's fields, checked, where there is but one way to send them.

    Raises:
        RequestError: the body is no JSON, or a field is unknown, missing, of another type or out of its range.
    """
    if body.json is None:
        raise RequestError(415, "unsupported_media_type", f"Content-Type is not {JSON}")
    try:
        return kind.model_validate_json(body.json, strict=True)
    except ValidationError as error:
        raise refused_fields(error) from None


def refused_fields(error: ValidationError) -> RequestError:
    """What is wrong with fields: the first of it."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return RequestError(400, "invalid_json", f"the body is no JSON: {first['msg']}")
    param = ".".join(map(str, first["loc"]))[:80] or None
    reason = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"]
    message = reason if param is None else f"{param}: {reason}"
    return RequestError(422, "invalid_field", message, param=param)


def _plain(kind: type[Form], fields: dict[str, list[str]]) -> dict[str, Any]:
    """Fields of a multipart body: those that are lists have all their values, others one."""
    plain: dict[str, Any] = {}
    for name, values in fields.items():
        known = kind.model_fields.get(name.removesuffix("[]"))
        if known is not None and _is_list(known.annotation):
            plain[name.removesuffix("[]")] = values
        elif len(values) > 1:
            raise RequestError(
                422, "invalid_field", f"{name[:40]}: given {len(values)} times, expected once", param=name
            )
        else:
            plain[name] = values[0]
    return plain


def _is_list(annotation: Any) -> bool:
    parts = getattr(annotation, "__args__", ())
    return get_origin(annotation) is list or any(_is_list(part) for part in parts)
