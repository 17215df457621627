"""XMP: what others wrote stays, whatever the form that the description had."""

import pytest
from lxml import etree

from blipvino.photos.xmp import XmpTexts, new_xmp, read_xmp, with_texts

BOTH = XmpTexts("a dög & a <cat>", "a dög & a <cat>")
HEAD = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:foo="http://foo.example/">'
)
TAIL = "</rdf:RDF></x:xmpmeta>"
FOREIGN = '<foo:deep rdf:parseType="Resource"><!-- kept --><foo:x>1 &lt; 2</foo:x></foo:deep>'


def xmp(described):
    return f"{HEAD}{described}{TAIL}".encode()


def alt(*items):
    listed = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in items)
    return f"<dc:description><rdf:Alt>{listed}</rdf:Alt></dc:description>"


DESCRIBED = {
    "alternatives": '<rdf:Description rdf:about="">'
    f"{FOREIGN}{alt(('x-default', 'old'), ('de', 'alt'))}</rdf:Description>",
    "another language first": f'<rdf:Description rdf:about="">{alt(("de", "old"))}</rdf:Description>',
    "an attribute": '<rdf:Description rdf:about="" dc:description="old" foo:bar="1&#10;2"/>',
    "plain text": '<rdf:Description rdf:about=""><dc:description>old</dc:description></rdf:Description>',
    "fields": '<rdf:Description rdf:about=""><dc:description rdf:parseType="Resource"><rdf:value>old</rdf:value>'
    "</dc:description></rdf:Description>",
    "two blocks": f'<rdf:Description rdf:about="">{alt(("x-default", "old"))}</rdf:Description>'
    f'<rdf:Description rdf:about="" foo:bar="1">{alt(("x-default", "older"))}</rdf:Description>',
    "two blocks and an attribute": f'<rdf:Description rdf:about="">{alt(("x-default", "old"))}</rdf:Description>'
    '<rdf:Description rdf:about="" dc:description="older"/>',
    "a second block": '<rdf:Description rdf:about="" foo:bar="1"/>'
    f'<rdf:Description rdf:about="">{alt(("x-default", "old"))}</rdf:Description>',
}


@pytest.mark.parametrize("form", DESCRIBED)
def test_a_description_in_any_form_is_read_and_replaced(form):
    content = xmp(DESCRIBED[form])
    assert read_xmp(content) == XmpTexts("old", None)
    changed = with_texts(content, BOTH)
    assert read_xmp(changed) == BOTH
    assert with_texts(changed, BOTH) == changed.rstrip() + b"\n"
    assert b"description rdf:parseType" not in changed and b"older" not in changed
    assert changed.count(b"description") in (2, 3)  # once, and not beside the old one


def test_all_else_stays_as_it_is():
    content = (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><!-- by hand -->'
        + xmp(DESCRIBED["alternatives"] + '<rdf:Description foo:line="1&#10;2&#9;3"><foo:bag/></rdf:Description>')
        + b'<?xpacket end="w"?>'
    )
    changed = with_texts(content, XmpTexts("new", None))
    assert changed.strip() == content.replace(b"old", b"new")


def test_xmp_without_a_description_gets_one():
    for content in (xmp(""), xmp('<rdf:Description rdf:about="uuid:1"/>'), b'<?xml version="1.0"?>\n' + xmp("")):
        assert read_xmp(content) == XmpTexts(None, None)
        changed = with_texts(content, BOTH)
        assert read_xmp(changed) == BOTH
        assert changed.startswith(b"<?xml") == content.startswith(b"<?xml")
        assert len(etree.fromstring(changed).findall(".//{*}Description")) == 1


def test_new_xmp_is_what_others_expect():
    content = new_xmp(BOTH)
    assert content.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode())
    assert b'<?xpacket end="w"?>' in content
    assert '    <rdf:li xml:lang="x-default">a dög &amp; a &lt;cat&gt;</rdf:li>' in content.decode()
    assert read_xmp(content) == BOTH


def test_other_encodings():
    content = f'<?xml version="1.0" encoding="UTF-16"?>{xmp(DESCRIBED["alternatives"]).decode()}'.encode("utf-16")
    assert read_xmp(with_texts(content, BOTH)) == BOTH


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no xml", "it is no XML"),
        (xmp("")[:100], "it is no XML"),
        (b"<svg/>", "it has no rdf:RDF"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]>' + xmp(""), "it has a document type"),
    ],
)
def test_what_is_no_xmp_is_refused(content, says):
    for attempt in (lambda: read_xmp(content), lambda: with_texts(content, BOTH)):
        with pytest.raises(ValueError, match=says):
            attempt()
