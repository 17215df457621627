"""The reference of the server's HTTP interface, made from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blipvino.serve.app import create_app
from blipvino.serve.serve_settings import Place, ServeSettings

_HEAD = """# The HTTP interface

What `GET /openapi.json` of a running server says, in one page. [Serving](serving.md) tells how to ask, what is refused
and why.
"""
_METHODS = ("get", "post", "put", "delete")

Document = dict[str, Any]


def openapi() -> Document:
    """The OpenAPI document of a server. No model is loaded for it."""
    document: Document = create_app(ServeSettings((Place("model", Path("model")),))).openapi()
    return document


def http_page() -> str:
    """The page, in Markdown: a section a path and method, with its fields and answers."""
    document = openapi()
    parts = [_HEAD]
    for path, operations in document["paths"].items():
        for method in filter(operations.__contains__, _METHODS):
            parts += _section(document, path, method.upper(), operations[method])
    return "\n".join(parts)


def _section(document: Document, path: str, method: str, operation: Document) -> Iterator[str]:
    yield f"\n## `{method} {path}`\n"
    yield "\n\n".join(filter(None, (_sentence(operation.get("summary", "")), operation.get("description", "")))) + "\n"
    parameters = [
        (each["name"], _type(document, each.get("schema", {})), each.get("description", f"in the {each['in']}"))
        for each in operation.get("parameters", ())
    ]
    yield from _table(("Parameter", "Type", "Meaning"), parameters)
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        fields = list(_fields(document, body.get("schema", {})))
        if fields:
            yield f"A body of the type `{media}`:\n"
            yield from _table(("Field", "Type", "Meaning"), fields)
        else:
            yield f"A body of the type `{media}`.\n"
    answers = [(status, "", answer.get("description", "")) for status, answer in operation.get("responses", {}).items()]
    yield from _table(("Status", "", "Meaning"), answers)
    for status, answer in operation.get("responses", {}).items():
        for media, body in answer.get("content", {}).items():
            fields = list(_fields(document, body.get("schema", {})))
            if fields and status.startswith("2"):
                yield f"The answer, of the type `{media}`:\n"
                yield from _table(("Field", "Type", "Meaning"), fields)


def _sentence(text: str) -> str:
    return text if not text or text.endswith(".") else f"{text}."


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """A table, without columns in which nothing stands; nothing where there are no rows."""
    if not rows:
        return
    kept = [number for number in range(3) if number == 0 or any(row[number] for row in rows)]
    lines = [[head[number] for number in kept], ["---"] * len(kept)]
    lines += [[f"`{row[0]}`" if number == 0 else _cell(row[number]) for number in kept] for row in rows]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _fields(document: Document, schema: Document) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each field of an object."""
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        told = [_resolved(document, field).get("description") or field.get("description", "")]
        if name in required:
            told.append("Required.")
        elif field.get("default") is not None:
            told.append(f"By default {field['default']!r}.")
        yield name, _type(document, field), " ".join(filter(None, told))


def _resolved(document: Document, schema: Document) -> Document:
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _type(document: Document, schema: Document) -> str:
    """A type in words: "string", "list of integer", "string or null"."""
    schema = _resolved(document, schema)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(document, each) for each in schema[several]))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(document, schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
