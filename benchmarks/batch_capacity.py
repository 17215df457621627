"""What a million and a billion images take: images a core-hour, machines, bytes written, and what bounds each stage.

python -m benchmarks.batch_capacity
python -m benchmarks.batch_capacity --node-cores 16 --nodes 100 --gigabits 10 --image-kilobytes 200

How many captions a second each class of CPU makes is read from docs/performance.md (`make bench` writes it): the best
batch size of each recipe. Decoding is timed here, on photo-like JPEGs; bytes of a row and of an id are those of a shard
that is written here. Network, storage and prices differ from place to place: they are options, and shown.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.retrieval_cost import write_photo
from blipvino.batch.batch_rows import OutputRow
from blipvino.batch.job import SHARD_ROWS
from blipvino.batch.output.shard_formats import FORMATS
from blipvino.batch.row_columns import RowColumns
from blipvino.errors import InputError
from blipvino.runtime.inputs.images import load_image
from blipvino.text.tables import TextTable, markdown

HOUR = 3600
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_SECTION = re.compile(r"<!-- speed:(?P<name>[\w-]+):begin -->(?P<body>.*?)<!-- speed:(?P=name):end -->", re.S)
_HEADING = re.compile(r"^## (?P<label>.+?): (?P<cpu>.+), (?P<cores>\d+) cores$", re.M)
_THROUGHPUT = re.compile(r"^### Throughput: captions a second, medians\n\n(?P<table>(?:\|.*\n)+)", re.M)
OURS = "blipvino "
IMAGE_SIDE = 384
"""Pixels of a side, as BLIP-base reads them."""


@dataclass(frozen=True)
class Rate:
    """How fast a recipe is on a class of CPU.

    Attributes:
        label: of the class.
        recipe: as the page calls it.
        captions_per_second: of all cores, at the best batch size.
        cores: that it was measured on.
    """

    label: str
    recipe: str
    captions_per_second: float
    cores: int

    @property
    def per_core_hour(self) -> float:
        """Captions that a core makes in an hour."""
        return self.captions_per_second * HOUR / self.cores


@dataclass(frozen=True)
class Site:
    """Where a job runs, and what it reads.

    Attributes:
        node_cores: cores of a node.
        nodes: how many there are.
        gigabits: of a node's network, a second.
        image_kilobytes: of an image file.
        listed_per_second: names that the storage lists a second; S3 gives 1,000 a request.
        driver_gigabytes: of memory that the driver of a job on Ray has for ids.
    """

    node_cores: int = 16
    nodes: int = 100
    gigabits: float = 10.0
    image_kilobytes: float = 200.0
    listed_per_second: float = 5000.0
    driver_gigabytes: float = 16.0


@dataclass(frozen=True)
class Costs:
    """What was measured here.

    Attributes:
        decode_ms: of one core, to decode and resize an image.
        row_bytes: of a row in a Parquet shard.
        id_bytes: of an id that is held in memory to be skipped.
    """

    decode_ms: float
    row_bytes: float
    id_bytes: float


def read_rates(page: Path) -> list[Rate]:
    """The rates of blipvino that a page of speeds tells, class by class.

    Raises:
        InputError: it tells none.
    """
    rates = list(_rates(page.read_text(encoding="utf-8")))
    if not rates:
        raise InputError(f"{page}: has no table of captions a second; `make bench` writes it")
    return rates


def _rates(text: str) -> Iterator[Rate]:
    for section in _SECTION.finditer(text):
        heading, table = _HEADING.search(section["body"]), _THROUGHPUT.search(section["body"])
        if heading is None or table is None:
            continue
        for line in table["table"].splitlines()[2:]:
            contender, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            if contender.startswith(OURS):
                best = max(float(cell) for cell in cells if cell)
                yield Rate(heading["label"], contender.removeprefix(OURS), best, int(heading["cores"]))


def measure(images: int) -> Costs:
    """Decode images, and write rows, here."""
    with TemporaryDirectory() as folder:
        paths = [write_photo(Path(folder) / f"{number}.jpg", number) for number in range(images)]
        seconds = [_decoding_seconds(path) for path in paths]
    ids = np.array([_name(number) for number in range(SHARD_ROWS)], dtype=object)
    id_bytes = ids.nbytes / len(ids) + statistics.mean(sys.getsizeof(each) for each in ids)
    return Costs(1000 * statistics.median(seconds), _row_bytes(), id_bytes)


def _decoding_seconds(path: Path) -> float:
    start = time.perf_counter()
    load_image(path, least=4 * IMAGE_SIDE).resize((IMAGE_SIDE, IMAGE_SIDE))
    return time.perf_counter() - start


def _row_bytes() -> float:
    """Bytes of a row of captions in a shard, as `blipvino batch` writes it; ids, paths and captions differ."""
    rng = np.random.default_rng(0)
    words = np.array([f"{number:x}" * 2 for number in range(200)])
    rows = [
        OutputRow(
            name,
            f"s3://photos/{name}",
            None,
            {
                "caption": " ".join(rng.choice(words, 10)),
                "caption_confidence": float(rng.uniform()),
                "caption_logprob": -float(rng.exponential()),
                "caption_finish_reason": "stop",
            },
            read_ms=float(rng.exponential(10)),
            compute_ms=float(rng.exponential(500)),
            model="0" * 32,
        )
        for name in map(_name, range(SHARD_ROWS))
    ]
    content, columns = BytesIO(), RowColumns(("caption",))
    writer = FORMATS["parquet"].writer(content, columns)
    writer.write_table(columns.arrow_table(rows))
    writer.end()
    return len(content.getvalue()) / len(rows)


def _name(number: int) -> str:
    """An id as long as that of a photo in folders by day."""
    return f"2024/05/17/camera-3/IMG_{number:08}.jpg"


def rate_table(rates: Sequence[Rate], amounts: Sequence[int]) -> TextTable:
    """Core-hours by class and recipe: images / (captions a second × 3600 / cores)."""
    columns = ("class of CPU, recipe", "captions a second", "cores", "images a core-hour")
    rows = tuple(
        (
            f"{rate.label}, {rate.recipe}",
            f"{rate.captions_per_second:.2f}",
            str(rate.cores),
            f"{rate.per_core_hour:,.0f}",
            *(f"{amount / rate.per_core_hour:,.0f}" for amount in amounts),
        )
        for rate in rates
    )
    return TextTable("Images a core-hour", (*columns, *(f"core-hours of {amount:,}" for amount in amounts)), rows)


def stage_table(rate: Rate, site: Site, costs: Costs) -> TextTable:
    """What each stage could do on one node, and how much of it the engine's rate needs."""
    needed = rate.per_core_hour / HOUR * site.node_cores
    read = site.gigabits * 1e9 / 8 / (site.image_kilobytes * 1e3)
    decode = site.node_cores * 1000 / costs.decode_ms
    written = site.gigabits * 1e9 / 8 / costs.row_bytes
    stages = [
        ("list", "the storage, one for all nodes", site.listed_per_second / site.nodes),
        ("read", f"{site.gigabits:g} Gbit/s by {site.image_kilobytes:g} kB an image", read),
        ("decode", f"{site.node_cores} cores by {costs.decode_ms:.1f} ms an image", decode),
        ("look and tell", f"{rate.label}, {rate.recipe}: {rate.per_core_hour:,.0f} a core-hour", needed),
        ("write", f"{site.gigabits:g} Gbit/s by {costs.row_bytes:.0f} bytes a row", written),
    ]
    rows = tuple((name, bound, f"{able:,.1f}", f"{needed / able:.2%}") for name, bound, able in stages)
    title = f"Stages of one of {site.nodes:,} nodes of {site.node_cores} cores: images a second"
    return TextTable(title, ("stage", "bounded by", "able to do", "of which is used"), rows, numbers=False)


