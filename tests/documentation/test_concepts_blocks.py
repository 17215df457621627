"""The blocks of these pages run, in order, as a reader would run them."""

import pytest
from documentation.code_blocks import run_page
from documentation.page_groups import pages_of


@pytest.mark.parametrize("page", pages_of("concepts"))
def test_the_page_runs(page, world):
    run_page(page, world)
