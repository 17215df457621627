"""Threads and pinning, alone and beside a busy process."""

from benchmarks.busy_neighbour import busy_process, settings


def test_every_core_and_all_but_one_are_compared_pinned_and_free():
    assert list(settings(2)) == ["2 threads, pinned", "2 threads, free", "1 thread, pinned", "1 thread, free"]
    assert {(one.threads, one.pinning) for one in settings(1).values()} == {(1, True), (1, False)}


def test_the_busy_process_ends_with_its_block():
    with busy_process() as process:
        assert process.poll() is None
    assert process.poll() is not None
