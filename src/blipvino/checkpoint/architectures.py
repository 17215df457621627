"""The classes of BLIP checkpoints, one table: what each can do, and the graphs that it becomes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One class of checkpoints, by the name that ``config.json`` has under ``architectures``.

    Attributes:
        name: as `transformers` calls the class.
        graphs: names of its graphs (`blipvino.graphs.specs.GRAPHS`) in the order in which they run; a class without
            any is read, and not optimized.
        text_models: the prefixes of its text models' tensors.
        answers_questions: whether a question encoder feeds its decoder, which then reads both towers' states and needs
            them to be of one width.
        retrieves: whether it tells how well images and texts go together, and generates no text.
    """

    name: str
    graphs: tuple[str, ...]
    text_models: tuple[str, ...]
    answers_questions: bool = False
    retrieves: bool = False


QUESTION_ANSWERING = "BlipForQuestionAnswering"
CAPTIONING = "BlipForConditionalGeneration"
RETRIEVAL = "BlipForImageTextRetrieval"

FOR_ANSWERS = "Salesforce/blip-vqa-base, or demo"
"""Names of checkpoints that answer and caption, for messages."""
FOR_RETRIEVAL = "Salesforce/blip-itm-base-coco, or demo-retrieval"
"""Names of checkpoints that find and match, likewise."""

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            QUESTION_ANSWERING,
            graphs=("vision", "question_kv", "question", "answer_kv", "answer"),
            text_models=("text_encoder", "text_decoder.bert"),
            answers_questions=True,
        ),
        Architecture(CAPTIONING, graphs=("vision", "answer_kv", "answer"), text_models=("text_decoder.bert",)),
        Architecture(
            RETRIEVAL,
            graphs=("vision", "image_embedding", "text_embedding", "match_kv", "match"),
            text_models=("text_encoder",),
            retrieves=True,
        ),
    )
}
"""By name. A new variant of BLIP is a further entry."""


def answers_questions(architecture: str) -> bool:
    """Whether a class of checkpoints answers questions; one that is not known does not."""
    return architecture in ARCHITECTURES and ARCHITECTURES[architecture].answers_questions


def retrieves(architecture: str) -> bool:
    """Whether a class of checkpoints finds images and texts for one another; one that is not known does not."""
    return architecture in ARCHITECTURES and ARCHITECTURES[architecture].retrieves
