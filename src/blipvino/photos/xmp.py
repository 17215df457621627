"""XMP, in which photo software keeps descriptions: read, made, and changed with all else in it left as it is."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from lxml import etree

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DEFAULT = "x-default"
_EMPTY = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{rdf}">
  <rdf:Description rdf:about="" xmlns:dc="{dc}" xmlns:Iptc4xmpCore="{Iptc4xmpCore}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""

_ABOUT = {f"{{{_NAMESPACES['rdf']}}}about": ""}

Element = Any
"""Of lxml, which has no types."""


def _name(prefix: str, local: str) -> str:
    return f"{{{_NAMESPACES[prefix]}}}{local}"


_PARSE_TYPE = _name("rdf", "parseType")
DESCRIPTION, ALT_TEXT = _name("dc", "description"), _name("Iptc4xmpCore", "AltTextAccessibility")


@dataclass(frozen=True)
class XmpTexts:
    """What XMP says that a photo shows, in the default language; None where it says nothing.

    Attributes:
        description: ``dc:description``, which photo software shows and searches.
        alt_text: ``Iptc4xmpCore:AltTextAccessibility``, which screen readers read out.
    """

    description: str | None
    alt_text: str | None


def new_xmp(texts: XmpTexts) -> bytes:
    """XMP that says this and nothing else, as the content of a sidecar."""
    tree = _parse(_EMPTY.format(**_NAMESPACES).encode())
    _set_texts(tree, texts)
    etree.indent(tree, " ")
    return _content(tree, declared=False)


def read_xmp(content: bytes) -> XmpTexts:
    """The texts in XMP.

    Raises:
        ValueError: it is no XMP; says why.
    """
    rdf = _rdf(_parse(content))
    return XmpTexts(_text(rdf, DESCRIPTION), _text(rdf, ALT_TEXT))


def with_texts(content: bytes, texts: XmpTexts) -> bytes:
    """The same XMP with other texts in the default language; a text that is None stays as it is.

    Raises:
        ValueError: it is no XMP; says why.
    """
    tree = _parse(content)
    _set_texts(tree, texts)
    return _content(tree, declared=content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml "))


def _content(tree: Any, *, declared: bool) -> bytes:
    content: bytes = etree.tostring(tree, encoding="UTF-8", xml_declaration=declared)
    return content + b"\n"


def _set_texts(tree: Any, texts: XmpTexts) -> None:
    rdf = _rdf(tree)
    for name, text in ((DESCRIPTION, texts.description), (ALT_TEXT, texts.alt_text)):
        if text is not None:
            _set_text(rdf, name, text)


def _parse(content: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=False)
    try:
        tree = etree.parse(BytesIO(content), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"it is no XML: {error.msg}") from error
    if tree.docinfo.internalDTD is not None:
        raise ValueError("it has a document type, which XMP has not")
    return tree


def _rdf(tree: Any) -> Element:
    rdf = next(tree.iter(_name("rdf", "RDF")), None)
    if rdf is None:
        raise ValueError("it has no rdf:RDF, which all XMP has")
    return rdf


def _text(rdf: Element, name: str) -> str | None:
    for described in rdf.iterfind(_name("rdf", "Description")):
        found = described.find(name)
        if found is None:
            text = described.get(name)
        else:
            item = _default_item(found)
            text = "".join((found if item is None else item).itertext())
        if text is not None and text.strip():
            return str(text)
    return None


def _default_item(found: Element) -> Element | None:
    """The item in the default language, or the first of all."""
    items = found.findall(f"*/{_name('rdf', 'li')}")
    default = [item for item in items if item.get(_LANG, "").lower() == _DEFAULT]
    return next(iter(default or items), None)


def _set_text(rdf: Element, name: str, text: str) -> None:
    all_described = rdf.findall(_name("rdf", "Description"))
    described = next((each for each in all_described if each.find(name) is not None or name in each.attrib), None)
    if described is None:
        described = all_described[0] if all_described else etree.SubElement(rdf, _name("rdf", "Description"), _ABOUT)
    found = described.find(name)
    for each in all_described:  # of several values, which the specification has not, one would stay as it was
        each.attrib.pop(name, None)
        for other in each.findall(name):
            if other is not found:
                each.remove(other)
    if found is None:
        found = etree.SubElement(described, name, nsmap={p: n for p, n in _NAMESPACES.items() if n in name})
    languages = found.find(_name("rdf", "Alt"))
    found.attrib.pop(_PARSE_TYPE, None)  # it says that there is no Alt but fields
    if languages is None:  # a plain text, against the specification: it becomes the default language's
        found[:] = []
        found.attrib.clear()
        found.text = None
        languages = etree.SubElement(found, _name("rdf", "Alt"))
    item = _default_item(found)
    if item is None or item.get(_LANG, "").lower() != _DEFAULT:
        item = etree.Element(_name("rdf", "li"), {_LANG: _DEFAULT})
        languages.insert(0, item)  # where the specification wants it
    item[:] = []
    item.text = text
