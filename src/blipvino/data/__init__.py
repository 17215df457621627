"""Samples for calibration and evaluation: datasets' files, folders, photographs, generated pictures, the demo world."""

from blipvino.data.answers import read_answers
from blipvino.data.coco import CocoSource, write_coco
from blipvino.data.demo import DemoSource
from blipvino.data.folder import FolderSource
from blipvino.data.huggingface import HuggingFaceSource
from blipvino.data.natural import NaturalSource
from blipvino.data.photographs import PhotoSource, photo_source
from blipvino.data.question_bank import QUESTIONS, bank_questions
from blipvino.data.samples import DEFAULT_SAMPLES, DEFAULT_SEED, Question, Sample, SampleSource, count_items, take
from blipvino.data.sources import open_source
from blipvino.data.vqav2 import Vqav2Source, write_vqav2

__all__ = [
    "DEFAULT_SAMPLES",
    "DEFAULT_SEED",
    "QUESTIONS",
    "CocoSource",
    "DemoSource",
    "FolderSource",
    "HuggingFaceSource",
    "NaturalSource",
    "PhotoSource",
    "Question",
    "Sample",
    "SampleSource",
    "Vqav2Source",
    "bank_questions",
    "count_items",
    "open_source",
    "photo_source",
    "read_answers",
    "take",
    "write_coco",
    "write_vqav2",
]
