"""Which library finds the nearest of many vectors: time, memory and recall of each, side by side.

python -m benchmarks.vector_index --count 100000
python -m benchmarks.vector_index --count 1000000 --only "usearch, graph, f16" "faiss, graph, f16" --output vectors.json

The vectors are made up, 256 numbers each as BLIP's are, and the queries lie beside them as texts lie beside images
(`benchmarks/vector_sets.py`). An engine is built by one process and opened by another, from a file, mapped where it can
be. "build" is the time that all cores spend on it together; "open" is from nothing to the first answer, imports apart;
"building" and "searching" are the memory that the process grew by, at its peak, and at the end with all that it mapped;
"query" is the median of single ones. Recall is the share of the nearest vectors by exact search that is found: "32 in
128" is of 32 after 128 were found and compared exactly. With ``--output``, rows of earlier runs are kept and shown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.vector_engines import ENGINES
from benchmarks.vector_sets import CHUNK, VectorSet, text_vectors, write_vectors
from blipvino.arrays import AnyArray, FloatArray
from blipvino.machine.host import this_host

WIDTH = 256
QUERIES, WARM_UP = 200, 20
CANDIDATES = 128
RECALLS = {"10 in 10": (10, 10), "32 in 32": (32, 32), "32 in 128": (32, CANDIDATES)}
"""How many of so many nearest vectors are among so many found."""


@dataclass(frozen=True)
class Found:
    """What searching with one effort found.

    Attributes:
        effort: the engine's own.
        milliseconds: of a query.
        recall: of each of `RECALLS`.
    """

    effort: int
    milliseconds: float
    recall: dict[str, float]


@dataclass(frozen=True)
class Row:
    """What was measured of an engine.

    Attributes:
        engine: its name.
        count: of vectors.
        build_seconds: to make and write it, of all cores together.
        build_bytes: of memory, at the peak of making it.
        file_bytes: on disk.
        open_milliseconds: to open it and answer one query.
        search_bytes: of memory, after all queries.
        found: by effort.
    """

    engine: str
    count: int
    build_seconds: float
    build_bytes: int
    file_bytes: int
    open_milliseconds: float
    search_bytes: int
    found: list[Found]


def exact_nearest(vectors: FloatArray, queries: FloatArray, count: int) -> AnyArray:
    """Numbers of the nearest vectors of each query, nearest first: ``[Q, count]``."""
    scores: AnyArray = np.concatenate(
        [vectors[first : first + CHUNK] @ queries.T for first in range(0, len(vectors), CHUNK)]
    )
    best = np.argpartition(-scores, count, axis=0)[:count]
    order = np.argsort(-np.take_along_axis(scores, best, axis=0), axis=0, kind="stable")
    return np.take_along_axis(best, order, axis=0).T


def measure(number: int, vectors: VectorSet, queries: FloatArray, truth: AnyArray, folder: Path) -> Row:
    """Build and search with one of `ENGINES`, in a process each."""
    file = folder / f"engine-{number}"
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        seconds, build_bytes = pool.apply(_build, (number, vectors, file))
    with context.Pool(1) as pool:
        opening, search_bytes, found = pool.apply(_search, (number, file, queries, truth))
    written = [path for path in folder.iterdir() if path.name.startswith(file.name)]
    size = sum(path.stat().st_size for path in written)
    for path in written:
        path.unlink()
    return Row(ENGINES[number].name, len(vectors.vectors()), seconds, build_bytes, size, opening, search_bytes, found)


def _build(number: int, vectors: VectorSet, file: Path) -> tuple[float, int]:
    given = vectors.vectors()
    given.sum()  # so that reading the vectors is not counted, nor the memory that maps them
    before = _memory("VmRSS")
    start = time.process_time()
    ENGINES[number].build(given, file)
    return time.process_time() - start, _memory("VmHWM") - before


def _search(number: int, file: Path, queries: FloatArray, truth: AnyArray) -> tuple[float, int, list[Found]]:
    import faiss  # noqa: F401, PLC0415
    import usearch.index  # noqa: F401, PLC0415

    engine, before = ENGINES[number], _memory("VmRSS")
    start = time.perf_counter()
    engine.open(file)
    engine.search(queries[0], CANDIDATES, engine.efforts[0])
    opening = (time.perf_counter() - start) * 1e3
    found = [_with_effort(number, queries, truth, effort) for effort in engine.efforts]
    return opening, _memory("VmRSS") - before, found


def _with_effort(number: int, queries: FloatArray, truth: AnyArray, effort: int) -> Found:
    engine, seconds, hits = ENGINES[number], [], dict.fromkeys(RECALLS, 0)
    for query in queries[:WARM_UP]:
        engine.search(query, CANDIDATES, effort)
    for query, expected in zip(queries, truth, strict=True):
        start = time.perf_counter()
        nearest = engine.search(query, CANDIDATES, effort)
        seconds.append(time.perf_counter() - start)
        for name, (count, among) in RECALLS.items():
            hits[name] += len(np.intersect1d(nearest[:among], expected[:count]))
    recall = {name: found / len(queries) / RECALLS[name][0] for name, found in hits.items()}
    return Found(effort, statistics.median(seconds) * 1e3, recall)


def _memory(kind: str) -> int:
    """Bytes of this process, as Linux counts them: "VmRSS" now, "VmHWM" at the peak."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(kind)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as Markdown."""
    columns = ["vectors", "engine", "build, CPU s", "building, MB", "file, MB", "open, ms", "searching, MB", "effort"]
    yield f"| {' | '.join([*columns, 'query, ms', *RECALLS])} |"
    yield "|---:|---|" + "---:|" * (7 + len(RECALLS))
    for row in sorted(rows, key=lambda row: (row.count, [engine.name for engine in ENGINES].index(row.engine))):
        sizes = [f"{size / 1e6:,.0f}" for size in (row.build_bytes, row.file_bytes)]
        told = [f"{row.count:,}", row.engine, f"{row.build_seconds:.1f}", *sizes, f"{row.open_milliseconds:.0f}"]
        told.append(f"{row.search_bytes / 1e6:,.0f}")
        for found in row.found:
            recall = [f"{found.recall[name]:.3f}" for name in RECALLS]
            effort = str(found.effort) if found.effort else ""
            yield f"| {' | '.join([*told, effort, f'{found.milliseconds:.2f}', *recall])} |"
            told = [""] * len(told)


