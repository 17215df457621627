"""The simulation agrees with the arithmetic where there is one, and loses no image."""

import numpy as np
import pytest

from benchmarks.node_loss import Fleet, loss_table, simulate
from blipvino.errors import InputError


def tolls(fleet, runs=300):
    return [simulate(fleet, np.random.default_rng((7, number))) for number in range(runs)]


def test_nothing_dies_and_nothing_is_repeated():
    (toll,) = tolls(Fleet(losses_per_hour=0.0, driver_losses_per_hour=0.0), 1)
    assert (toll.repeated, toll.node_deaths, toll.driver_deaths) == (0.0, 0, 0)
    assert toll.hours == pytest.approx(Fleet().ideal_hours)


def test_deaths_come_as_often_as_they_should_and_cost_half_a_shard_each():
    fleet = Fleet(losses_per_hour=0.1, driver_losses_per_hour=0.05)
    found = tolls(fleet)
    hours = np.mean([toll.hours for toll in found])
    assert np.mean([toll.node_deaths for toll in found]) == pytest.approx(fleet.death_rate * 3600 * 16 * hours, rel=0.1)
    drivers = np.mean([toll.driver_deaths for toll in found])
    assert drivers == pytest.approx(fleet.driver_death_rate * 3600 * hours, rel=0.25)
    share = np.mean([toll.repeated for toll in found]) / fleet.images
    assert share == pytest.approx(fleet.expected_share, rel=0.25)
    assert hours > fleet.ideal_hours


def test_the_table_shows_that_smaller_shards_repeat_less():
    rows = loss_table(Fleet(losses_per_hour=0.1), 20, 0).rows
    repeated = [float(row[5].rstrip("%")) for row in rows]
    assert repeated == sorted(repeated)
    assert [row[0] for row in rows] == ["100", "1,000", "10,000"]


def test_no_fleet_is_refused():
    with pytest.raises(InputError):
        Fleet(nodes=0)
