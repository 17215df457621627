"""The columns of what a job writes, which follow from its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from blipvino.batch.batch_rows import OutputRow, Task, plain
from blipvino.batch.remote_files import INSTALL_BATCH
from blipvino.errors import InputError

if TYPE_CHECKING:
    import pyarrow

Kind = Literal["text", "number", "texts", "numbers", "vector"]

_OF_TASK: dict[Task, dict[str, Kind]] = {
    "caption": {
        "caption": "text",
        "caption_confidence": "number",
        "caption_logprob": "number",
        "caption_finish_reason": "text",
    },
    "answer": {
        "answer": "text",
        "answer_confidence": "number",
        "answer_logprob": "number",
        "answer_finish_reason": "text",
    },
    "rank": {
        "ranked_answer": "text",
        "ranked_confidence": "number",
        "ranked_answers": "texts",
        "ranked_logprobs": "numbers",
    },
    "embed": {"embedding": "vector"},
}
_OF_QUESTIONS = frozenset({"question", *_OF_TASK["answer"], *_OF_TASK["rank"]})


@dataclass(frozen=True)
class RowColumns:
    """The columns of a job's output. It can be pickled.

    Attributes:
        tasks: of the job, without repetition.
        several_questions: whether more than one is asked of each image: columns that are about questions then have a
            list, an item a question.
        width: numbers of an embedding; None without the task ``embed``.
    """

    tasks: tuple[Task, ...]
    several_questions: bool = False
    width: int | None = None

    @property
    def kinds(self) -> dict[str, Kind]:
        """The name of each column, in order, and what is in it; in a list of it, if it is of `several_questions`."""
        asks = "answer" in self.tasks or "rank" in self.tasks
        made = {name: kind for task in self.tasks for name, kind in _OF_TASK[task].items()}
        asked: dict[str, Kind] = {"question": "text"} if asks else {}
        before: dict[str, Kind] = {"id": "text", "image": "text", **asked}
        after: dict[str, Kind] = {"read_ms": "number", "compute_ms": "number", "error": "text", "model": "text"}
        return {**before, **made, **after}

    def joined(self, task: Task, made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The columns of a task that is about questions, of what was made for each of a row's: at least one."""
        if not self.several_questions:
            return dict(made[0])
        return {name: [of_question.get(name) for of_question in made] for name in _OF_TASK[task]}

    def values(self, row: OutputRow) -> dict[str, Any]:
        """All columns of a row, for JSON or Arrow; None where there is nothing."""
        own: dict[str, Any] = {
            "id": row.id,
            "image": None if row.image is None else plain(row.image),
            "question": _written(row.question),
            "read_ms": round(row.read_ms, 3),
            "compute_ms": round(row.compute_ms, 3),
            "error": None if row.error is None else plain(row.error),
            "model": row.model,
        }
        return {name: own[name] if name in own else row.made.get(name) for name in self.kinds}

    def arrow_schema(self) -> pyarrow.Schema:
        """As Arrow and Parquet have it.

        Raises:
            InputError: pyarrow is missing.
        """
        check_arrow()
        import pyarrow as pa  # noqa: PLC0415  # of an extra

        types = {
            "text": pa.string(),
            "number": pa.float64(),
            "texts": pa.list_(pa.string()),
            "numbers": pa.list_(pa.float64()),
            "vector": pa.list_(pa.float32(), self.width or 0),
        }
        fields = []
        for name, kind in self.kinds.items():
            listed = self.several_questions and name in _OF_QUESTIONS
            fields.append(pa.field(name, pa.list_(types[kind]) if listed else types[kind], nullable=name != "id"))
        return pa.schema(fields)

    def arrow_table(self, rows: Iterable[OutputRow]) -> pyarrow.Table:
        """Rows as Arrow has them.

        Raises:
            InputError: pyarrow is missing.
        """
        schema = self.arrow_schema()
        import pyarrow as pa  # noqa: PLC0415  # as above

        return pa.Table.from_pylist([self.values(row) for row in rows], schema=schema)


def check_arrow() -> None:
    """Check that pyarrow is installed.

    Raises:
        InputError: it is not.
    """
    try:
        import_module("pyarrow")
    except ImportError as error:
        raise InputError(f"Parquet needs the `batch` extra ({error}); {INSTALL_BATCH}") from error


def _written(question: str | tuple[str, ...] | None) -> str | list[str] | None:
    if question is None:
        return None
    return plain(question) if isinstance(question, str) else list(map(plain, question))


def ordered_tasks(given: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks in the order of their columns, each once."""
    return tuple(task for task in _OF_TASK if task in given)
