"""What the OpenAPI document says of requests that are read here and not by FastAPI: body, statuses, errors."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}
STATUSES = {
    400: "The body is no JSON or no multipart form",
    401: "No valid API key",
    403: "Another site's page, or another host's name",
    404: "No such model or index",
    408: "The body took too long to arrive",
    413: "The body is too large",
    415: "Another type of body",
    422: "A field or an image that is not taken",
    429: "Too much is waited for; Retry-After says when to ask again",
    500: "It failed here",
    503: "The models are being loaded",
    504: "It took too long",
}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}


def documented(form: type[BaseModel], summary: str) -> dict[str, Any]:
    """Arguments of a route whose body is a form, as JSON or multipart."""
    schema = body_schema(form)
    content = {"application/json": {"schema": schema}}
    if "image" in schema["properties"]:
        content["multipart/form-data"] = {"schema": _with_files(schema)}
    return {
        "summary": summary,
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
        "responses": error_responses(ERROR_SCHEMA),
    }


def body_schema(form: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a form, with what it refers to in its place: references lead into the whole document."""
    schema = form.model_json_schema()
    parts = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(each) for each in value]
        if not isinstance(value, dict):
            return value
        part = value.get("$ref", "").removeprefix("#/$defs/")
        if part:
            return {**whole(parts[part]), **{key: whole(each) for key, each in value.items() if key != "$ref"}}
        return {key: whole(each) for key, each in value.items() if key != "discriminator"}

    resolved: dict[str, Any] = whole(schema)
    return resolved


def error_responses(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """What a request may be refused with."""
    content = {"application/json": {"schema": schema}}
    return {status: {"description": meaning, "content": content} for status, meaning in STATUSES.items()}


def _with_files(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with image files."""
    form = copy.deepcopy(schema)
    form["properties"]["image"] = {"type": "string", "format": "binary", "description": "An image file."}
    if "images" in form["properties"]:
        form["properties"]["images"] = {**_FILES, "description": "Several image files."}
    return form
