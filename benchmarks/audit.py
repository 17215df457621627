"""Known weaknesses of pinned packages: ``python -m benchmarks.audit constraints.txt``.

Asks pip-audit's database. Where that cannot be reached, it says so, and that is all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_SECONDS = 600


def main() -> int:
    """Look; the exit status: 1 where there is a weakness."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json", "--timeout", "5"]
    try:
        done = subprocess.run(
            [*command, "-r", sys.argv[1]], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"audit skipped: the database of weaknesses cannot be reached ({type(error).__name__})")
        return 0
    text, weak = report(found)
    print(text)
    return int(weak)


def report(found: list[dict[str, Any]]) -> tuple[str, bool]:
    """What pip-audit found, for people, and whether there is a weakness.

    Args:
        found: its list of dependencies.
    """
    looked = [package for package in found if "skip_reason" not in package]
    if not looked:
        return "audit skipped: the database of weaknesses cannot be reached, or knows none of the packages", False
    weak = [(package, each) for package in looked for each in package["vulns"]]
    lines = [
        f"{package['name']} {package['version']}: {each['id']}, mended in {' or '.join(each['fix_versions']) or 'none'}"
        for package, each in weak
    ]
    lines.append(f"{len(looked)} of {len(found)} packages were looked up: {len(weak)} weaknesses")
    return "\n".join(lines), bool(weak)


if __name__ == "__main__":
    raise SystemExit(main())
