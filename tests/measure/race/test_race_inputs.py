"""What contenders are shown is the same every time."""

from blipvino.measure.race.race_inputs import SIZE, picture, question


def test_pictures_are_large_and_the_same_every_time():
    assert picture(3).size == SIZE and picture(3).mode == "RGB"
    assert picture.__wrapped__(3).tobytes() == picture(3).tobytes() != picture(4).tobytes()
    assert question.__wrapped__(3) == question(3)
