from blipvino.text.markup import Markup, element


def test_text_is_escaped_unless_it_is_markup():
    assert element("p", "<b>", Markup("<i></i>"), None, class_="a&b") == '<p class="a&amp;b">&lt;b&gt;<i></i></p>'
    assert element("circle", cx=1, aria_hidden="true", r=None) == '<circle cx="1" aria-hidden="true"/>'