def amount_table(rate: Rate, site: Site, costs: Costs, amounts: Sequence[int]) -> TextTable:
    """What whole jobs take."""
    second = rate.per_core_hour / HOUR * site.node_cores * site.nodes
    most = int(site.driver_gigabytes * 1e9 / (1.5 * costs.id_bytes))
    what: list[tuple[str, ...]] = [
        ("hours on all nodes", *(f"{amount / second / HOUR:,.2f}" for amount in amounts)),
        ("read, GB", *(f"{amount * site.image_kilobytes / 1e6:,.1f}" for amount in amounts)),
        ("written, GB", *(f"{amount * costs.row_bytes / 1e9:,.3f}" for amount in amounts)),
        (f"shards of {SHARD_ROWS:,} rows", *(f"{-(-amount // SHARD_ROWS):,}" for amount in amounts)),
        ("listing, hours", *(f"{amount / site.listed_per_second / HOUR:,.2f}" for amount in amounts)),
        ("ids to skip in memory, GB (x 1.5)", *(f"{amount * costs.id_bytes * 1.5 / 1e9:,.2f}" for amount in amounts)),
        (f"jobs on Ray of {most:,} images", *(f"{-(-amount // most):,}" for amount in amounts)),
    ]
    title = f"On {site.nodes:,} nodes of {site.node_cores} cores, {rate.label}, {rate.recipe}"
    return TextTable(title, ("", *(f"{amount:,} images" for amount in amounts)), tuple(what))


def main() -> None:
    """Parse the command line, measure what can be measured here, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=PAGE, help="with measured speeds")
    parser.add_argument("--decoded", type=int, default=32, help="images that are decoded here")
    parser.add_argument("--amount", type=int, action="append", help="images of a job; several times for several")
    parser.add_argument("--node-cores", type=int, default=Site.node_cores)
    parser.add_argument("--nodes", type=int, default=Site.nodes)
    parser.add_argument("--gigabits", type=float, default=Site.gigabits)
    parser.add_argument("--image-kilobytes", type=float, default=Site.image_kilobytes)
    parser.add_argument("--listed-per-second", type=float, default=Site.listed_per_second)
    parser.add_argument("--driver-gigabytes", type=float, default=Site.driver_gigabytes)
    asked = parser.parse_args()
    amounts = asked.amount or [1_000_000, 1_000_000_000]
    site = Site(
        asked.node_cores,
        asked.nodes,
        asked.gigabits,
        asked.image_kilobytes,
        asked.listed_per_second,
        asked.driver_gigabytes,
    )
    rates, costs = read_rates(asked.page), measure(asked.decoded)
    best = max(rates, key=lambda rate: rate.per_core_hour)
    tables = [rate_table(rates, amounts), stage_table(best, site, costs), amount_table(best, site, costs, amounts)]
    print(markdown(tables))


if __name__ == "__main__":
    main()
