"""Questions that can be asked of any photograph: for pictures that come without questions of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, zip_longest

from blipvino.data.samples import Question

_THINGS = (
    "what is in the picture?",
    "what is this?",
    "what is the largest thing here?",
    "what is on the table?",
    "what is behind the person?",
    "what is the man holding?",
    "what is next to the window?",
    "what is hanging on the wall?",
    "what is the woman wearing on her head?",
    "what kind of vehicle is parked there?",
    "which animal is closest to the camera?",
    "what are the children playing with?",
    "what fruit is in the bowl?",
    "what is at the bottom left of the picture?",
)
_YES_OR_NO = (
    "is there an animal in the picture?",
    "is it raining?",
    "is this a photograph of a city?",
    "are there any people?",
    "is the light on?",
    "does the man wear glasses?",
    "is anyone smiling?",
    "can you see the sky?",
    "are both of them looking at the camera?",
    "is the door open or has somebody closed it?",
    "was this taken during the day?",
    "is the food ready to eat?",
    "do these two things belong together?",
    "has it snowed?",
)
_COLOURS = (
    "what color is it?",
    "what color is the car on the left?",
    "what is the main color of the background?",
    "what color are her shoes?",
    "what colors does the flag have?",
    "which color is the wall behind the bed?",
    "what color is the dog's collar?",
    "are the flowers red or yellow?",
    "what color is the sign with the white letters?",
    "what color shirt is the boy wearing?",
)
_COUNTS = (
    "how many people are there?",
    "how many animals can you count?",
    "how many wheels does it have?",
    "how many windows are on the front of the building?",
    "how many plates are on the table?",
    "how many of the chairs are empty?",
    "how many buttons does the jacket have?",
    "how many different colors are there?",
    "how many trees stand beside the road?",
    "how many birds are sitting on the wire?",
)
_PLACES = (
    "where was this taken?",
    "where is the cat sitting?",
    "which room is this?",
    "where are they going?",
    "what country might this be?",
    "is this indoors or outdoors?",
    "where is the clock?",
    "in which direction is the train moving?",
    "what can be seen through the window?",
    "where does the light come from?",
)
_ACTIVITIES = (
    "what is the person doing?",
    "what is happening here?",
    "what sport is being played?",
    "what are they waiting for?",
    "what is the dog about to do?",
    "what has just happened?",
    "who is driving?",
    "what is the cook preparing?",
    "which game are the two girls playing?",
    "what is the man in the blue jacket looking at?",
)
_QUALITIES = (
    "what is the weather like?",
    "what is it made of?",
    "what shape is the table?",
    "how old is the child?",
    "what time of day is it?",
    "what season is it?",
    "how does she feel?",
    "what pattern is on the curtains?",
    "is the water calm or rough?",
    "how full is the glass?",
    "why is he wearing a helmet?",
)
_TEXTS = (
    "what does the sign say?",
    "what number is on the front of the bus?",
    "what is written on the shirt?",
    "which letter comes first?",
    "what time does the clock show?",
    "what brand is the computer?",
    "what is the name of the street?",
    "what is the title of the book on top of the pile?",
)
_KINDS = (_THINGS, _YES_OR_NO, _COLOURS, _COUNTS, _PLACES, _ACTIVITIES, _QUALITIES, _TEXTS)

QUESTIONS: tuple[str, ...] = tuple(text for text in chain(*zip_longest(*_KINDS)) if text is not None)
"""All of them, such that those that follow one another are of different kinds: things, yes or no, colours, counts,
places, activities, qualities, texts."""


def bank_questions(number: int, count: int) -> tuple[Question, ...]:
    """Questions for the picture of a number: other pictures get others, until all were asked.

    Args:
        number: of the picture in its source, from 0.
        count: how many, of as many kinds as there are.

    Returns:
        Questions without answers; their ids are unique among pictures that get as many.
    """
    ids = range(number * count, (number + 1) * count)
    return tuple(Question(text, place) for text, place in zip(_from(number * count), ids, strict=False))


def _from(place: int) -> Iterator[str]:
    """The bank from a place on, round and round."""
    start = place % len(QUESTIONS)
    while True:
        yield from islice(QUESTIONS, start, None)
        start = 0
