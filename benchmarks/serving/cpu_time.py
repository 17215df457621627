"""What a server takes of the machine, all of its processes together."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """That the threads of a process have computed, and those of the processes that it started and that live."""
    processes = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            after_name = file.read_text().rpartition(")")[2].split()
            ticks = int(after_name[11]) + int(after_name[12])  # user's and system's
            processes[int(file.parent.name)] = int(after_name[1]), ticks
    return _ticks(pid, processes) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, processes: dict[int, tuple[int, int]]) -> int:
    """Of a process and its descendants; of each is known who started it, and its own ticks."""
    begun = [each for each, (parent, _) in processes.items() if parent == pid]
    return processes[pid][1] + sum(_ticks(each, processes) for each in begun)
