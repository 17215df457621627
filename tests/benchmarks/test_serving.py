"""What `benchmarks.serving` measures by."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.serving.cpu_time import cpu_seconds

BUSY = "import time\nwhile time.process_time() < 2: pass\nprint('done', flush=True)\ninput()"


def test_what_a_server_takes_is_what_its_workers_take():
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "done\n"
        time.sleep(0.1)
        assert 1.9 < cpu_seconds(process.pid) < 4
        process.stdin.write("\n")
