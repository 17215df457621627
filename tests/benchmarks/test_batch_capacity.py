"""The capacity model reads the page of speeds, and its arithmetic is what it says."""

import pytest

from benchmarks.batch_capacity import (
    PAGE,
    Costs,
    Rate,
    Site,
    amount_table,
    measure,
    rate_table,
    read_rates,
    stage_table,
)
from blipvino.errors import InputError

RATE = Rate("AVX2", "INT8", 2.0, 4)


def test_rates_are_those_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    lines = (
        "| contender | batch 1 | batch 4 |",
        "|---|---:|---:|",
        "| ONNX Runtime INT8 | 9 | 9 |",
        "| blipvino INT8 | 1.5 |  |",
    )
    table = "\n".join([*lines, ""])
    page.write_text(
        "<!-- speed:avx2:begin -->\n\n## AVX2: Some CPU, 2 cores\n\n### Throughput: captions a second, medians\n\n"
        f"{table}\n<!-- speed:avx2:end -->\n<!-- speed:bf16:begin -->\nNot measured.\n<!-- speed:bf16:end -->\n"
    )
    assert read_rates(page) == [Rate("AVX2", "INT8", 1.5, 2)]
    page.write_text("nothing")
    with pytest.raises(InputError, match="no table"):
        read_rates(page)


def test_the_page_in_the_docs_has_rates():
    assert {rate.recipe for rate in read_rates(PAGE)} >= {"FP16", "INT8"}


def test_core_hours():
    assert RATE.per_core_hour == 1800
    ((_, _, _, per_hour, hours),) = rate_table([RATE], [18_000]).rows
    assert (per_hour, hours) == ("1,800", "10")


def test_the_slowest_stage_is_told():
    site = Site(node_cores=8, nodes=2, gigabits=0.008, image_kilobytes=100, listed_per_second=40)
    used = {row[0]: (row[2], row[3]) for row in stage_table(RATE, site, Costs(10.0, 200.0, 100.0)).rows}
    assert used["look and tell"] == ("4.0", "100.00%")
    assert used["read"] == ("10.0", "40.00%")
    assert used["decode"] == ("800.0", "0.50%")
    assert used["list"] == ("20.0", "20.00%")


def test_a_job_of_more_ids_than_memory_is_several():
    site = Site(node_cores=8, nodes=2, driver_gigabytes=1.5e-4)
    table = {row[0]: row[1] for row in amount_table(RATE, site, Costs(10.0, 200.0, 100.0), [10_000]).rows}
    assert table["jobs on Ray of 1,000 images"] == "10"
    assert table["hours on all nodes"] == f"{10_000 / 8 / 3600:,.2f}"
    assert table["written, GB"] == "0.002"


def test_costs_are_measured():
    costs = measure(2)
    assert costs.decode_ms > 0
    assert 50 < costs.row_bytes < 500
    assert 50 < costs.id_bytes < 500
