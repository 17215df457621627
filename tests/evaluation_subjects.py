"""Options of short evaluations, and samples to score."""

from PIL import Image

from blipvino.data import Question, Sample
from blipvino.measure.evaluation.evaluate import RunOptions
from blipvino.measure.evaluation.evaluation import EvaluateOptions

OPTIONS = EvaluateOptions(samples=30, captions=6, max_new_tokens=32, precision="f32")


def quiet(folder=None, **options):
    return RunOptions(folder, batch_size=2, show_progress=False, **options)


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def estimates(evaluation):
    return {row.name: (row.original, row.compressed, row.drop, row.agreement) for row in evaluation.answers}


def sample(image_id, *questions, captions=()):
    return Sample(image_id, lambda: Image.new("RGB", (8, 8)), questions, captions)


def question(number, truth=(), question_type="", answer_type=""):
    return Question(f"question {number}?", number, truth, question_type, answer_type)
