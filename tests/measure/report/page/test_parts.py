from blipvino.measure.report.page.parts import typeset


def test_minus_signs_and_intervals_are_set_as_numbers_are():
    assert typeset("a -0.2 [-0.4, -0.1] --recipe int8-int4") == "a −0.2\xa0[−0.4,\xa0−0.1] --recipe int8-int4"
