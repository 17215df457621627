"""What is done twice when nodes of a batch job die: a simulation, beside the arithmetic that it must agree with.

python -m benchmarks.node_loss
python -m benchmarks.node_loss --images 1000000000 --nodes 1000 --images-per-second 15.8 --shard-rows 1000

Nodes die as a Poisson process does, each with the same probability an hour, whatever their age. What a node has looked
at since the last shard that it wrote is done again by others; a new node takes its place after a while. Rows wait for
their shard on the node that made them, so a death costs half a shard of one node on average, and never more than what
was in flight there. The driver of a job on Ray may die as well: then all nodes lose what they have in flight.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass, fields

import numpy as np

from blipvino.checks import integer
from blipvino.text.tables import TextTable, markdown

HOUR = 3600.0


@dataclass(frozen=True)
class Fleet:
    """Nodes that look at images.

    Attributes:
        images: of the job.
        nodes: at work.
        images_per_second: of one node.
        shard_rows: rows that a node makes between two shards: so many are in flight at the most.
        losses_per_hour: probability that a node dies within an hour, from 0 to 1.
        replacement_seconds: until another one is at work in its place.
        driver_losses_per_hour: the same of the one driver.
    """

    images: int = 1_000_000
    nodes: int = 16
    images_per_second: float = 4.0
    shard_rows: int = 1000
    losses_per_hour: float = 0.01
    replacement_seconds: float = 300.0
    driver_losses_per_hour: float = 0.01

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            InputError: a count is below 1.
        """
        for name in ("images", "nodes", "shard_rows"):
            integer(name, getattr(self, name), 1)

    @property
    def death_rate(self) -> float:
        """Deaths of one node a second."""
        return -float(np.log1p(-self.losses_per_hour)) / HOUR

    @property
    def driver_death_rate(self) -> float:
        """Deaths of the driver a second."""
        return -float(np.log1p(-self.driver_losses_per_hour)) / HOUR

    @property
    def ideal_hours(self) -> float:
        """Hours that it takes where nothing dies."""
        return self.images / (self.nodes * self.images_per_second) / HOUR

    @property
    def expected_share(self) -> float:
        """Images looked at again by images, by arithmetic: a shard's half at each death.

        In a second a node makes ``r`` images and dies with probability ``d``; it has ``rows / 2`` in flight then. The
        driver's deaths cost every node as much, and are one node's to each.
        """
        deaths = self.death_rate + self.driver_death_rate
        return deaths * (self.shard_rows / 2) / self.images_per_second


@dataclass
class Toll:
    """What a simulated job came to.

    Attributes:
        hours: from its start to its last shard.
        node_deaths: of nodes.
        driver_deaths: of the driver.
        repeated: images that were looked at again.
    """

    hours: float = 0.0
    node_deaths: int = 0
    driver_deaths: int = 0
    repeated: float = 0.0


def simulate(fleet: Fleet, rng: np.random.Generator) -> Toll:
    """Live through a job, death by death.

    Between two deaths all nodes at work make images at their rate, so that time passes in one step: the state is what
    each node has in flight, as the time at which it wrote its last shard. Nodes write at times of their own: their
    first shards are cut at a random place.
    """
    toll, clock, done = Toll(), 0.0, 0.0
    period = fleet.shard_rows / fleet.images_per_second
    phases = rng.uniform(0.0, period, fleet.nodes)  # when, modulo the period, a node writes
    away: list[tuple[float, int]] = []  # nodes that are being replaced, by when they are back
    waiting = set[int]()
    while True:
        at_work = fleet.nodes - len(away)
        rate = at_work * fleet.death_rate + fleet.driver_death_rate
        pause = rng.exponential(1.0 / rate) if rate else np.inf
        until = min(clock + pause, away[0][0] if away else np.inf)
        speed = at_work * fleet.images_per_second
        if speed and done + speed * (until - clock) >= fleet.images:
            toll.hours = (clock + (fleet.images - done) / speed) / HOUR
            return toll
        done += speed * (until - clock)
        clock = until
        if away and away[0][0] == clock:
            node = heapq.heappop(away)[1]
            waiting.discard(node)
            phases[node] = clock % period
            continue
        if rng.uniform() * rate < fleet.driver_death_rate:
            toll.driver_deaths += 1
            working = np.array([node for node in range(fleet.nodes) if node not in waiting], int)
            lost = float(_in_flight(fleet, phases[working], clock).sum())
            phases[working] = clock % period
        else:
            toll.node_deaths += 1
            node = _one_at_work(fleet.nodes, waiting, rng)
            lost = float(_in_flight(fleet, phases[[node]], clock)[0])
            waiting.add(node)
            heapq.heappush(away, (clock + fleet.replacement_seconds, node))
        done -= lost
        toll.repeated += lost


def _in_flight(fleet: Fleet, phases: np.ndarray, clock: float) -> np.ndarray:
    """Images that nodes have looked at since their last shards."""
    period = fleet.shard_rows / fleet.images_per_second
    since = np.minimum((clock - phases) % period, clock)
    return np.asarray(since * fleet.images_per_second)


def _one_at_work(nodes: int, waiting: set[int], rng: np.random.Generator) -> int:
    while True:
        node = int(rng.integers(nodes))
        if node not in waiting:
            return node


def loss_table(fleet: Fleet, runs: int, seed: int) -> TextTable:
    """What comes of a job, by rows in flight: means of simulated jobs, beside the arithmetic."""
    rows = []
    for shard_rows in (fleet.shard_rows // 10, fleet.shard_rows, fleet.shard_rows * 10):
        values = {field.name: getattr(fleet, field.name) for field in fields(fleet)}
        one = Fleet(**{**values, "shard_rows": max(1, shard_rows)})
        tolls = [simulate(one, np.random.default_rng((seed, number))) for number in range(runs)]
        hours, deaths = np.mean([toll.hours for toll in tolls]), np.mean([toll.node_deaths for toll in tolls])
        drivers = np.mean([toll.driver_deaths for toll in tolls])
        share = np.mean([toll.repeated for toll in tolls]) / one.images
        rows.append(
            (
                f"{one.shard_rows:,}",
                f"{one.ideal_hours:,.2f}",
                f"{hours:,.2f}",
                f"{deaths:,.1f}",
                f"{drivers:,.2f}",
                f"{share:.4%}",
                f"{one.expected_share:.4%}",
            )
        )
    title = (
        f"{fleet.images:,} images on {fleet.nodes:,} nodes of {fleet.images_per_second:g} images a second, of which "
        f"{fleet.losses_per_hour:.0%} die an hour; the driver dies with {fleet.driver_losses_per_hour:.0%} an hour; "
        f"means of {runs} jobs"
    )
    header = ("rows a shard", "hours without", "hours", "deaths", "of the driver", "repeated", "by arithmetic")
    return TextTable(title, header, tuple(rows))


def main() -> None:
    """Parse the command line, simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Fleet):
        kind = int if isinstance(field.default, int) else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    parser.add_argument("--runs", type=int, default=500, help="jobs that are simulated")
    parser.add_argument("--seed", type=int, default=0)
    asked = vars(parser.parse_args())
    runs, seed = asked.pop("runs"), asked.pop("seed")
    print(markdown([loss_table(Fleet(**asked), runs, seed)]))


if __name__ == "__main__":
    main()
