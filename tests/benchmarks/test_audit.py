"""What is told of known weaknesses, and when the look for them counts as skipped."""

from __future__ import annotations

import pytest

from benchmarks.audit import report

SOUND = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "text", "is_weak"),
    [
        ([UNKNOWN], "audit skipped", False),
        ([], "audit skipped", False),
        ([SOUND, UNKNOWN], "1 of 2 packages were looked up: 0 weaknesses", False),
        ([SOUND, WEAK], "b 2: CVE-1, mended in 3", True),
    ],
)
def test_reports(found, text, is_weak):
    told, weak = report(found)
    assert text in told
    assert weak is is_weak
