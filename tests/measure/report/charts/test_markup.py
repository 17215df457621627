"""Markup, and how numbers are set in it."""

from blipvino.measure.report.charts.markup import Markup, element
from blipvino.measure.report.page.parts import typeset


def test_text_is_escaped_unless_it_is_markup():
    assert element("p", "<b>", Markup("<i></i>"), None, class_="a&b") == '<p class="a&amp;b">&lt;b&gt;<i></i></p>'
    assert element("circle", cx=1, aria_hidden="true", r=None) == '<circle cx="1" aria-hidden="true"/>'
    assert typeset("a -0.2 [-0.4, -0.1] --recipe int8-int4") == "a −0.2\xa0[−0.4,\xa0−0.1] --recipe int8-int4"
