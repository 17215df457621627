"""The memory that this process may use."""

from blipvino.machine.memory import memory_limit


def test_memory_is_that_of_the_machine_or_of_a_container_around(tmp_path):
    machine = memory_limit(tmp_path)
    assert machine == memory_limit(tmp_path / "no such root") > 2**28
    groups = tmp_path / "sys/fs/cgroup"
    inner = groups / "outer/inner"
    inner.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    membership = tmp_path / "proc/self/cgroup"
    membership.write_text("0::/outer/inner\n")
    (inner / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) == machine
    (groups / "outer/memory.max").write_text("3000000\n")
    assert memory_limit(tmp_path) == 3000000
    (inner / "memory.max").write_text("2000000\n")
    assert memory_limit(tmp_path) == 2000000
    membership.write_text("0::/\n")  # a container that sees its own group as the top
    (groups / "memory.max").write_text("1000000\n")
    assert memory_limit(tmp_path) == 1000000
    membership.write_text("9:cpu:/elsewhere\n4:cpuset,memory:/docker/0123\n0::/\n")
    (groups / "memory.max").unlink()
    (groups / "memory").mkdir()
    (groups / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory_limit(tmp_path) == machine
    (groups / "memory/memory.limit_in_bytes").write_text("500000\n")
    assert memory_limit(tmp_path) == 500000