def main() -> None:
    """Parse the command line, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="of vectors")
    parser.add_argument("--only", nargs="+", choices=[engine.name for engine in ENGINES], help="these engines")
    parser.add_argument("--output", type=Path, help="JSON file that rows are kept in")
    options = parser.parse_args()
    known = _read(options.output)
    chosen = [number for number, engine in enumerate(ENGINES) if options.only is None or engine.name in options.only]
    with TemporaryDirectory() as name:
        folder = Path(name)
        vectors = write_vectors(folder / "vectors.npy", options.count, WIDTH)
        queries = text_vectors(vectors.vectors(), QUERIES)
        truth = exact_nearest(vectors.vectors(), queries, CANDIDATES)
        for number in chosen:
            row = measure(number, vectors, queries, truth, folder)
            known[row.engine, row.count] = row
            if options.output is not None:
                rows = [asdict(each) for each in known.values()]
                options.output.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"{this_host().cpu}, {multiprocessing.cpu_count()} cores\n")
    print("\n".join(table(list(known.values()))))


def _read(file: Path | None) -> dict[tuple[str, int], Row]:
    if file is None or not file.exists():
        return {}
    rows = json.loads(file.read_text(encoding="utf-8"))
    return {
        (row["engine"], row["count"]): Row(**row | {"found": [Found(**one) for one in row["found"]]}) for row in rows
    }


if __name__ == "__main__":
    main()
