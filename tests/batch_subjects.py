"""Jobs whose worker takes no time: what it makes of a row follows from its id."""

from pathlib import Path

from blipvino.batch.batch_rows import OutputRow
from blipvino.batch.job import BatchJob
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.row_columns import RowColumns
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.work_plan import PlannedModel, TextWork, WorkPlan

FINGERPRINT = "0" * 64


def plan(**work):
    model = PlannedModel(Path("no bundle"), FINGERPRINT)
    return WorkPlan(("caption",), model, None, TextWork(**work), RowColumns(("caption",)))


def job(folder, output, **options):
    given = {"plan": plan(), "shard_rows": 5, **options}
    return BatchJob(PhotoFiles(str(folder)), place=LocalFolder(output), **given)


def text_of(name):
    return f"a picture called {name}"


class StoppedError(Exception):
    """What stops a worker that is told to."""


class StubWorker:
    """Captions by names; files that begin with "bad" cannot be read.

    Args:
        plan: its fingerprint goes into the rows.
        stop_after: rows, after which it is stopped.
    """

    def __init__(self, plan, stop_after=None):
        self.plan = plan
        self.stop_after = stop_after
        self.closed = False

    def run(self, rows):
        for number, row in enumerate(rows):
            if number == self.stop_after:
                raise StoppedError
            if row.id.rpartition("/")[2].startswith("bad"):
                yield OutputRow(row.id, row.location, None, error="no picture", model=self.plan.fingerprint)
            else:
                yield OutputRow(row.id, row.location, None, {"caption": text_of(row.id)}, 1.0, 2.0, None, "m")

    def close(self):
        self.closed = True


def write_photos(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
