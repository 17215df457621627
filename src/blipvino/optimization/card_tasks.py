"""What a model card says of what a model is for, by the class of its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from blipvino.checkpoint.architectures import answers_questions, retrieves


@dataclass(frozen=True)
class Task:
    """The sentences of a card that depend on what a model does.

    Attributes:
        pipeline_tag: the hub's word for it.
        does: "A BLIP model that …".
        python: a program that runs a bundle in the folder ``{folder}``.
        shell: commands that do, likewise.
        habits: what it writes or tells, for the limits.
        harm: what does harm where it is wrong.
    """

    pipeline_tag: str
    does: str
    python: str
    shell: str
    habits: str
    harm: str = "a wrong text"


_CAPTION = """from blipvino import Blip

blip = Blip.load("{folder}")
print(blip.caption("photo.jpg"))
"""
_ANSWER = 'print(blip.answer("photo.jpg", ["what is this?", "is it night?"]))\n'
_RETRIEVE = """from blipvino import BlipRetriever

retriever = BlipRetriever.load("{folder}")
similarity = retriever.embed_texts(["a dog", "a cat"]) @ retriever.embed_images(["photo.jpg"]).T
print(similarity, retriever.match("photo.jpg", ["a dog", "a cat"]))
"""
_CAPTIONING = Task(
    "image-to-text",
    "captions images",
    _CAPTION,
    "blipvino caption {folder} photo.jpg",
    "It writes short captions",
)
_ANSWERING = Task(
    "visual-question-answering",
    "answers questions about images and captions them",
    _CAPTION + _ANSWER,
    'blipvino caption {folder} photo.jpg\nblipvino ask {folder} photo.jpg "what is this?"',
    "It answers short questions with short answers",
)
_RETRIEVING = Task(
    "zero-shot-image-classification",
    "tells which texts go with which images",
    _RETRIEVE,
    "blipvino selftest {folder}",
    "It compares images with short texts",
    harm="a wrong match",
)


def task_of(architecture: str) -> Task:
    """What a class of checkpoints is for; one that is not known captions."""
    if retrieves(architecture):
        return _RETRIEVING
    return _ANSWERING if answers_questions(architecture) else _CAPTIONING
