"""The picture of a diagnosis."""

from xml.etree import ElementTree

from blipvino.measure.report.charts.layer_chart import NAMED, layer_chart


def test_the_chart_is_xml_with_a_description_and_all_layers(diagnosis):
    drawn = ElementTree.fromstring(layer_chart(diagnosis))
    text = ["".join(element.itertext()) for element in drawn.iter()]
    svg = "{http://www.w3.org/2000/svg}"
    assert drawn.get("role") == "img" and drawn.find(f"{svg}title") is not None
    assert diagnosis.worst(1)[0].label in drawn.find(f"{svg}desc").text
    dots = [circle for circle in drawn.iter(f"{svg}circle") if circle.find(f"{svg}title") is not None]
    assert len(dots) == len(diagnosis.worst())
    assert len([circle for circle in drawn.iter(f"{svg}circle") if circle.get("class") == "lc-ring"]) == NAMED
    assert "prefers-color-scheme: dark" in drawn.find(f"{svg}style").text and "http" not in "".join(text)
    heights = [float(circle.get("cy")) for circle in dots]
    assert min(heights) > 0 and max(heights) < float(drawn.get("viewBox").split()[3])
