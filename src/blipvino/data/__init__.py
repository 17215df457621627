"""Samples for calibration and evaluation: VQAv2 and COCO files, folders, Hugging Face datasets, the demo world."""

from blipvino.data.answers import read_answers
from blipvino.data.coco import CocoSource, write_coco
from blipvino.data.demo import DemoSource
from blipvino.data.folder import FolderSource
from blipvino.data.huggingface import HuggingFaceSource
from blipvino.data.samples import DEFAULT_SAMPLES, DEFAULT_SEED, Question, Sample, SampleSource, count_items, take
from blipvino.data.sources import open_source
from blipvino.data.vqav2 import Vqav2Source, write_vqav2

__all__ = [
    "DEFAULT_SAMPLES",
    "DEFAULT_SEED",
    "CocoSource",
    "DemoSource",
    "FolderSource",
    "HuggingFaceSource",
    "Question",
    "Sample",
    "SampleSource",
    "Vqav2Source",
    "count_items",
    "open_source",
    "read_answers",
    "take",
    "write_coco",
    "write_vqav2",
]
